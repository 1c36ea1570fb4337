"""How many changes are found in nights of a known truth, how late, and how many that there are not?

    .venv/bin/python -m benchmarks.synthetic_histories --help

A history is an instance type's: networks, base and pruned, in three engines, every pair of which is a series. The noise
is that of real stores (docs/measuring.md): of a host, which an engine has on all networks of a night; of a night, an
engine and a file; and of measuring, whose standard error is itself estimated from six processes. Four minutes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Annotated

import numpy as np
import typer
from numpy.random import Generator
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from sparsebench.analysis.changes import Change, changes

Floats = NDArray[np.float64]

ENGINES, NETWORKS, VARIANTS = 3, 5, 2
HOST, NIGHT, MEASURED = 0.005, 0.009, 0.01
"""Standard deviations of logs: what an engine has on a host, what a treatment has in a night, and the error of a
ratio's measurement. A ratio of engines so differs by 1.5 % between nights, and by 1.8 % as it is measured."""

STEP_AT = 100

Shape = tuple[int, ...]


def normal(rng: Generator, shape: Shape) -> Floats:
    return rng.standard_normal(shape)


def heavy(rng: Generator, shape: Shape) -> Floats:
    """Student's with three degrees of freedom, of variance 1: some nights are far out."""
    return rng.standard_t(3, shape) / np.sqrt(3)


def autocorrelated(rng: Generator, shape: Shape, last: float = 0.4) -> Floats:
    """A night resembles the one before (nights are the last axis)."""
    values = rng.standard_normal(shape)
    for night in range(1, shape[-1]):
        values[..., night] = last * values[..., night - 1] + np.sqrt(1 - last**2) * values[..., night]
    return values


def lottery(rng: Generator, shape: Shape) -> Floats:
    """Every night is on one of two kinds of hosts."""
    return rng.choice([-1.0, 1.0], shape)


NOISE: dict[str, Callable[[Generator, Shape], Floats]] = {
    "normal": normal,
    "heavy tails": heavy,
    "autocorrelated": autocorrelated,
    "two kinds of hosts": lottery,
}


def step(size: float) -> Callable[[Floats, Generator], None]:
    """The first engine is so much faster from STEP_AT on."""

    def apply(speeds: Floats, _: Generator) -> None:
        speeds[0, ..., STEP_AT:] += np.log1p(size)

    return apply


def drift(speeds: Floats, _: Generator) -> None:
    """The first engine gains 5 % over a hundred nights."""
    speeds[0] += np.log(1.05) * np.clip((np.arange(speeds.shape[-1]) - 50) / 100, 0, 1)


def spike(speeds: Floats, _: Generator) -> None:
    """One night in which the first engine is 20 % slower."""
    speeds[0, ..., STEP_AT] -= 0.2


def swap(speeds: Floats, rng: Generator) -> None:
    """Another CPU: every treatment is faster or slower by some 10 %."""
    speeds[..., STEP_AT:] += rng.normal(0, 0.1, speeds.shape[:-1])[..., None]


TRUTHS: dict[str, Callable[[Floats, Generator], None]] = {
    "nothing": lambda *_: None,
    "a spike of one night, 20 %": spike,
    "a step of 2 %": step(0.02),
    "a step of 5 %": step(0.05),
    "a step of 10 %": step(0.10),
    "a drift of 5 % in 100 nights": drift,
    "another CPU": swap,
}


@dataclass
class Score:
    """late: nights from the first that is different to the one that it was told in. false: changes that there are not,
    in ``nights`` of all series together. off: nights that the first was missed by."""

    changed: int = 0
    detected: int = 0
    false: int = 0
    nights: int = 0
    late: list[int] = field(default_factory=list)
    off: list[int] = field(default_factory=list)
    covered: int = 0

    def add(self, series: Floats, told: list[Change], truth: Floats) -> None:
        """truth: the series without noise."""
        size = truth[-1] - truth[0]
        self.nights += len(series)
        moving = np.flatnonzero(np.diff(truth)) + 1
        real = bool(len(moving)) and abs(size) > 1e-9
        self.changed += real
        first = True
        for change in told:
            if real and first and change.told >= moving[0] and change.size * size > 0:
                self.detected += 1
                self.late.append(change.told - int(moving[0]))
                self.off.append(abs(change.first - int(moving[0])))
                self.covered += change.low <= size <= change.high
                first = False
            elif not (real and len(moving) > 1):  # of a drift, every part of it is true
                self.false += 1


def history(rng: Generator, noise: str, truth: str, nights: int) -> list[tuple[Floats, Floats, Floats]]:
    """Logs, errors and truth of every series of an instance type."""
    shape = (ENGINES, NETWORKS, VARIANTS, nights)
    true = np.zeros(shape)
    TRUTHS[truth](true, rng)
    of_host = HOST * NOISE[noise](rng, (ENGINES, 1, 1, nights))
    speeds = true + of_host + NIGHT * NOISE[noise](rng, shape)
    engines = [((a, n, v), (b, n, v)) for a, b in combinations(range(ENGINES), 2) for n, v in np.ndindex(shape[1:3])]
    files = [((e, n, 1), (e, n, 0)) for e, n in np.ndindex(shape[:2])]
    series = []
    for a, b in engines + files:
        errors = MEASURED * np.sqrt(rng.chisquare(5, nights) / 5)
        logs = speeds[a] - speeds[b] + MEASURED * rng.standard_normal(nights)
        series.append((logs, errors, true[a] - true[b]))
    return series


def score(truth: str, noise: str, histories: int, nights: int, seed: int) -> Score:
    rng, scored = np.random.default_rng([seed, list(TRUTHS).index(truth), list(NOISE).index(noise)]), Score()
    for _ in range(histories):
        for logs, errors, true in history(rng, noise, truth, nights):
            scored.add(logs, changes(logs, errors), true)
    return scored


def main(
    histories: Annotated[int, typer.Option(help="Of each truth and noise; each has 45 series.")] = 20,
    nights: Annotated[int, typer.Option(help="Of each series.")] = 200,
    seed: Annotated[int, typer.Option(help="Of the made-up nights.")] = 1,
) -> None:
    """Print what is found, how late, and what is found though it is not there."""
    columns = ("truth", "noise", "changed series", "found", "nights late: median, 90 %", "first night off by",
               "interval holds", "false per 1,000 series-nights")  # fmt: skip
    shown, began = Table(*columns), time.process_time()
    every = 0
    for truth in TRUTHS:
        for noise in NOISE:
            scored = score(truth, noise, histories, nights, seed)
            every += scored.nights
            late = [f"{value:.0f}" for value in np.quantile(scored.late, [0.5, 0.9])] if scored.late else []
            shown.add_row(
                truth,
                noise,
                str(scored.changed),
                f"{scored.detected / scored.changed:.0%}" if scored.changed else "",
                ", ".join(late),
                f"{np.mean(scored.off):.1f}" if scored.off else "",
                f"{scored.covered / scored.detected:.0%}" if scored.detected else "",
                f"{1000 * scored.false / scored.nights:.4f}",
            )
    console = Console(width=140)
    console.print(shown)
    console.print(f"{every:,} series-nights in {time.process_time() - began:.0f} s of CPU time", highlight=False)


if __name__ == "__main__":
    typer.run(main)
