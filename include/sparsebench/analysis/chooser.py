"""What a choice needs, so that it can be made again within other bounds where there is no Python: on a report's page.

A choice holds every candidate against the best, at a level that depends on how many candidates meet the bounds. So all
that matters of two candidates is among how many, at most, the difference between them is decisive. With that number of
each pair the choice is the same as ``choice.choose`` makes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import isnan, log

import pandas as pd

from sparsebench.analysis.candidates import Candidate, Target, candidates, difference
from sparsebench.analysis.choice import comparisons
from sparsebench.analysis.order import ordered
from sparsebench.analysis.prices import Market, Offer, Types, offer
from sparsebench.analysis.results import Results
from sparsebench.contracts import ModelCard
from sparsebench.statistics.intervals import LEVEL, Estimate
from sparsebench.statistics.percentiles import PERCENTILES

MOST, MOST_IN_ALL = 60, 1000
"""Candidates of one network, whose pairs grow with their square, and of all: a page has a KB for each."""

CHOOSABLE_MARKETS: tuple[Market, ...] = ("on_demand", "spot")


@dataclass(frozen=True)
class Choosable:
    """The candidates of one network. offers: by market, one for each candidate. decisive: by what is the best (``cost
    MARKET``, ``latency PERCENTILE``, ``throughput``), of each pair in the order of itertools.combinations, up to how
    many candidates the first is shown to be better than the second; negative where it is worse; 0 where neither."""

    network: str
    candidates: tuple[Candidate, ...]
    offers: Mapping[Market, tuple[Offer, ...]]
    decisive: Mapping[str, tuple[int, ...]]


def choosable(lane: Results, cards: Sequence[ModelCard], types: Types) -> list[Choosable]:
    """The networks of a lane, in their order, as long as they have no more candidates than a page should carry."""
    every = candidates(lane, cards, types, "on_demand", None)
    names = ordered(pd.DataFrame({"network": list(dict.fromkeys(candidate.network for candidate in every))}))["network"]
    by_network = {name: [candidate for candidate in every if candidate.network == name] for name in names}
    fitting, count = [], 0
    for name, group in by_network.items():
        if len(group) <= MOST and count + len(group) <= MOST_IN_ALL:
            fitting.append(_choosable(name, group, types))
            count += len(group)
    return fitting


def _choosable(network: str, group: Sequence[Candidate], types: Types) -> Choosable:
    offers = {
        market: tuple(offer(candidate.machine.instance_type, types, market) for candidate in group)
        for market in CHOOSABLE_MARKETS
    }
    speeds = list(_differences(group, "throughput"))
    decisive = {"throughput": _decisive(speeds, len(group))}
    for market, prices in offers.items():
        cheaper = [log(b.usd_per_hour / a.usd_per_hour) for a, b in combinations(prices, 2)]
        costs = [
            by and Estimate(by.mean + price, by.error, by.freedom) for by, price in zip(speeds, cheaper, strict=True)
        ]
        decisive[f"cost {market}"] = _decisive(costs, len(group))
    for percentile in PERCENTILES:
        decisive[f"latency {percentile}"] = _decisive(_differences(group, "latency", percentile), len(group))
    return Choosable(network, tuple(group), offers, decisive)


def _differences(
    group: Sequence[Candidate], target: Target, percentile: int = PERCENTILES[0]
) -> Iterator[Estimate | None]:
    """By how much the first of each pair is better; None where that cannot be told."""
    for first, second in combinations(group, 2):
        by = difference(first, second, target, percentile)
        yield None if by.because else by.log


def _decisive(differences: Iterable[Estimate | None], count: int) -> tuple[int, ...]:
    """Up to how many candidates each difference leaves out zero, with its sign."""
    levels = [(number, (1 - LEVEL) / comparisons(number)) for number in range(2, count + 1)]
    return tuple(_at_most(by, levels) for by in differences)


def _at_most(by: Estimate | None, levels: Sequence[tuple[int, float]]) -> int:
    if by is None or isnan(by.mean):
        return 0
    p = by.p_value()
    most = max((number for number, alpha in levels if p < alpha), default=0)
    return most if by.mean > 0 else -most
