"""A foreign process beside the measurement: is every block that it disturbs flagged, and do the verdicts stand?

    PYTHONPATH=include .envs/bench/bin/python -m benchmarks.interference --networks mobilenetv1

One network is measured twice: alone, and with a process that is busy on one core half of the time, in turns of some
seconds. A block counts as disturbed in truth when the process was busy during all of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing import Event, Process, Queue
from multiprocessing.synchronize import Event as EventType
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import Annotated, Any

import typer

from benchmarks.common import CONSOLE, measure, networks, show
from sparsebench.catalog import protocols
from sparsebench.contracts import Block, Protocol, Trial
from sparsebench.statistics.intervals import estimate
from sparsebench.statistics.pairs import by_treatment, log_ratios, pairs
from sparsebench.statistics.verdicts import Compared, Verdict, verdicts
from sparsebench.store import Store

Span = tuple[datetime, datetime]
ENGINES = ("onnxruntime", "openvino", "deepsparse")


def main(
    store: Annotated[str, typer.Option(help="of the models")] = Path(".sparsebench/store").resolve().as_uri(),
    networks_: Annotated[str, typer.Option("--networks", help="names, with commas; default: all in the store")] = "",
    variants: str = "pruned",
    protocol: str = "quick",
    budget: Annotated[float, typer.Option(help="machine seconds of each of the two runs")] = 120,
    seconds: Annotated[float, typer.Option(help="of each turn of the foreign process")] = 10,
    quick: Annotated[bool, typer.Option("--quick", help="one network, 30 s")] = False,
    seed: int = 0,
    json: Annotated[Path | None, typer.Option(help="write the table here too")] = None,
) -> None:
    """Measure beside a foreign process."""
    measured = networks(Store(store), [name for name in networks_.split(",") if name], variants.split(","))
    chosen = protocols()[protocol].model_copy(update={"budget_s": 30 if quick else budget})
    rows: list[dict[str, Any]] = []
    for network in measured[:1] if quick else measured:

        def trials(name: str, chosen: Protocol = chosen, network=network) -> list[Trial]:  # type: ignore[no-untyped-def]
            CONSOLE.rule(f"{network.name}, {name}")
            with TemporaryDirectory() as folder:
                return measure(Path(folder), network, ENGINES, chosen, seed)

        alone = trials("alone")
        with busy(seconds) as spans:
            beside = trials("beside a foreign process")
        blocks = [block for trial in beside for block in trial.blocks]
        truly = [block for block in blocks if any(_inside(block, span) for span in spans)]
        free = [block for block in blocks if not any(_touches(block, span) for span in spans)]
        CONSOLE.print(
            f"{sum(block.disturbed for block in truly)} of {len(truly)} disturbed blocks were flagged, and "
            f"{sum(block.disturbed for block in free)} of {len(free)} undisturbed ones; alone, "
            f"{sum(block.disturbed for trial in alone for block in trial.blocks)} of "
            f"{sum(len(trial.blocks) for trial in alone)}",
            highlight=False,
        )
        without_rule = _verdicts([_unflagged(trial) for trial in beside])
        with_rule, reference = _verdicts(beside), _verdicts(alone)
        for pair, verdict in reference.items():
            rows.append(
                {
                    "network": network.name,
                    "pair": pair,
                    "alone": _words(verdict),
                    "beside it": _words(with_rule.get(pair)),
                    "beside it, had nothing been left out": _words(without_rule.get(pair)),
                    "flagged": f"{sum(block.disturbed for block in truly)} of {len(truly)}",
                    "falsely": f"{sum(block.disturbed for block in free)} of {len(free)}",
                }
            )
    show("Ratios and verdicts beside a foreign process", rows, json)


@contextmanager
def busy(seconds: float) -> Iterator[list[Span]]:
    """A process that is busy on one core, and idle, in turns; the spans in which it was busy are there at the end."""
    spans: list[Span] = []
    stop = Event()
    queue: Any = Queue()  # of spans
    process = Process(target=_burn, args=(seconds, stop, queue), daemon=True)
    process.start()
    try:
        yield spans
    finally:
        stop.set()
        while process.is_alive() or not queue.empty():
            if not queue.empty():
                spans.append(queue.get())
            sleep(0.01)


def _burn(seconds: float, stop: EventType, queue: Any) -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    while not stop.is_set():
        start = datetime.now(UTC)
        end = start + timedelta(seconds=seconds)
        while datetime.now(UTC) < end:
            pass
        queue.put((start, end))
        stop.wait(seconds)


def _end(block: Block) -> datetime:
    return block.started_at + timedelta(seconds=block.seconds)


def _inside(block: Block, span: Span) -> bool:
    return span[0] <= block.started_at and _end(block) <= span[1]


def _touches(block: Block, span: Span) -> bool:
    return block.started_at <= span[1] and span[0] <= _end(block)


def _unflagged(trial: Trial) -> Trial:
    """The trial as it would be if interference had not been looked for."""
    unseen = [
        block.model_copy(
            update={"interference": block.interference.model_copy(update={"foreign_cores": None, "stolen_cores": None})}
        )
        for block in trial.blocks
    ]
    return trial.model_copy(update={"blocks": tuple(unseen)})


def _verdicts(trials: list[Trial]) -> dict[str, Verdict]:
    blocks = by_treatment(trials)
    compared = {}
    for a, b in pairs(list(blocks)):
        shared = list(log_ratios(blocks[a], blocks[b]).values())
        if len(shared) > 1:
            compared[f"{a.engine} / {b.engine}"] = Compared(estimate(shared), sum(map(len, shared)), len(shared))
    return verdicts(compared)


def _words(verdict: Verdict | None) -> str:
    if verdict is None:
        return "no two processes with an undisturbed round"
    return f"{verdict.ratio:.2f} ± {verdict.half_width:.0%} {verdict.kind}"


if __name__ == "__main__":
    typer.run(main)
