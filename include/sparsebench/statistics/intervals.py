"""Estimates with intervals, from samples in groups.

A *unit* is what one process says as a whole: the mean over its rounds. Blocks of one process are no independent
samples (a process can be faster or slower for its whole life, and what disturbs one block lasts into the next), so an
interval stands on the units alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from scipy.special import stdtr, stdtrit  # Student's t; scipy.stats says the same, fifty times slower

LEVEL = 0.95

ENOUGH_FREEDOM = 5
"""Of each part of a mean: of two and twenty processes Welch and Satterthwaite's interval covers 88 % instead of 95, of
three and twelve 93 %, of six and twenty 95 %."""


@dataclass(frozen=True)
class Estimate:
    """A mean of unit means, and what it stands on."""

    mean: float
    error: float
    """Standard error; infinite for a single unit."""
    freedom: float
    """Degrees of freedom of the error."""

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Both ends of Student's interval at this level."""
        if not np.isfinite(self.error):
            return -np.inf, np.inf
        half = float(stdtrit(self.freedom, (1 + level) / 2)) * self.error
        return self.mean - half, self.mean + half

    def p_value(self, value: float = 0.0) -> float:
        """Two-sided: how likely a difference from ``value`` as large as this is where there is none."""
        if not np.isfinite(self.error):
            return 1.0
        if not self.error:
            return float(self.mean == value)
        return float(2 * stdtr(self.freedom, -abs(self.mean - value) / self.error))


def estimate(units: Sequence[Sequence[float]]) -> Estimate:
    """The estimate of the mean over units, each of which counts the same however many samples it has."""
    means = np.array([fmean(unit) for unit in units])
    if len(means) < 2:
        return Estimate(float(means.mean()), np.inf, 0)
    return Estimate(float(means.mean()), float(means.std(ddof=1) / np.sqrt(len(means))), len(means) - 1)


def combined(estimates: Sequence[Estimate]) -> Estimate:
    """The estimate of the mean of independent means (of several networks, or hosts), each of which weighs the same.

    Degrees of freedom: Welch and Satterthwaite's. They are estimated, and by few processes badly: where a part has less
    than ENOUGH_FREEDOM, no more than the least.
    """
    if len(estimates) == 1:
        return estimates[0]
    count = len(estimates)
    mean = sum(part.mean for part in estimates) / count
    if not all(np.isfinite(part.error) for part in estimates):
        return Estimate(mean, np.inf, 0)
    variances = np.array([(part.error / count) ** 2 for part in estimates])
    total = float(variances.sum())
    freedom = total**2 / float((variances**2 / [part.freedom for part in estimates]).sum()) if total else 1.0
    if (least := min(part.freedom for part in estimates)) < ENOUGH_FREEDOM:
        freedom = min(freedom, least)
    return Estimate(mean, float(np.sqrt(total)), freedom)


def difference(a: Estimate, b: Estimate) -> Estimate:
    """The estimate of a - b, of independent means; degrees of freedom as of ``combined``."""
    return Estimate(a.mean - b.mean, float(np.hypot(a.error, b.error)), combined([a, b]).freedom)


def half_width(ratio: Estimate) -> float:
    """The half width of a ratio's interval, from the estimate of its log: 0.05 is ± 5 %; the larger side. Infinite
    where unknown."""
    low, high = ratio.interval()
    return float(np.expm1(high - ratio.mean)) if np.isfinite(low) else np.inf
