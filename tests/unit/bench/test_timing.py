"""What a block and its throughput are."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from sparsebench.bench.engines.deepsparse_benchmark import cut_into_blocks
from sparsebench.bench.timing import time_blocks
from sparsebench.catalog import protocols

PROTOCOL = protocols()["quick"].model_copy(update={"warmup_s": 0.02, "blocks": 3, "block_s": 0.05})


def test_every_block_lasts_and_the_throughput_is_images_over_the_sum_of_latencies():
    measurement = time_blocks(lambda: time.sleep(0.004), PROTOCOL)

    sums = [sum(block.latencies_ms) for block in measurement.blocks]
    assert len(sums) == 3
    assert min(sums) >= 50
    images = sum(len(block.latencies_ms) for block in measurement.blocks)
    assert measurement.throughput_img_s == pytest.approx(images / sum(sums) * 1000)


def test_what_is_done_to_warm_up_is_not_counted():
    calls: list[float] = []

    measurement = time_blocks(lambda: calls.append(0) or time.sleep(0.05 if len(calls) == 1 else 0.005), PROTOCOL)

    assert max(ms for block in measurement.blocks for ms in block.latencies_ms) < 50
    assert len(calls) > sum(len(block.latencies_ms) for block in measurement.blocks)


def test_one_long_inference_is_a_block():
    measurement = time_blocks(lambda: time.sleep(0.06), PROTOCOL)

    assert [len(block.latencies_ms) for block in measurement.blocks] == [1, 1, 1]


def test_the_tools_stream_is_cut_where_inferences_start():
    clock = datetime(2026, 11, 24, tzinfo=UTC)
    stream = [[100.0, 100.2], [100.2, 100.4], [100.4, 100.7], [100.7, 102.0], [102.0, 102.1]]

    blocks = cut_into_blocks(stream, 0.5, clock)

    assert [len(block.latencies_ms) for block in blocks] == [3, 1, 1]
    assert blocks[1].latencies_ms == pytest.approx([1300])
    assert blocks[2].started_at == clock + timedelta(seconds=102)
