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
    """The blocks of measured trials that enter. Trials: of one network."""
    entering: dict[Treatment, dict[Unit, Mapping[int, Block]]] = {}
    for trial in settled([trial for trial in trials if trial.status == "measured"]):
        if blocks := {block.round: block for block in trial.blocks if not block.disturbed}:
            entering.setdefault(treatment(trial), {})[unit(trial)] = blocks
    return dict(entering)


def settled(trials: Sequence[Trial]) -> Sequence[Trial]:
    """Blocks that are merely tolerated enter as long as fewer than MIN_PROCESSES generations are without any; from then
    on they are left out as disturbed. Trials: of one network."""
    tolerated: dict[Unit, bool] = {}
    for trial in trials:
        where = unit(trial)
        tolerated[where] = tolerated.get(where, False) or any(block.tolerated for block in trial.blocks)
    if sum(not noisy for noisy in tolerated.values()) < MIN_PROCESSES:
        return trials
    return [_without_tolerance(trial) if tolerated[unit(trial)] else trial for trial in trials]


def _without_tolerance(trial: Trial) -> Trial:
    blocks = (block.model_copy(update={"tolerated": False}) if block.tolerated else block for block in trial.blocks)
    return trial.model_copy(update={"blocks": tuple(blocks)})


def disturbed(a: Blocks, b: Blocks | None = None) -> set[Unit]:
    """The units that enter although disturbed: in which A, or A and B, have no round without a tolerated block."""
    b = a if b is None else b
    return {unit for unit in a.keys() & b.keys() if not _quiet(a[unit], b[unit])}


def _quiet(*treatments: Mapping[int, Block]) -> list[int]:
    """The rounds in which each has a block that is not merely tolerated."""
    rounds = set.intersection(*({r for r, block in blocks.items() if not block.tolerated} for blocks in treatments))
    return sorted(rounds)


def log_ratios(a: Blocks, b: Blocks) -> Logs:
    """log(A's throughput / B's) of each round that both have, unit by unit; of a unit that has rounds without tolerated
    blocks, of those alone. Where MIN_PROCESSES units have such rounds, the others are left out."""
    ratios = {
        unit: [
            math.log(blocks[round_].throughput_img_s / b[unit][round_].throughput_img_s)
            for round_ in _quiet(blocks, b[unit]) or sorted(blocks.keys() & b[unit].keys())
        ]
        for unit, blocks in a.items()
        if unit in b
    }
    return _without(disturbed(a, b), {unit: logs for unit, logs in ratios.items() if logs})


def logs(a: Blocks) -> Logs:
    """log(throughput) of each round; otherwise as ``log_ratios``."""
    every = {
        unit: [math.log(of_unit[round_].throughput_img_s) for round_ in _quiet(of_unit) or sorted(of_unit)]
        for unit, of_unit in a.items()
    }
    return _without(disturbed(a), every)


def _without(noisy: set[Unit], every: Logs) -> Logs:
    quiet = {unit: logs for unit, logs in every.items() if unit not in noisy}
    return quiet if len(quiet) >= MIN_PROCESSES else every


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
