"""Ratios over nights. What is watched is within a host: hosts differ from night to night, and take both sides along."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite, log
from typing import NamedTuple

from sparsebench.analysis.pooling import Night, pooled
from sparsebench.analysis.ratios import Pair, Ratio, measure
from sparsebench.analysis.results import Results
from sparsebench.contracts import Manifest, NightRatio, NightRatios, NightSpeed, Scenario
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


class Timed(NamedTuple):
    """What a series of speeds is of: a cell's throughput. It stands beside the ratios, and is not watched itself."""

    instance_type: str
    scenario: Scenario
    network: str
    treatment: Treatment


@dataclass
class Series:
    """The nights that have this ratio, or speed, oldest first: which of the history's they are, its log, and the
    standard error of that."""

    nights: array[int] = field(default_factory=lambda: array("l"))
    logs: array[float] = field(default_factory=lambda: array("d"))
    errors: array[float] = field(default_factory=lambda: array("d"))

    def add(self, night: int, log: float, error: float) -> None:
        self.nights.append(night)
        self.logs.append(log)
        self.errors.append(error)


@dataclass(frozen=True)
class History:
    """nights: their names, oldest first. series: of ratios. speeds: in img/s."""

    nights: tuple[str, ...]
    series: Mapping[Watched, Series]
    speeds: Mapping[Timed, Series]


def history(nights: Iterable[NightRatios]) -> History:
    """Nights, oldest first, as series. Each is looked at once; what is kept grows with series times nights."""
    names: list[str] = []
    series: dict[Watched, Series] = {}
    speeds: dict[Timed, Series] = {}
    for night in nights:
        for ratio in night.ratios:
            a = Treatment(ratio.variant_a, ratio.engine_a, ratio.precision)
            b = Treatment(ratio.variant_b, ratio.engine_b, ratio.precision)
            of_pair = Watched(ratio.instance_type, night.scenario, ratio.network, a, b)
            series.setdefault(of_pair, Series()).add(len(names), ratio.log_ratio, ratio.error)
        for speed in night.speeds:
            treatment = Treatment(speed.variant, speed.engine, speed.precision)
            of_cell = Timed(speed.instance_type, night.scenario, speed.network, treatment)
            speeds.setdefault(of_cell, Series()).add(len(names), speed.log_img_s, speed.error)
        names.append(night.night)
    return History(tuple(names), series, speeds)


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
                results = pooled([night])
                ratios = night_ratios(night.manifest, measure(results), results)
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


def night_ratios(manifest: Manifest, measured: Mapping[Pair, Ratio], results: Results) -> NightRatios:
    """Those that are watched: of two engines on a file, and of a file and its base in an engine, in one lane, timed in
    the same rounds, with an interval, on a host that was quiet for long enough; and the speeds behind them. An instance
    type that had several CPUs has their mean. A night that repeats another's inputs has none: it is no part of the
    history."""
    ratios, speeds = ((), ()) if manifest.repeats else (watched(measured), _speeds(results))
    return NightRatios(night=manifest.night, scenario=manifest.protocol.scenario, ratios=ratios, speeds=speeds)


def _speeds(results: Results) -> tuple[NightSpeed, ...]:
    """Of the cells with an interval, on a host that was quiet for long enough."""
    cells = results.cells
    known = cells[cells["log_error"].notna() & ~(cells["tolerated_blocks"] > 0)]
    parts: dict[tuple[str, ...], list[Estimate]] = {}
    for row in known.to_dict("records"):
        key = (row["instance_type"], row["network"], row["variant"], row["engine"], row["precision"])
        parts.setdefault(key, []).append(Estimate(log(row["mean_img_s"]), row["log_error"], row["log_freedom"]))
    fields = ("instance_type", "network", "variant", "engine", "precision")
    return tuple(
        NightSpeed(
            **dict(zip(fields, key, strict=True)),  # type: ignore[arg-type]
            log_img_s=(pooled_log := combined(estimates)).mean,
            error=pooled_log.error,
        )
        for key, estimates in sorted(parts.items())
    )


def watched(measured: Mapping[Pair, Ratio]) -> tuple[NightRatio, ...]:
    """The ratios that are watched, of all that were measured."""
    parts: dict[tuple[str, str, Treatment, Treatment], list[Estimate]] = {}
    for pair, ratio in measured.items():
        if pair.a.precision != pair.b.precision or not ratio.paired or not isfinite(ratio.log.error):
            continue
        if ratio.disturbed:
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
