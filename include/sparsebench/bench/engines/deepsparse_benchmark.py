"""DeepSparse measured by its own tool, ``deepsparse.benchmark``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from sys import modules
from time import perf_counter
from typing import Any
from unittest.mock import patch

from sparsebench.bench.engines.base import Array, Session
from sparsebench.bench.engines.deepsparse import DeepSparseLibrary, DeepSparseSession
from sparsebench.bench.timing import Measurement
from sparsebench.contracts import Block, Precision, Protocol


class DeepSparseBenchmark(DeepSparseLibrary):
    """The tool's scenario "sync" at batch 1, with its own loop, its own random images and its own img/s."""

    name = "deepsparse.benchmark"
    label = "DeepSparse (own tool)"
    rank = 4

    def load(self, model: Path, input_shape: tuple[int, int, int], threads: int, precision: Precision) -> Session:
        from deepsparse.benchmark.helpers import decide_thread_pinning

        decide_thread_pinning("core")  # as the tool does, before it compiles
        return _ToolSession(model, threads)


class _ToolSession(DeepSparseSession):
    def measure(self, images: Array, protocol: Protocol) -> Measurement:
        """The tool's function behind its command line, which takes whole seconds only and exports no latencies.

        It is given the engine whose output has been checked, and the list of times that its loop returns is
        kept. Its one stream of inferences is cut into the protocol's blocks afterwards.
        """
        streams: list[list[list[float]]] = []  # of the warm-up, and of the measurement: [start, end] in s
        tool, stream = modules["deepsparse.benchmark.benchmark_model"], modules["deepsparse.benchmark.stream_benchmark"]
        loop = stream.singlestream_benchmark

        def keep(*arguments: Any) -> list[list[float]]:
            streams.append(loop(*arguments))
            return streams[-1]

        clock = datetime.now(UTC) - timedelta(seconds=perf_counter())
        with (
            patch.object(tool, "Engine", lambda **_: self.engine),
            patch.object(stream, "singlestream_benchmark", keep),
        ):
            result = tool.benchmark_model(
                self.engine.model_path,
                batch_size=1,
                num_cores=self.engine.num_cores,
                scenario="sync",
                time=protocol.blocks * protocol.block_s,
                warmup_time=protocol.warmup_s,
                quiet=True,
            )
        return Measurement(
            cut_into_blocks(streams[-1], protocol.block_s, clock), result["benchmark_result"]["items_per_sec"]
        )


def cut_into_blocks(times: list[list[float]], block_s: float, clock: datetime) -> tuple[Block, ...]:
    """Blocks of one stream of inferences, by the time at which each started.

    ``times`` holds [start, end] in seconds after ``clock``. An inference that takes longer than a block makes
    fewer blocks.
    """
    first = times[0][0]
    return tuple(
        Block(
            started_at=clock + timedelta(seconds=block[0][0]),
            latencies_ms=tuple((end - start) * 1000 for start, end in block),
        )
        for _, group in groupby(times, key=lambda time: int((time[0] - first) / block_s))
        for block in [list(group)]
    )
