"""Ratios over nights. What is watched is within a host: hosts differ from night to night, and take both sides along."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import NamedTuple

from sparsebench.analysis.pooling import Night, pooled
from sparsebench.analysis.ratios import Pair, Ratio, measure
from sparsebench.contracts import Manifest, NightRatio, NightRatios, Scenario
from sparsebench.errors import IntegrityError, StoreError
from sparsebench.statistics.intervals import Estimate, combined
from sparsebench.statistics.pairs import Treatment
from sparsebench.store import Store, Unreadable


class Watched(NamedTuple):
    """What a series is of: A's throughput over B's. The CPU is not part of it: another one is a change."""

    instance_type: str
    scenario: Scenario
    network: str
    a: Treatment
    b: Treatment


@dataclass
class Series:
    """The nights that have this ratio, oldest first: which of the history's they are, the ratio's log, and its
    standard error."""

    nights: array[int] = field(default_factory=lambda: array("l"))
    logs: array[float] = field(default_factory=lambda: array("d"))
    errors: array[float] = field(default_factory=lambda: array("d"))


@dataclass(frozen=True)
class History:
    """nights: their names, oldest first."""

    nights: tuple[str, ...]
    series: Mapping[Watched, Series]


def history(nights: Iterable[NightRatios]) -> History:
    """Nights, oldest first, as series. Each is looked at once; what is kept grows with series times nights."""
    names: list[str] = []
    series: dict[Watched, Series] = {}
    for night in nights:
        for ratio in night.ratios:
            a = Treatment(ratio.variant_a, ratio.engine_a, ratio.precision)
            b = Treatment(ratio.variant_b, ratio.engine_b, ratio.precision)
            watched_series = series.setdefault(
                Watched(ratio.instance_type, night.scenario, ratio.network, a, b), Series()
            )
            watched_series.nights.append(len(names))
            watched_series.logs.append(ratio.log_ratio)
            watched_series.errors.append(ratio.error)
        names.append(night.night)
    return History(tuple(names), series)


def read(store: Store, unreadable: list[Unreadable], keep: bool = False) -> Iterator[NightRatios]:
    """Every night of a store that has a ratio. Where these are not there, or damaged, they are computed from trials.

    Args:
        unreadable: to which nights, and ratios, are added that cannot be read, with the reason; they are left out.
        keep: the computed ones, in the store, where there were none.
    """
    for name in store.nights():
        try:
            ratios = _kept(store, name, unreadable)
            if ratios is None:
                night = Night.read(store, name)
                ratios = night_ratios(night.manifest, measure(pooled([night])))
                if keep and not store.has_night_ratios(name):
                    store.put_night_ratios(ratios)
        except StoreError as error:
            unreadable.append(Unreadable(f"nights/{name}", str(error)))
        else:
            if ratios.ratios:
                yield ratios


def _kept(store: Store, night: str, unreadable: list[Unreadable]) -> NightRatios | None:
    try:
        return store.night_ratios(night)
    except IntegrityError as error:
        unreadable.append(Unreadable(store.night_ratios_path(night), str(error)))
        return None


def night_ratios(manifest: Manifest, measured: Mapping[Pair, Ratio]) -> NightRatios:
    """Those that are watched: of two engines on a file, and of a file and its base in an engine, in one lane, timed in
    the same rounds, with an interval, on a host that was quiet for long enough. An instance type that had several CPUs
    has their mean. A night that repeats another's inputs has none: it is no part of the history."""
    ratios = () if manifest.repeats else watched(measured)
    return NightRatios(night=manifest.night, scenario=manifest.protocol.scenario, ratios=ratios)


def watched(measured: Mapping[Pair, Ratio]) -> tuple[NightRatio, ...]:
    """The ratios that are watched, of all that were measured."""
    parts: dict[tuple[str, str, Treatment, Treatment], list[Estimate]] = {}
    for pair, ratio in measured.items():
        if pair.a.precision != pair.b.precision or not ratio.paired or not isfinite(ratio.log.error):
            continue
        if ratio.compared.is_disturbed:
            continue
        if pair.same_file and pair.a > pair.b:  # by name: the catalog's order may be another one next year
            pair, ratio = pair._replace(a=pair.b, b=pair.a), ratio.inverse
        parts.setdefault((pair.machine.instance_type, pair.network, pair.a, pair.b), []).append(ratio.log)
    return tuple(
        NightRatio(
            instance_type=instance_type,
            network=network,
            precision=a.precision,
            variant_a=a.variant,  # type: ignore[arg-type]  # of a trial
            engine_a=a.engine,
            variant_b=b.variant,  # type: ignore[arg-type]
            engine_b=b.engine,
            log_ratio=(log := combined(estimates)).mean,
            error=log.error,
        )
        for (instance_type, network, a, b), estimates in sorted(parts.items())
    )
