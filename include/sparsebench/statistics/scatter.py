"""By how much the blocks of one process scatter."""

from __future__ import annotations

from math import nan, sqrt
from statistics import mean, median

from sparsebench.statistics.pairs import Logs

NORMAL = 1.4826
"""The standard deviation of a normal distribution over its median absolute deviation."""


def scatter(logs: Logs) -> float:
    """The standard deviation of log throughputs about the mean of their process, from the median absolute deviation, so
    that single outliers do not make it; NaN where no process has two blocks."""
    deviations = [
        abs(log - mean(of_unit)) * sqrt(len(of_unit) / (len(of_unit) - 1))
        for of_unit in logs.values()
        if len(of_unit) > 1
        for log in of_unit
    ]
    return NORMAL * median(deviations) if deviations else nan
