"""How often do the 95 % intervals hold the truth, and how often are equals called different?

    .venv/bin/python -m benchmarks.coverage --help

Three ways to make an interval of the same synthetic data, at sizes that can be afforded; then the whole procedure,
that stops when its intervals are narrow enough: little more than a minute. With ``--only percentiles,hosts,jobs`` those
of latency, of pooled hosts, and of whole jobs whose budget goes where intervals are widest: some minutes of each.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import product
from math import sqrt
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.random import Generator
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.special import stdtr
from tests.support.synthetic import HARD, NOISE, Floats, Measured, measure, pairs_of, student

from benchmarks.coverage_cells import Covered, Job, of_hosts, of_jobs, of_percentiles
from sparsebench.catalog import protocols
from sparsebench.contracts import Protocol
from sparsebench.statistics.design import Cost
from sparsebench.statistics.intervals import LEVEL, Estimate
from sparsebench.statistics.verdicts import EQUIVALENT_WITHIN, Compared, verdicts

CASES = NOISE | HARD
PROCESSES = (3, 6, 12)
ROUNDS = (8, 20)
TRUTH = float(np.log(1.1))
BLOCK_NOISE = 0.02
"""Standard deviation of a block's log throughput: what a unit of the synthetic noise is taken for."""

RESAMPLES = 1000

NOISE_LEVELS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0, 8.0)
"""A block's noise over the protocol's target: from quiet, where the minimum is enough, to hopeless."""

ENGINES = (2, 4)
MINIMA = {"quick": (3, 6), "standard": (6, 8)}
"""Protocols, and what is tried as their min_processes."""

COSTS = {"quick": Cost(generation=2, round=0.5), "standard": Cost(generation=6, round=1)}
"""So little that it is the target that ends most runs, and not the budget."""

CHUNK = 500
"""Runs at a time: 0.1 GB."""


@dataclass(frozen=True)
class Interval:
    """A row of the first table: a way to make an interval, of synthetic data of one kind and size."""

    case: str
    processes: int
    rounds: int
    method: str
    coverage: float
    error: float
    """Standard error of the coverage, binomial."""
    half_width: float
    """Of the ratio, mean: 0.05 is ± 5 %."""


@dataclass(frozen=True)
class Stopped:
    """A row of the second table: what the procedure ended with at one level of noise."""

    protocol: str
    min_processes: int
    engines: int
    case: str
    noise: float
    """Of a block, over the target."""
    processes: float
    """Mean."""
    coverage: float
    """Over all pairs."""
    worst_pair: float
    """Coverage of the pair that is covered least."""
    error: float
    """Standard error of that, binomial."""
    holm_alone: float
    """Families in which an equal is called different, were there no minimum of processes for a verdict."""
    called_different: float
    """The same, by the verdicts at a margin of 0."""
    called_different_beyond: float
    """The same, at the margin within which two are equivalent."""


def intervals(runs: int, rng: Generator) -> Iterator[Interval]:
    for case, processes, rounds in product(CASES, PROCESSES, ROUNDS):
        logs = BLOCK_NOISE * CASES[case](rng, (runs, processes, 2, rounds))
        ratios = TRUTH + pairs_of(logs)[:, :, 0]
        mean, _, half = student(ratios.mean(-1))
        ends = {"Student's t on processes": (mean - half, mean + half)} | bootstraps(ratios, rng)
        for method, (low, high) in ends.items():
            covered = float(np.mean((low <= TRUTH) & (high >= TRUTH)))
            width = float(np.expm1((high - low) / 2).mean())
            yield Interval(case, processes, rounds, method, covered, _error(covered, runs), width)


