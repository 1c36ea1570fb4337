"""Timed blocks of inferences, with every latency kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter_ns

from sparsebench.contracts import Block, Protocol

NS_PER_MS = 1e6
NS_PER_S = 1e9


@dataclass(frozen=True)
class Measurement:
    blocks: tuple[Block, ...]
    throughput_img_s: float


def time_blocks(infer: Callable[[], object], protocol: Protocol) -> Measurement:
    """Warm up for ``warmup_s``, then time ``blocks`` blocks, each of inferences that last ``block_s`` in sum.

    ``infer`` handles one image. Throughput is images over the sum of all latencies, so what lies between two
    inferences (reading the clock, keeping the latency) does not count.
    """
    if protocol.warmup_s:
        _one_block(infer, protocol.warmup_s)
    blocks = tuple(_one_block(infer, protocol.block_s) for _ in range(protocol.blocks))
    latencies = [latency for block in blocks for latency in block.latencies_ms]
    return Measurement(blocks, len(latencies) / sum(latencies) * 1000)


def _one_block(infer: Callable[[], object], seconds: float) -> Block:
    started_at = datetime.now(UTC)
    remaining, latencies = int(seconds * NS_PER_S), list[float]()
    while remaining > 0:
        start = perf_counter_ns()
        infer()
        taken = perf_counter_ns() - start
        latencies.append(taken / NS_PER_MS)
        remaining -= taken
    return Block(started_at=started_at, latencies_ms=tuple(latencies))
