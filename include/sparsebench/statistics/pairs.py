"""Log ratios of two treatments' throughputs, from the rounds in which both were timed undisturbed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from sparsebench.contracts import Block, Precision, Trial
from sparsebench.statistics.verdicts import MIN_PROCESSES

BASE = "base"
"""The variant that the others of its network are compared with."""


class Treatment(NamedTuple):
    """What is compared within a network: one of its files, by an engine that is held to a precision."""

    variant: str
    engine: str
    precision: Precision


class Unit(NamedTuple):
    """Processes that took turns: where they ran, and which generation of which job they were.

    variant: empty, as a generation holds all of a network's variants; before format 2 it held a single one, and a
    number says nothing of those of another.
    """

    instance_id: str
    job: str
    generation: int
    variant: str = ""


Blocks = Mapping[Unit, Mapping[int, Block]]
"""The undisturbed blocks of a treatment, by unit and round."""

Logs = dict[Unit, list[float]]
"""Log ratios (or logs) of the rounds of each unit."""


def treatment(trial: Trial) -> Treatment:
    return Treatment(trial.cell.variant, trial.cell.engine, trial.cell.precision)


def unit(trial: Trial) -> Unit:
    variant = "" if trial.variants else trial.cell.variant
    return Unit(trial.instance_id, trial.job, trial.generation, variant)


def by_treatment(trials: Iterable[Trial]) -> dict[Treatment, Blocks]:
    """The blocks of measured trials that may enter. Trials: of one network."""
    treatments: dict[Treatment, dict[Unit, Mapping[int, Block]]] = {}
    for trial in (trial for trial in trials if trial.status == "measured"):
        if blocks := {block.round: block for block in trial.blocks if not block.disturbed}:
            treatments.setdefault(treatment(trial), {})[unit(trial)] = blocks
    return dict(treatments)


def disturbed(*cells: Blocks) -> set[Unit]:
    """The units that enter although disturbed: in which the cells have no round without a tolerated block."""
    units, quiet = _entering(cells)
    return {unit for unit in units if not quiet[unit]}


def entering(*cells: Blocks) -> list[Blocks]:
    """The blocks of the rounds that all cells have, unit by unit; of a unit that has rounds without tolerated blocks,
    of those alone. Where MIN_PROCESSES units have such rounds, the others are left out."""
    rounds, _ = _entering(cells)
    return [
        {unit: {round_: cell[unit][round_] for round_ in enter} for unit, enter in rounds.items()} for cell in cells
    ]


def log_ratios(a: Blocks, b: Blocks) -> Logs:
    """log(A's throughput / B's) of each round in which both enter."""
    of_a, of_b = entering(a, b)
    return {
        unit: [
            math.log(block.throughput_img_s / of_b[unit][round_].throughput_img_s) for round_, block in rounds.items()
        ]
        for unit, rounds in of_a.items()
    }


def logs(a: Blocks) -> Logs:
    """log(throughput) of each round that enters."""
    (of_a,) = entering(a)
    return {unit: [math.log(block.throughput_img_s) for block in rounds.values()] for unit, rounds in of_a.items()}


def _entering(cells: Sequence[Blocks]) -> tuple[dict[Unit, list[int]], dict[Unit, list[int]]]:
    """The rounds that enter, of each unit that does; and those without tolerated blocks, of each that all have."""
    first, *others = cells
    shared = [unit for unit in first if all(unit in other for other in others)]
    quiet = {unit: _quiet_rounds([cell[unit] for cell in cells]) for unit in shared}
    enough = sum(map(bool, quiet.values())) >= MIN_PROCESSES
    rounds = {
        unit: of_unit or sorted(set.intersection(*(set(cell[unit]) for cell in cells)))
        for unit, of_unit in quiet.items()
        if of_unit or not enough
    }
    return {unit: enter for unit, enter in rounds.items() if enter}, quiet


def _quiet_rounds(cells: Sequence[Mapping[int, Block]]) -> list[int]:
    """The rounds in which each has a block that is not merely tolerated."""
    rounds = set.intersection(*({r for r, block in blocks.items() if not block.tolerated} for blocks in cells))
    return sorted(rounds)


def pairs(treatments: Sequence[Treatment]) -> list[tuple[Treatment, Treatment]]:
    """Those that are compared: engines on the same file in one precision; an engine's two precisions on a file; and a
    variant (first) with the base in the same engine and precision."""
    compared = []
    for a, b in combinations(treatments, 2):
        if a.variant == b.variant:
            if a.precision == b.precision or a.engine == b.engine:
                compared.append((a, b))
        elif (a.engine, a.precision) == (b.engine, b.precision) and BASE in (a.variant, b.variant):
            compared.append((b, a) if a.variant == BASE else (a, b))
    return compared


def pair_name(a: Treatment, b: Treatment) -> str:
    """What the two have in common, then by what they differ."""
    if a.variant == b.variant:
        return f"{a.variant}: {a.engine} {a.precision} / {b.engine} {b.precision}"
    return f"{a.engine} {a.precision}: {a.variant} / {b.variant}"
