"""On which side a change is: what two nights' inputs do on the same kind of instance, in one run."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, hypot
from typing import NamedTuple

import numpy as np

from sparsebench.analysis.history import watched
from sparsebench.analysis.pooling import Night, pooled
from sparsebench.analysis.ratios import measure
from sparsebench.contracts import ChangedSeries, Changes, NightRatio, WatchedRatio
from sparsebench.statistics.intervals import LEVEL, Estimate

FEWEST = 2
"""Hosts of either side that a ratio needs."""


class Shift(NamedTuple):
    """What the inputs alone do to a ratio: after over before, each the mean of its side's hosts.

    log: Welch's estimate, with a sample a host; hosts differ, so processes of one host would claim too much.
    """

    ratio: WatchedRatio
    log: Estimate
    hosts: tuple[int, int]

    @property
    def times(self) -> tuple[float, float, float]:
        """The change, with its 95 % interval."""
        low, high = self.log.interval()
        return exp(self.log.mean), exp(low), exp(high)

    def moved(self, of: int) -> bool:
        """Whether it is a change when so many ratios have to hold together (Bonferroni)."""
        return self.log.p_value() <= (1 - LEVEL) / of


def shifts(before: Night, after: Night, instance_type: str) -> list[Shift]:
    """Every ratio that at least FEWEST hosts of either side have."""
    logs = [_by_host(night, instance_type) for night in (before, after)]
    return [
        Shift(ratio, _difference(logs[0][ratio], logs[1][ratio]), (len(logs[0][ratio]), len(logs[1][ratio])))
        for ratio in logs[0]
        if ratio in logs[1] and min(len(side[ratio]) for side in logs) >= FEWEST
    ]


def expected_of(changes: Changes | None, ratio: WatchedRatio, instance_type: str, after: str) -> ChangedSeries | None:
    """What the history says of a ratio's change by a night; None: it says nothing of it."""
    for event in changes.events if changes else ():
        for series in event.series:
            is_it = WatchedRatio(**{name: getattr(series, name) for name in WatchedRatio.model_fields}) == ratio
            if is_it and (series.instance_type or event.instance_type) == instance_type and series.first <= after:
                return series
    return None


def _by_host(night: Night, instance_type: str) -> dict[WatchedRatio, list[float]]:
    """The logs of each ratio, one a host."""
    logs: dict[WatchedRatio, list[float]] = {}
    for host in sorted({trial.instance_id for trial in night.trials if trial.cell.instance_type == instance_type}):
        trials = [trial for trial in night.trials if trial.instance_id == host]
        of_host = Night(night.manifest, trials, [facts for facts in night.hosts if facts.instance_id == host])
        for ratio in watched(measure(pooled([of_host]))):
            logs.setdefault(_of(ratio), []).append(ratio.log_ratio)
    return logs


def _of(ratio: NightRatio) -> WatchedRatio:
    return WatchedRatio(**{name: getattr(ratio, name) for name in WatchedRatio.model_fields})


def _difference(before: Sequence[float], after: Sequence[float]) -> Estimate:
    """Of the means, with Welch and Satterthwaite's degrees of freedom."""
    errors = [float(np.std(side, ddof=1)) / len(side) ** 0.5 for side in (before, after)]
    error = hypot(*errors)
    parts = sum(e**4 / (len(side) - 1) for e, side in zip(errors, (before, after), strict=True))
    return Estimate(float(np.mean(after) - np.mean(before)), error, error**4 / parts if parts else 1.0)
