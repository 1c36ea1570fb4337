"""One process: it loads a network, checks its outputs, warms up, and times a block when it is told to.

``python -m sparsebench.bench.worker`` takes a WorkerTask on stdin and answers Loaded, once for each of its engines; for
a WarmUpTask it answers Warm; for each BlockTask a Block; when stdin ends it answers Farewell.

Engines that time the same loaded network, each in its own way, share a process: it is compiled once.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Literal

from pydantic import Field, TypeAdapter

from sparsebench.bench.child import die_with_parent, take_stdout
from sparsebench.bench.engines import ENGINES
from sparsebench.bench.engines.base import Tool, UnsupportedNetwork
from sparsebench.bench.inputs import Inputs, first_of, repeated
from sparsebench.bench.interference import Watch
from sparsebench.bench.parity import Agreement, judge
from sparsebench.bench.priority import come_first
from sparsebench.bench.reference import read_reference
from sparsebench.bench.timing import Timed, warm_up
from sparsebench.contracts import Absence, Block, Contract, Name, Parity, Precision, Scenario
from sparsebench.errors import BadInput


class WorkerTask(Contract):
    engines: tuple[Name, ...] = Field(min_length=1)
    """The first loads the network; the others time what it has loaded."""
    precision: Precision
    scenario: Scenario
    model: Path
    inputs: Inputs
    reference: Path
    agreement: Agreement
    threads: int
    cpus: tuple[int, ...]
    """That it is pinned to; none: it is left as it is."""


class Loaded(Contract):
    """What the process adds to a Trial before anything is timed; the fields are a Trial's."""

    status: Literal["measured", "invalid", "absent"]
    batch: int = 1
    load_s: float | None = None
    parity: Parity | None = None
    absence: Absence | None = None
    engine_facts: dict[str, str | float | int | bool] = {}


class WarmUpTask(Contract):
    kind: Literal["warm_up"] = "warm_up"
    engine: Name
    warmup_s: float
    max_warmup_s: float


class Warm(Contract):
    """What the process adds to a Trial when it is warm; the fields are a Trial's."""

    warmup_s: float
    steady: bool | None


class BlockTask(Contract):
    kind: Literal["block"] = "block"
    engine: Name
    round: int
    position: int
    settle_s: float
    block_s: float


class Farewell(Contract):
    """What the process adds to a Trial when it ends; the fields are a Trial's."""

    peak_memory_bytes: int | None = None


TASKS: TypeAdapter[WarmUpTask | BlockTask] = TypeAdapter(WarmUpTask | BlockTask)


def main() -> None:
    die_with_parent()
    channel = take_stdout()

    def answer(message: Contract) -> None:
        channel.write(message.model_dump_json().encode() + b"\n")

    task = WorkerTask.model_validate_json(sys.stdin.buffer.readline())
    pin(task.cpus)
    nice = come_first()
    first, *others = (ENGINES[name] for name in task.engines)
    reference = read_reference(task.reference)
    first.import_library()
    start = perf_counter()
    try:
        session = first.load(task.model, task.inputs, task.threads, task.precision, task.scenario)
        load_s = perf_counter() - start
        copies = session.batch // task.inputs.batch
        outputs = [first_of(session.run(repeated(feeds, copies)), copies) for feeds in reference.feeds]
    except UnsupportedNetwork as refusal:
        refused = Loaded(status="absent", absence=Absence(reason="unsupported_network", detail=str(refusal)))
        for _ in task.engines:
            answer(refused)
        return
    try:
        parity = judge(outputs, reference, task.precision, task.agreement)
    except BadInput as error:
        sys.exit(str(error))
    loaded = Loaded(
        status="measured" if parity.agrees else "invalid",
        batch=session.batch,
        load_s=load_s,
        parity=parity,
        engine_facts=session.facts | ({"nice": nice} if nice else {}),
    )
    for _ in task.engines:
        answer(loaded)
    if not parity.agrees:
        return
    sessions = [session, *(tool.over(session) for tool in others if isinstance(tool, Tool))]
    timed = repeated(reference.feeds[0], copies)
    times = {name: partial(session.time, timed) for name, session in zip(task.engines, sessions, strict=True)}
    for line in sys.stdin.buffer:
        wanted = TASKS.validate_json(line)
        time = times[wanted.engine]
        answer(_warm(time, wanted) if isinstance(wanted, WarmUpTask) else _block(time, wanted))
    answer(Farewell(peak_memory_bytes=peak_memory_bytes()))


def pin(cpus: tuple[int, ...]) -> None:
    """Every engine the same way, before its library counts the cores."""
    if cpus:
        os.sched_setaffinity(0, cpus)


def _warm(time: Callable[[float], Timed], task: WarmUpTask) -> Warm:
    if not task.max_warmup_s:
        return Warm(warmup_s=0.0, steady=None)
    warmup_s, steady = warm_up(time, task.warmup_s, task.max_warmup_s)
    return Warm(warmup_s=warmup_s, steady=steady)


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
    line = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert line, "/proc/self/status has no VmHWM"
    return int(line[1]) * 1024


if __name__ == "__main__":
    main()
