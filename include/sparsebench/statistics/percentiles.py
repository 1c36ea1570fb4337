"""Latency as people bound it: p50, p90, p95, p99, with intervals that stand on processes.

Latencies of one block are alike (intraclass correlation 0.5), as are the blocks of one process, so a thousand of them
know as much as two hundred independent ones or fewer. The interval of a percentile is that of Woodruff (1952) in the
form of Korn and Graubard (1998): how much the processes differ in the share of latencies at or below the percentile
says how many independent latencies all of them are worth; with so many, the binomial distribution names the order
statistics between which the percentile lies. A ratio needs none of that: what is common to both cancels within a
process, and Student's interval of the processes' log ratios covers. benchmarks/coverage.py has what each covers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, exp, log

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, stdtrit  # what scipy.stats says too, without its second to import

from sparsebench.statistics.hosts import over_units
from sparsebench.statistics.intervals import LEVEL
from sparsebench.statistics.pairs import Blocks, Unit, entering
from sparsebench.statistics.verdicts import MIN_PROCESSES

PERCENTILES = (50, 90, 95, 99)

DESIGN_EFFECT = 5
"""Latencies that know as much as one independent one, as measured on blocks of 15. It decides only whether there are
enough for an interval: were that decided by the data at hand, intervals would be shown where they look narrow."""

ROUNDING = 1e-9
"""Of shares that are sums of weights."""

Floats = NDArray[np.float64]

Latencies = Mapping[Unit, Sequence[float] | Floats]
"""ms, of each process."""


@dataclass(frozen=True)
class Percentile:
    """A percentile of a cell's latencies (ms), or the ratio of two cells' percentiles.

    low, high: its 95 % interval; None where the data cannot carry one. too_few: then the reason, else empty. An upper
    end can be the largest latency that was measured.
    """

    percentile: int
    value: float
    low: float | None
    high: float | None
    too_few: str = ""


def latencies(cell: Blocks) -> Latencies:
    """The latencies of the blocks that enter."""
    (entered,) = entering(cell)
    return _of_units(entered)


def paired(a: Blocks, b: Blocks) -> tuple[Latencies, Latencies]:
    """The latencies of both, of the rounds in which both enter."""
    of_a, of_b = entering(a, b)
    return _of_units(of_a), _of_units(of_b)


def percentiles(cell: Latencies) -> list[Percentile]:
    """PERCENTILES of a cell's latencies, in which each host weighs the same, and on it each process."""
    if not cell:
        return []
    pooled = _pooled(cell)
    return [_percentile(cell, *pooled, percentile) for percentile in PERCENTILES]


def percentile_ratios(a: Latencies, b: Latencies) -> list[Percentile]:
    """A's latency over B's: below 1 where A answers sooner. Of the processes that took turns (see ``paired``): the
    geometric mean of their ratios, in which each host weighs the same."""
    shared = sorted(a.keys() & b.keys())
    if not shared:
        return []
    logs = {unit: np.log(np.percentile(a[unit], PERCENTILES) / np.percentile(b[unit], PERCENTILES)) for unit in shared}
    total = min(sum(len(side[unit]) for unit in shared) for side in (a, b))
    of_a_process = min(len(side[unit]) for unit in shared for side in (a, b))
    return [
        _ratio({unit: float(of_unit[number]) for unit, of_unit in logs.items()}, total, of_a_process, percentile)
        for number, percentile in enumerate(PERCENTILES)
    ]


def process_percentiles(cell: Latencies) -> dict[int, tuple[dict[Unit, float], str]]:
    """By percentile: the log of each process's; and why they cannot be held against another cell's, empty where they
    can.

    They are biased alike where both cells have processes of about as many latencies.
    """
    logs = {unit: np.log(np.percentile(of_process, PERCENTILES)) for unit, of_process in cell.items()}
    counts = [len(of_process) for of_process in cell.values()]
    total, of_a_process = sum(counts), min(counts, default=0)
    return {
        percentile: (
            {unit: float(of_unit[number]) for unit, of_unit in logs.items()},
            _too_few_of_a_process(len(logs), total, of_a_process, percentile),
        )
        for number, percentile in enumerate(PERCENTILES)
    }


