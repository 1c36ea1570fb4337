"""Which machine, engine and variant to take, within bounds: the best, what cannot be told from it, and what loses.

The rule, for each network by itself: of the k candidates that surely meet the bounds the best is the one with the best
mean; another loses when its difference from that one, at the level 1 - 5 % / (2 k - 2), leaves out zero (Bonferroni).
The true best is held against at most k - 1 others, so the chance that it is called a loser, and with it the chance that
another is called the only best, is below 5 %. benchmarks/choices.py has what that comes to.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from math import exp, inf, isfinite, isnan
from typing import Literal

import pandas as pd

from sparsebench.analysis.candidates import TARGETS, Candidate, Target, candidates, difference, value
from sparsebench.analysis.order import ordered
from sparsebench.analysis.prices import MARKETS, Market, Types, regions
from sparsebench.analysis.results import Results
from sparsebench.bench.engines import ENGINES
from sparsebench.contracts import ModelCard
from sparsebench.errors import BadInput
from sparsebench.statistics.intervals import LEVEL
from sparsebench.statistics.percentiles import PERCENTILES

NOT_FOR_PRODUCTION = ("deepsparse",)
"""Libraries whose licence covers evaluation in development and testing, and no production use."""

Kind = Literal["price", "value", "licence", "latency", "accuracy", "memory", "size"]


@dataclass(frozen=True)
class Bounds:
    """percentile: of the latency, as a bound and as a target. latency_ms: at most; accuracy: top-1 at least, a
    fraction; memory_bytes: resident in a process, at most; size_bytes: after gzip -9, at most. region: whose prices;
    None is the night's own, or the catalog's first. Empty instance_types, engines and networks: all. production: leave
    out what is not licensed for it."""

    target: Target = "cost"
    percentile: int = 95
    latency_ms: float | None = None
    accuracy: float | None = None
    memory_bytes: int | None = None
    size_bytes: int | None = None
    market: Market = "on_demand"
    region: str | None = None
    instance_types: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    production: bool = False

    def __post_init__(self) -> None:
        """
        Raises:
            BadInput: names the bound, its value and what would be right.
        """
        _one_of("target", self.target, TARGETS)
        _one_of("market", self.market, MARKETS)
        if self.percentile not in PERCENTILES:
            raise BadInput(f"percentile is {self.percentile}; expected one of {', '.join(map(str, PERCENTILES))}")
        if self.latency_ms is not None and not 0 < self.latency_ms < inf:
            raise BadInput(f"latency_ms is {self.latency_ms:g}; expected milliseconds above 0")
        if self.accuracy is not None and not 0 <= self.accuracy <= 1:
            raise BadInput(f"accuracy is {self.accuracy:g}; expected a fraction from 0 to 1, such as 0.76")
        for name in ("memory_bytes", "size_bytes"):
            number = getattr(self, name)
            if number is not None and number <= 0:
                raise BadInput(f"{name} is {number}; expected a number of bytes above 0")


def _one_of(name: str, given: str, known: Collection[str]) -> None:
    if given not in known:
        raise BadInput(f"{name} is {given!r}; expected one of {', '.join(sorted(known))}")


@dataclass(frozen=True)
class Ranked:
    """A candidate that surely meets the bounds.

    value, low, high: of the target, with its 95 % interval. verdict: best; tied (it cannot be told from the best;
    because: empty, too_few, unpaired or disturbed); loses. behind: by how much the best is better, 0.12 is 12 %, with
    its interval at the ranking's level (infinite where there is none).
    """

    candidate: Candidate
    value: float
    low: float
    high: float
    verdict: Literal["best", "tied", "loses"]
    because: str
    behind: float
    behind_low: float
    behind_high: float


@dataclass(frozen=True)
class Missed:
    """A bound that a candidate does not surely meet. open: whether it may meet it. value, low, high: its own (NaN where
    they are not known, and detail then says why). excess: by how much its value misses: 0.1 is by 10 % of the bound, or
    by ten points of accuracy; below 0 where only its interval does."""

    kind: Kind
    open: bool
    detail: str = ""
    value: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    excess: float = inf


@dataclass(frozen=True)
class Refused:
    candidate: Candidate
    missed: tuple[Missed, ...]

    @property
    def open(self) -> bool:
        """Whether it may meet all bounds."""
        return all(missed.open for missed in self.missed)

    @property
    def excess(self) -> tuple[int, float]:
        """How far it is from meeting them: the bounds that it surely misses, then the largest excess."""
        return sum(not missed.open for missed in self.missed), max(missed.excess for missed in self.missed)


@dataclass(frozen=True)
class Choice:
    """The choice for one network. ranked: the best first, then those that cannot be told from it, then the losers.
    refused: the nearest to the bounds first."""

    network: str
    bounds: Bounds
    precision: str
    ranked: tuple[Ranked, ...]
    refused: tuple[Refused, ...]

    @property
    def winner(self) -> Ranked | None:
        """The only one that can be the best; None where several can."""
        return self.ranked[0] if self.ranked and all(ranked.verdict != "tied" for ranked in self.ranked) else None

    @property
    def tied(self) -> tuple[Ranked, ...]:
        return tuple(ranked for ranked in self.ranked if ranked.verdict == "tied")

    @property
    def losers(self) -> tuple[Ranked, ...]:
        return tuple(ranked for ranked in self.ranked if ranked.verdict == "loses")

    @property
    def open(self) -> tuple[Refused, ...]:
        """Those of which it cannot be told whether they meet the bounds."""
        return tuple(refused for refused in self.refused if refused.open)

    @property
    def nearest(self) -> Refused | None:
        """The candidate that is the least above the bounds, of a choice that nothing surely meets."""
        return self.refused[0] if self.refused and not self.ranked and isfinite(self.refused[0].excess[1]) else None


def choose(lane: Results, cards: Sequence[ModelCard], types: Types, bounds: Bounds) -> list[Choice]:
    """A choice for each network that was measured in a lane.

    Raises:
        BadInput: a bound names what was not measured, and says what was; or a region of which no price is known.
    """
    if bounds.region is not None:
        _one_of("region", bounds.region, regions(types))
    every = candidates(lane, cards, types, bounds.market, bounds.region)
    _measured("instance_types", bounds.instance_types, {candidate.machine.instance_type for candidate in every})
    _measured("engines", bounds.engines, {candidate.treatment.engine for candidate in every})
    _measured("networks", bounds.networks, {candidate.network for candidate in every})
    networks = ordered(pd.DataFrame({"network": list(dict.fromkeys(candidate.network for candidate in every))}))[
        "network"
    ]
    return [
        _choice(
            name,
            lane.precision,
            [candidate for candidate in every if candidate.network == name and _asked_for(candidate, bounds)],
            bounds,
        )
        for name in networks
        if not bounds.networks or name in bounds.networks
    ]


def _measured(name: str, asked: Collection[str], known: Collection[str]) -> None:
    for given in asked:
        if given not in known:
            raise BadInput(f"{name}: {given!r} was not measured; {', '.join(sorted(known)) or 'nothing'} was")


def _asked_for(candidate: Candidate, bounds: Bounds) -> bool:
    of_type = not bounds.instance_types or candidate.machine.instance_type in bounds.instance_types
    return of_type and (not bounds.engines or candidate.treatment.engine in bounds.engines)


def _choice(network: str, precision: str, asked: Sequence[Candidate], bounds: Bounds) -> Choice:
    missed = [(candidate, tuple(_missed(candidate, bounds))) for candidate in asked]
    eligible = [candidate for candidate, reasons in missed if not reasons]
    refused = sorted(
        (Refused(candidate, reasons) for candidate, reasons in missed if reasons), key=lambda refused: refused.excess
    )
    return Choice(network, bounds, precision, tuple(rank(eligible, bounds)), tuple(refused))


def _missed(candidate: Candidate, bounds: Bounds) -> Iterator[Missed]:
    """The bounds that a candidate does not surely meet."""
    if bounds.production and is_not_for_production(candidate.treatment.engine):
        yield Missed("licence", open=False)
    if bounds.target == "cost" and isnan(candidate.offer.usd_per_hour):
        yield Missed("price", open=False, detail=f"{bounds.market} price of {candidate.machine.instance_type}")
    known = candidate.latencies[bounds.percentile]
    if bounds.target == "latency" and known.too_few:
        yield Missed("value", open=False, detail=known.too_few)
    if bounds.latency_ms is not None:
        if known.low is None or known.high is None:
            yield Missed("latency", open=True, detail=known.too_few)
        elif known.high > bounds.latency_ms:
            excess = known.value / bounds.latency_ms - 1
            yield Missed("latency", known.low <= bounds.latency_ms, "", known.value, known.low, known.high, excess)
    if bounds.accuracy is not None:
        if candidate.accuracy is None:
            yield Missed("accuracy", open=True, detail="not measured")
        else:
            low, high = candidate.accuracy_interval
            if low < bounds.accuracy:
                excess = bounds.accuracy - candidate.accuracy.top1
                yield Missed("accuracy", high >= bounds.accuracy, "", candidate.accuracy.top1, low, high, excess)
    yield from _too_large("memory", candidate.memory_bytes, bounds.memory_bytes)
    yield from _too_large("size", candidate.size_bytes, bounds.size_bytes)


def _too_large(kind: Kind, own: int | None, most: int | None) -> Iterator[Missed]:
    """own, most: bytes, where they are known and asked for."""
    if most is None:
        return
    if own is None:
        yield Missed(kind, open=True, detail="not known")
    elif own > most:
        yield Missed(kind, False, "", own, own, own, own / most - 1)


def is_not_for_production(engine: str) -> bool:
    return engine in ENGINES and ENGINES[engine].library in NOT_FOR_PRODUCTION


def rank(eligible: Sequence[Candidate], bounds: Bounds) -> list[Ranked]:
    """Candidates that surely meet the bounds: the best, those that cannot be told from it, the losers."""
    if not eligible:
        return []
    level = 1 - (1 - LEVEL) / comparisons(len(eligible))
    best = _best(eligible, bounds, level)
    ranked = [_held_against(best, candidate, bounds, level) for candidate in eligible]
    place = {"best": 0, "tied": 1, "loses": 2}
    sign = -1 if bounds.target == "throughput" else 1
    return sorted(ranked, key=lambda entry: (place[entry.verdict], sign * entry.value))


def comparisons(count: int) -> int:
    """The number of comparisons that have to hold together: two for each that is held against the best, as the best is
    chosen by the same data. By one for each, all intervals would hold in 92 of 100 nights of six equals; there are no
    more than there are pairs.
    """
    return max(1, min(2 * (count - 1), count * (count - 1) // 2))


def _best(eligible: Sequence[Candidate], bounds: Bounds, level: float) -> Candidate:
    """The one with the best mean; where rounds that it shared with another show that to be better, that one."""
    sign = -1 if bounds.target == "throughput" else 1
    by_mean = sorted(eligible, key=lambda candidate: sign * value(candidate, bounds.target, bounds.percentile)[0])
    best = by_mean[0]
    for other in by_mean[1:]:
        if difference(other, best, bounds.target, bounds.percentile).interval(level)[0] > 0:
            best = other
    return best


def _held_against(best: Candidate, candidate: Candidate, bounds: Bounds, level: float) -> Ranked:
    own = value(candidate, bounds.target, bounds.percentile)
    if candidate is best:
        return Ranked(candidate, *own, "best", "", 0.0, 0.0, 0.0)
    by = difference(best, candidate, bounds.target, bounds.percentile)
    low, high = by.interval(level)
    verdict: Literal["tied", "loses"] = "loses" if low > 0 else "tied"
    return Ranked(candidate, *own, verdict, by.because, _change(by.log.mean), _change(low), _change(high))


def _change(log: float) -> float:
    return inf if log == inf else exp(log) - 1
