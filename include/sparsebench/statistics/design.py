"""How many rounds to time in each process.

After Kalibera and Jones, "Rigorous benchmarking in reasonable time" (doi 10.1145/2464157.2464160): variance between
and within processes is set against what a process and a round cost. How many processes there are is not planned: one
after the other begins until the intervals are narrow enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, sqrt

import numpy as np

ENOUGH_PROCESSES = 6
"""Student's t widens the interval of fewer processes by a third and more, so rounds leave time for so many."""


@dataclass(frozen=True)
class Spread:
    """Variances of a pair's log ratio."""

    within: float
    """Of the rounds of one process."""
    between: float
    """Of processes, beyond what their rounds explain."""


@dataclass(frozen=True)
class Cost:
    """Machine seconds."""

    generation: float
    """To load and warm up one process of every engine."""
    round: float


def spread(units: Sequence[Sequence[float]]) -> Spread:
    """The spread of a pair's log ratios, process by process; needs two."""
    freedom = sum(len(unit) - 1 for unit in units)
    squares = sum(float(np.var(unit)) * len(unit) for unit in units)
    within = squares / freedom if freedom else 0.0
    means = [float(np.mean(unit)) for unit in units]
    explained = within * float(np.mean([1 / len(unit) for unit in units]))
    return Spread(within, max(0.0, float(np.var(means, ddof=1)) - explained))


def rounds_per_process(spreads: Sequence[Spread], cost: Cost, budget_s: float, least: int, most: int) -> int:
    """Rounds that give the narrowest interval for the machine time: sqrt(cost of a process over that of a round,
    times variance within over variance between), of the pair that varies most.

    Not more than let ENOUGH_PROCESSES fit into the budget (s), and within ``least`` and ``most``. It depends on the
    proportions of the variances, not on their size: more noise means more processes, never fewer blocks.
    """
    most = min(most, floor((budget_s / ENOUGH_PROCESSES - cost.generation) / cost.round))
    worst = max(spreads, key=lambda spread: spread.within + spread.between)
    best = sqrt(cost.generation / cost.round * worst.within / worst.between) if worst.between else most
    return max(least, ceil(min(best, most)))
