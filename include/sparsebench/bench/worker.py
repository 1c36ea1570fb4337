"""One process of one engine: it loads a network, checks its outputs, warms up, and times a block when it is told to.

``python -m sparsebench.bench.worker`` takes a WorkerTask on stdin and answers Loaded; for a WarmUpTask it answers Warm;
for each BlockTask a Block; when stdin ends it answers Farewell.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Literal

import numpy as np

from sparsebench.bench.child import die_with_parent, take_stdout
from sparsebench.bench.engines import ENGINES
from sparsebench.bench.engines.base import UnsupportedNetwork
from sparsebench.bench.interference import Watch
from sparsebench.bench.parity import compare, read_reference
from sparsebench.bench.timing import Timed, warm_up
from sparsebench.contracts import Absence, Block, Contract, Execution, Name, Parity, Precision, Scenario


class WorkerTask(Contract):
    engine: Name
    precision: Precision
    scenario: Scenario
    model: Path
    input_shape: tuple[int, int, int]
    reference: Path
    int8: bool
    threads: int
    inspect: bool
    """Whether to read from the engine, at the end, how it computes."""


class Loaded(Contract):
    """What the process adds to a Trial before anything is timed; the fields are a Trial's."""

    status: Literal["measured", "invalid", "absent"]
    batch: int = 1
    load_s: float | None = None
    parity: Parity | None = None
    absence: Absence | None = None
    engine_facts: dict[str, str | float | int | bool] = {}


class WarmUpTask(Contract):
    warmup_s: float
    max_warmup_s: float


class Warm(Contract):
    """What the process adds to a Trial when it is warm; the fields are a Trial's."""

    warmup_s: float
    steady: bool | None


class BlockTask(Contract):
    round: int
    position: int
    settle_s: float
    block_s: float


class Farewell(Contract):
    """What the process adds to a Trial when it ends; the fields are a Trial's."""

    peak_memory_bytes: int | None = None
    execution: Execution | None = None


def main() -> None:
    die_with_parent()
    channel = take_stdout()

    def answer(message: Contract) -> None:
        channel.write(message.model_dump_json().encode() + b"\n")

    task = WorkerTask.model_validate_json(sys.stdin.buffer.readline())
    engine = ENGINES[task.engine]
    reference = read_reference(task.reference)
    images = reference.images
    engine.import_library()
    start = perf_counter()
    try:
        session = engine.load(task.model, task.input_shape, task.threads, task.precision, task.scenario)
    except UnsupportedNetwork as refusal:
        answer(Loaded(status="absent", absence=Absence(reason="unsupported_network", detail=str(refusal))))
        return
    load_s = perf_counter() - start
    outputs = np.concatenate([session.run(np.repeat(image[None], session.batch, 0))[:1] for image in images])
    parity = compare(outputs, reference.outputs, task.precision, task.int8, reference.rounding)
    answer(
        Loaded(
            status="measured" if parity.agrees else "invalid",
            batch=session.batch,
            load_s=load_s,
            parity=parity,
            engine_facts=session.facts,
        )
    )
    if not parity.agrees:
        return
    time = partial(session.time, np.repeat(images[:1], session.batch, 0))
    warmth = WarmUpTask.model_validate_json(sys.stdin.buffer.readline())
    warmup_s, steady = warm_up(time, warmth.warmup_s, warmth.max_warmup_s) if warmth.max_warmup_s else (0.0, None)
    answer(Warm(warmup_s=warmup_s, steady=steady))
    for line in sys.stdin.buffer:
        answer(_block(time, BlockTask.model_validate_json(line)))
    peak = peak_memory_bytes()  # before it is loaded a second time
    arguments = (task.model, task.input_shape, task.threads, task.precision)
    answer(Farewell(peak_memory_bytes=peak, execution=engine.execution(*arguments) if task.inspect else None))


def _block(time: Callable[[float], Timed], task: BlockTask) -> Block:
    if task.settle_s:  # caches and clocks, after the others' turns
        time(task.settle_s)
    watch, started_at = Watch(), datetime.now(UTC)
    timed = time(task.block_s)
    return Block(
        round=task.round,
        position=task.position,
        started_at=started_at,
        images=timed.images,
        seconds=timed.seconds,
        latencies_ms=timed.latencies_ms,
        interference=watch.stop(),
    )


def peak_memory_bytes() -> int:
    """The largest resident size of this process. (getrusage would count the runner's, from before the exec.)"""
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found, "/proc/self/status has no VmHWM"
    return int(found[1]) * 1024


if __name__ == "__main__":
    main()
