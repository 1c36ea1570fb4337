"""One trial: the process that loads one engine, checks its output and times it.

``python -m sparsebench.bench.trial`` takes a task on stdin and writes an outcome to the path that it names.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from time import perf_counter
from typing import Literal

import numpy as np

from sparsebench.bench.child import die_with_parent
from sparsebench.bench.engines import ENGINES
from sparsebench.bench.engines.base import UnsupportedNetwork
from sparsebench.bench.parity import compare, fixed_images
from sparsebench.contracts import Absence, Block, Contract, Name, Parity, Precision, Protocol


class TrialTask(Contract):
    engine: Name
    precision: Precision
    model: Path
    input_shape: tuple[int, int, int]
    reference: Path
    threads: int
    protocol: Protocol
    outcome: Path


class Outcome(Contract):
    """What the process adds to a Trial; the fields are a Trial's."""

    status: Literal["measured", "invalid", "absent"]
    throughput_img_s: float | None = None
    blocks: tuple[Block, ...] = ()
    load_s: float | None = None
    peak_memory_bytes: int | None = None
    parity: Parity | None = None
    absence: Absence | None = None
    engine_facts: dict[str, str | float | int | bool] = {}


def carry_out(task: TrialTask) -> Outcome:
    engine = ENGINES[task.engine]
    images = fixed_images(task.input_shape)
    engine.import_library()
    start = perf_counter()
    try:
        session = engine.load(task.model, task.input_shape, task.threads, task.precision)
    except UnsupportedNetwork as refusal:
        return Outcome(status="absent", absence=Absence(reason="unsupported_network", detail=str(refusal)))
    load_s = perf_counter() - start
    parity = compare(session.run(images), np.load(task.reference), task.precision)
    measurement = session.measure(images, task.protocol) if parity.agrees else None
    return Outcome(
        status="measured" if measurement else "invalid",
        throughput_img_s=measurement.throughput_img_s if measurement else None,
        blocks=measurement.blocks if measurement else (),
        load_s=load_s,
        peak_memory_bytes=peak_memory_bytes(),
        parity=parity,
        engine_facts=session.facts,
    )


def peak_memory_bytes() -> int:
    """The largest resident size of this process. (getrusage would count the runner's, from before the exec.)"""
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found, "/proc/self/status has no VmHWM"
    return int(found[1]) * 1024


def main() -> None:
    die_with_parent()
    task = TrialTask.model_validate_json(sys.stdin.buffer.read())
    task.outcome.write_bytes(carry_out(task).to_json())


if __name__ == "__main__":
    main()