def independent_latencies(percentile: int) -> int:
    """So many independent latencies have a two-sided 95 % interval of a percentile: 6, 36, 72, 368."""
    share = percentile / 100
    return ceil(log((1 - LEVEL) / 2) / log(max(share, 1 - share)))


def _of_units(cell: Blocks) -> Latencies:
    return {unit: [ms for block in rounds.values() for ms in block.latencies_ms] for unit, rounds in cell.items()}


def _percentile(cell: Latencies, values: Floats, below: Floats, percentile: int) -> Percentile:
    """values, below: as of ``_pooled``."""
    share = percentile / 100
    value = float(values[np.searchsorted(below, share - ROUNDING)])
    if reason := _too_few(len(cell), len(values), percentile):
        return Percentile(percentile, value, None, None, reason)
    low, high = _shares(share, _worth(cell, value, share, len(values)))
    first = np.searchsorted(below, low + ROUNDING, "right")
    last = min(int(np.searchsorted(below, high - ROUNDING)), len(values) - 1)
    return Percentile(percentile, value, float(values[first]), float(values[last]))


def _ratio(logs: Mapping[Unit, float], total: int, of_a_process: int, percentile: int) -> Percentile:
    """logs: of the processes' ratios. total, of_a_process: latencies of either, and of the process with fewest, whose
    percentile is biased where few independent ones lie above it."""
    mean = over_units({unit: [log] for unit, log in logs.items()}).mean
    if reason := _too_few_of_a_process(len(logs), total, of_a_process, percentile):
        return Percentile(percentile, exp(mean.mean), None, None, reason)
    low, high = mean.interval()
    return Percentile(percentile, exp(mean.mean), exp(low), exp(high))


def _too_few(processes: int, count: int, percentile: int) -> str:
    needed = DESIGN_EFFECT * independent_latencies(percentile)
    if processes < MIN_PROCESSES:
        return f"{processes} of {MIN_PROCESSES} processes"
    return f"{count} of {needed} latencies" if count < needed else ""


def _too_few_of_a_process(processes: int, total: int, of_a_process: int, percentile: int) -> str:
    """Why a percentile is not taken process by process. total, of_a_process: as of ``_ratio``."""
    needed = round(DESIGN_EFFECT / (1 - percentile / 100))
    if of_a_process < needed:
        return _too_few(processes, total, percentile) or f"{of_a_process} of {needed} latencies of a process"
    return _too_few(processes, total, percentile)


def _worth(cell: Latencies, value: float, share: float, count: int) -> float:
    """How many independent latencies they are worth, from how the processes differ in their share up to this value.

    Fewer by what Student's interval is wider than the normal one, since few processes say how they differ.
    """
    at_or_below = {unit: [float(np.mean(np.asarray(of_process) <= value))] for unit, of_process in cell.items()}
    shares = over_units(at_or_below).mean
    if not shares.error:
        return count
    tail = (1 + LEVEL) / 2
    wider = float(stdtrit(shares.freedom, tail) / stdtrit(np.inf, tail))
    return min(count, share * (1 - share) / (shares.error * wider) ** 2)


def _shares(share: float, worth: float) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share that was seen among so many independent ones."""
    tail, at_or_below = (1 - LEVEL) / 2, worth * share
    low = betaincinv(at_or_below, worth - at_or_below + 1, tail)
    high = betaincinv(at_or_below + 1, worth - at_or_below, 1 - tail)
    return float(low), float(high)


def _pooled(cell: Latencies) -> tuple[Floats, Floats]:
    """The latencies of all processes, ascending, and which share of all is at or below each."""
    of_host = Counter(unit.instance_id for unit in cell)
    weights = [
        np.full(len(of_process), 1 / (len(of_host) * of_host[unit.instance_id] * len(of_process)))
        for unit, of_process in cell.items()
    ]
    values = np.concatenate([np.asarray(of_process) for of_process in cell.values()])
    order = np.argsort(values, kind="stable")
    return values[order], np.concatenate(weights)[order].cumsum()
