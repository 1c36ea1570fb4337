"""Log ratios of two engines' throughputs, from the rounds in which both were timed undisturbed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from sparsebench.contracts import Block, Precision, Trial


class Lane(NamedTuple):
    """A treatment: an engine, and the precision that it is held to."""

    engine: str
    precision: Precision


class Unit(NamedTuple):
    """Processes that took turns: where they ran, and which generation of which job they were."""

    instance_id: str
    job: str
    generation: int


Logs = dict[Unit, list[float]]
"""Log ratios (or logs) of the rounds of each unit."""


def lane(trial: Trial) -> Lane:
    return Lane(trial.cell.engine, trial.cell.precision)


def by_lane(trials: Iterable[Trial]) -> dict[Lane, dict[Unit, Mapping[int, Block]]]:
    """The undisturbed blocks of measured trials, by lane, unit and round. Trials: of one network's variant."""
    found: dict[Lane, dict[Unit, Mapping[int, Block]]] = {}
    for trial in trials:
        blocks = {block.round: block for block in trial.blocks if not block.disturbed}
        if trial.status == "measured" and blocks:
            unit = Unit(trial.instance_id, trial.job, trial.generation)
            found.setdefault(lane(trial), {})[unit] = blocks
    return found


def log_ratios(a: Mapping[Unit, Mapping[int, Block]], b: Mapping[Unit, Mapping[int, Block]]) -> Logs:
    """log(A's throughput / B's) of each round that both have, unit by unit."""
    found = {
        unit: [
            math.log(blocks[round_].throughput_img_s / b[unit][round_].throughput_img_s)
            for round_ in sorted(blocks.keys() & b[unit].keys())
        ]
        for unit, blocks in a.items()
        if unit in b
    }
    return {unit: logs for unit, logs in found.items() if logs}


def logs(a: Mapping[Unit, Mapping[int, Block]]) -> Logs:
    """log(throughput) of each round."""
    return {unit: [math.log(blocks[r].throughput_img_s) for r in sorted(blocks)] for unit, blocks in a.items()}


def pairs(lanes: Sequence[Lane]) -> list[tuple[Lane, Lane]]:
    """Those that are compared: engines in the same precision, and an engine with itself in the other."""
    return [(a, b) for a, b in combinations(lanes, 2) if a.precision == b.precision or a.engine == b.engine]