def bootstraps(ratios: Floats, rng: Generator) -> dict[str, tuple[Floats, Floats]]:
    """Percentile intervals. A resample is a weight for every sample, the same for all runs, so that one product of
    matrices makes them all."""
    runs, processes, rounds = ratios.shape
    chosen = rng.integers(processes, size=(RESAMPLES, processes))
    whole = np.zeros((RESAMPLES, processes))
    each = np.zeros((RESAMPLES, processes, rounds))
    row = np.arange(RESAMPLES)
    for slot in chosen.T:
        whole[row, slot] += 1 / processes
        each[row, slot] += rng.multinomial(rounds, np.full(rounds, 1 / rounds), RESAMPLES) / (processes * rounds)
    means = {
        "bootstrap of processes": ratios.mean(-1) @ whole.T,
        "bootstrap of processes, then rounds": ratios.reshape(runs, -1) @ each.reshape(RESAMPLES, -1).T,
    }
    tail = (1 - LEVEL) / 2
    ends = {method: np.quantile(estimates, (tail, 1 - tail), axis=1) for method, estimates in means.items()}
    return {method: (low, high) for method, (low, high) in ends.items()}


def stopped(runs: int, rng: Generator) -> Iterator[Stopped]:
    for name, minima in MINIMA.items():
        for least, engines, case in product(minima, ENGINES, CASES):
            protocol = protocols()[name].model_copy(update={"min_processes": least})
            measured: dict[float, list[Measured]] = {level: [] for level in NOISE_LEVELS}
            for _ in range(-(-runs // CHUNK)):
                logs = CASES[case](rng, (CHUNK, protocol.max_processes, engines, protocol.max_rounds))
                ratios = (protocol.target or 0) * pairs_of(logs)
                for level, chunks in measured.items():
                    chunks.append(measure(level * ratios, protocol, COSTS[name]))
            for level, chunks in measured.items():
                yield _summary(protocol, engines, case, level, Measured.together(chunks))


def _summary(protocol: Protocol, engines: int, case: str, level: float, measured: Measured) -> Stopped:
    """The summary of an A/A comparison, whose truth is 0."""
    covered = (abs(measured.mean) <= measured.half).mean(0)
    worst = float(covered.min())
    p = 2 * stdtr(measured.processes[:, None] - 1, -abs(measured.mean) / measured.error)
    suspects = np.flatnonzero((p <= 1 - LEVEL).any(-1))  # a verdict that two differ needs at least that
    runs = len(measured.mean)
    return Stopped(
        protocol=protocol.name,
        min_processes=protocol.min_processes,
        engines=engines,
        case=case,
        noise=level,
        processes=float(measured.processes.mean()),
        coverage=float(covered.mean()),
        worst_pair=worst,
        error=_error(worst, runs),
        holm_alone=float((p.min(-1) * p.shape[-1] <= 1 - LEVEL).mean()),
        called_different=sum(called_different(measured, int(run), 0) for run in suspects) / runs,
        called_different_beyond=sum(called_different(measured, int(run), EQUIVALENT_WITHIN) for run in suspects) / runs,
    )


def called_different(measured: Measured, run: int, margin: float) -> bool:
    """Whether any pair of a run's family is faster or slower."""
    rounds = measured.rounds[run]
    processes = int((rounds > 0).sum())
    family = {
        pair: Compared(Estimate(float(mean), float(error), processes - 1), int(rounds.sum()), processes)
        for pair, (mean, error) in enumerate(zip(measured.mean[run], measured.error[run], strict=True))
    }
    return any(verdict.kind in ("faster", "slower") for verdict in verdicts(family, margin).values())


def _error(fraction: float, runs: int) -> float:
    return sqrt(fraction * (1 - fraction) / runs)


def interval_table(rows: list[Interval]) -> Table:
    methods = list(dict.fromkeys(row.method for row in rows))
    table = Table("case", "processes", "rounds", *methods, title="Coverage of 95 % intervals (and mean half width)")
    cells = {(row.case, row.processes, row.rounds, row.method): row for row in rows}
    for case, processes, rounds in product(CASES, PROCESSES, ROUNDS):
        intervals = [cells[case, processes, rounds, method] for method in methods]
        table.add_row(case, str(processes), str(rounds), *(_coverage(row) for row in intervals))
    return table


def _coverage(row: Interval) -> str:
    return f"{row.coverage:.1%} ± {1.96 * row.error:.1%}  (± {row.half_width:.2%})"


def stopped_table(rows: list[Stopped]) -> Table:
    """The worst over the levels of noise."""
    table = Table(
        "protocol", "least", "engines", "case", "processes", "coverage", "of the worst pair",
        "Holm alone", "called different", f"beyond {EQUIVALENT_WITHIN:.0%}",
        title="With optional stopping, on equals: the worst of all levels of noise",
    )  # fmt: skip
    groups: dict[tuple[str, int, int, str], list[Stopped]] = {}
    for row in rows:
        groups.setdefault((row.protocol, row.min_processes, row.engines, row.case), []).append(row)
    for (protocol, least, engines, case), group in groups.items():
        worst = min(group, key=lambda row: row.worst_pair)
        table.add_row(
            protocol, str(least), str(engines), case,
            f"{min(row.processes for row in group):.0f} to {max(row.processes for row in group):.0f}",
            f"{min(row.coverage for row in group):.1%}",
            f"{worst.worst_pair:.1%} ± {1.96 * worst.error:.1%} at {worst.noise:g}",
            f"{max(row.holm_alone for row in group):.1%}",
            f"{max(row.called_different for row in group):.1%}",
            f"{max(row.called_different_beyond for row in group):.1%}",
        )  # fmt: skip
    return table


def covered_table(rows: list[Covered]) -> Table:
    table = Table("what", "case", "size", "coverage", "half width", "shown", title="Percentiles and hosts")
    for row in rows:
        coverage = f"{row.coverage:.1%} ± {1.96 * row.error:.1%}"
        table.add_row(row.what, row.case, row.size, coverage, f"± {row.half_width:.1%}", f"{row.shown:.0%}")
    return table


def jobs_table(rows: list[Job]) -> Table:
    table = Table(
        "protocol", "case", "noise", "processes", "engine ratios", "file ratios", "false: engines", "files",
        title="Whole jobs on equals: three networks, two files, four engines",
    )  # fmt: skip
    for row in rows:
        table.add_row(
            row.protocol, row.case, row.noise, f"{row.processes:.1f}", f"{row.engine_ratios:.1%}",
            f"{row.file_ratios:.1%} ± {1.96 * row.error:.1%}", f"{row.false_engines:.1%}", f"{row.false_files:.1%}",
        )  # fmt: skip
    return table


def _jobs(runs: int, rng: Generator) -> Iterator[Job]:
    yield from of_jobs(runs, rng, protocols()["quick"])


TABLES: dict[str, tuple[Callable[[int, Generator], Iterator[Any]], Callable[[list[Any]], Table]]] = {
    "intervals": (intervals, interval_table),
    "stopped": (stopped, stopped_table),
    "percentiles": (of_percentiles, covered_table),
    "hosts": (of_hosts, covered_table),
    "jobs": (_jobs, jobs_table),
}


def main(
    runs: Annotated[int, typer.Option(help="of each case")] = 4000,
    quick: Annotated[bool, typer.Option("--quick", help="500 runs")] = False,
    only: Annotated[str, typer.Option(help=f"tables, with commas: {', '.join(TABLES)}")] = "intervals,stopped",
    seed: int = 1,
    json_file: Annotated[Path | None, typer.Option("--json", help="write all rows here, of every noise")] = None,
) -> None:
    """Count how often intervals hold the truth, and how often equals are called different, on synthetic data."""
    runs = 500 if quick else runs
    console, progress = Console(), Console(stderr=True)
    tables: dict[str, list[dict[str, Any]]] = {}
    for name in only.split(","):
        if name not in TABLES:
            raise typer.BadParameter(f"{name} is none of {', '.join(TABLES)}", param_hint="--only")
        count, show = TABLES[name]
        rows = list(track(count(runs, np.random.default_rng(seed)), name, console=progress))
        console.print(show(rows))
        tables[name] = [asdict(row) for row in rows]
    if json_file:
        json_file.write_text(json.dumps(tables))


if __name__ == "__main__":
    typer.run(main)
