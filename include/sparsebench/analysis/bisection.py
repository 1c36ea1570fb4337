"""On which side a change is: what two nights' inputs do on the same kind of instance, in one run."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from typing import NamedTuple

from sparsebench.analysis.history import watched
from sparsebench.analysis.pooling import Night, pooled
from sparsebench.analysis.ratios import measure
from sparsebench.contracts import ChangedSeries, Changes, NightRatio, WatchedRatio
from sparsebench.fleet.bisection import FEWEST
from sparsebench.statistics.intervals import LEVEL, Estimate, difference, estimate


class Shift(NamedTuple):
    """What the inputs alone do to a ratio: after over before, each the mean of its side's hosts.

    log: with a sample a host; hosts differ, so processes of one host would claim too much.
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
    old, new = (_by_host(night, instance_type) for night in (before, after))
    return [
        Shift(ratio, difference(_over(new[ratio]), _over(old[ratio])), (len(old[ratio]), len(new[ratio])))
        for ratio in old
        if ratio in new and min(len(old[ratio]), len(new[ratio])) >= FEWEST
    ]


def expected_of(changes: Changes | None, ratio: WatchedRatio, instance_type: str, after: str) -> ChangedSeries | None:
    """What the history says of a ratio's change by a night; None: it says nothing of it."""
    for event in changes.events if changes else ():
        for series in event.series:
            if (
                _ratio(series) == ratio
                and (series.instance_type or event.instance_type) == instance_type
                and series.first <= after
            ):
                return series
    return None


def _by_host(night: Night, instance_type: str) -> dict[WatchedRatio, list[float]]:
    """The logs of each ratio, one a host."""
    logs: dict[WatchedRatio, list[float]] = {}
    for host in sorted({trial.instance_id for trial in night.trials if trial.cell.instance_type == instance_type}):
        trials = [trial for trial in night.trials if trial.instance_id == host]
        of_host = Night(night.manifest, trials, [facts for facts in night.hosts if facts.instance_id == host])
        for ratio in watched(measure(pooled([of_host]))):
            logs.setdefault(_ratio(ratio), []).append(ratio.log_ratio)
    return logs


def _ratio(series: NightRatio | ChangedSeries) -> WatchedRatio:
    """Which ratio it is, without what a night or the history says of it."""
    return WatchedRatio(**{name: getattr(series, name) for name in WatchedRatio.model_fields})


def _over(logs: Sequence[float]) -> Estimate:
    """The mean over hosts."""
    return estimate([[log] for log in logs])
