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
    first, *_ = entering(*cells)
    return first.keys() & _noisy(cells)


def entering(*cells: Blocks) -> list[Blocks]:
    """The blocks of the rounds that all cells have, unit by unit; of a unit that has rounds without tolerated blocks,
    of those alone. Where MIN_PROCESSES units have such rounds, the others are left out."""
    rounds = {}
    for unit in _shared(cells):
        of_unit = [cell[unit] for cell in cells]
        if enter := _quiet_rounds(of_unit) or sorted(set.intersection(*(set(blocks) for blocks in of_unit))):
            rounds[unit] = enter
    quiet = rounds.keys() - _noisy(cells)
    units = [unit for unit in rounds if unit in quiet or len(quiet) < MIN_PROCESSES]
    return [{unit: {round_: cell[unit][round_] for round_ in rounds[unit]} for unit in units} for cell in cells]


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


def _shared(cells: Sequence[Blocks]) -> list[Unit]:
    first, *others = cells
    return [unit for unit in first if all(unit in other for other in others)]


def _noisy(cells: Sequence[Blocks]) -> set[Unit]:
    return {unit for unit in _shared(cells) if not _quiet_rounds([cell[unit] for cell in cells])}


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
