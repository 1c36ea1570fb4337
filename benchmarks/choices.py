"""How often does a choice call the true best a loser, or another the only best?

    .venv/bin/python -m benchmarks.choices --help

Nights with known truth: engines on machines of one price, with processes that are faster or slower for their whole
life, and a drift that is common to what took turns. Half a minute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import typer
from numpy.random import Generator
from rich.console import Console
from rich.table import Table

from sparsebench.analysis.candidates import Candidate
from sparsebench.analysis.choice import Bounds, rank
from sparsebench.analysis.prices import Offer
from sparsebench.analysis.results import Machine
from sparsebench.contracts import Block
from sparsebench.statistics.pairs import Treatment, Unit

TRUTHS = {
    "all are equal": (0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    "the best by 2 %": (0.02, 0.0, 0.0, 0.0, 0.0, 0.0),
    "the best by 10 %": (0.10, 0.0, 0.0, 0.0, 0.0, 0.0),
    "two equally best": (0.10, 0.0, 0.0, 0.10, 0.0, 0.0),
}
"""Logs of the true speeds of three engines on one machine, then of three on another."""

ENGINES = ("onnxruntime", "openvino", "deepsparse")
PROCESS, DRIFT, BLOCK = 0.02, 0.03, 0.02
"""Standard deviations of log speeds: of a process, of what a generation has in common, of a block."""


@dataclass(frozen=True)
class Claims:
    """Shares of the nights. lost: a true best is called a loser. wrong: a candidate that is no true best, or one of
    several, is called the only best. right: the only true best is. covered: of the intervals of what the others are
    behind, all hold together."""

    lost: float
    wrong: float
    right: float
    covered: float


def made_up(truth: Sequence[float], rng: Generator, processes: int = 6, rounds: int = 4) -> list[Candidate]:
    """The candidates of a night, as many as there are truths, each three of which share a machine."""
    listed = []
    for first in range(0, len(truth), len(ENGINES)):
        machine = Machine(f"machine-{first}", "CPU", False)
        drift = rng.normal(0, DRIFT, (processes, rounds))
        for engine, log in zip(ENGINES, truth[first:], strict=False):
            of_process = rng.normal(log, PROCESS, (processes, 1)) + drift + rng.normal(0, BLOCK, (processes, rounds))
            blocks = {
                Unit(machine.instance_type, "job", generation): {
                    number: Block.model_construct(round=number, images=10, seconds=1 / np.exp(of_round))
                    for number, of_round in enumerate(of_generation)
                }
                for generation, of_generation in enumerate(of_process)
            }
            offer = Offer(1.0, "us-east-1", "on_demand", "2026-01-01")
            treatment = Treatment("base", engine, "f32")
            listed.append(Candidate(machine, "network", treatment, blocks, 2, offer, None, None, None))
    return listed


def claims(truth: Sequence[float], nights: int, rng: Generator, processes: int = 6) -> Claims:
    lost = wrong = right = covered = 0
    best = max(truth)
    for _ in range(nights):
        listed = made_up(truth, rng, processes)
        truth_by_id = dict(zip(map(id, listed), truth, strict=True))
        ranked = rank(listed, Bounds())
        first = truth_by_id[id(ranked[0].candidate)]
        sole = all(other.verdict == "loses" for other in ranked[1:])
        lost += any(other.verdict == "loses" and truth_by_id[id(other.candidate)] == best for other in ranked)
        wrong += sole and (first != best or list(truth).count(best) > 1)
        right += sole and first == best and list(truth).count(best) == 1
        covered += all(
            other.behind_low <= np.exp(first - truth_by_id[id(other.candidate)]) - 1 <= other.behind_high
            for other in ranked[1:]
        )
    return Claims(lost / nights, wrong / nights, right / nights, covered / nights)


def main(
    nights: Annotated[int, typer.Option(help="Of each truth.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the made-up nights.")] = 1,
) -> None:
    """Print the shares of wrong claims."""
    shown = Table("truth", "processes", "true best lost", "wrong winner", "right winner", "intervals hold together")
    for name, truth in TRUTHS.items():
        for processes in (6, 12):
            claimed = claims(truth, nights, np.random.default_rng(seed), processes)
            shares = (f"{share:.1%}" for share in (claimed.lost, claimed.wrong, claimed.right, claimed.covered))
            shown.add_row(name, str(processes), *shares)
    Console(width=120).print(shown)


if __name__ == "__main__":
    typer.run(main)
