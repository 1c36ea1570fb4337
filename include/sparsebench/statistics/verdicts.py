"""Which of two is faster, and whether that can be said."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from math import exp, inf, log1p
from typing import Literal, TypeVar

from sparsebench.statistics.intervals import LEVEL, Estimate

EQUIVALENT_WITHIN = 0.03
"""Two whose ratio surely lies within ± 3 % are equivalent: no one chooses a machine by less."""

MIN_PROCESSES = 6
"""A distribution-free 95 % interval needs six samples, and samples are processes: where one is fast or slow for its
whole life, five are alike by chance in 1 of 16 runs, and then their t interval is as narrow as it is wrong."""

Kind = Literal["faster", "slower", "equivalent", "undecided"]
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Compared:
    """A ratio of throughputs as it was measured: the estimate of its log, and the rounds that entered."""

    log: Estimate
    rounds: int


@dataclass(frozen=True)
class Verdict:
    """A against B. ratio: of throughputs, above 1 where A is faster; low, high: its 95 % interval. p: adjusted."""

    kind: Kind
    ratio: float
    low: float
    high: float
    p: float

    @property
    def half_width(self) -> float:
        """Relative: 0.05 is ± 5 %; the larger side."""
        return self.high / self.ratio - 1


def verdicts(compared: Mapping[Key, Compared], within: float = EQUIVALENT_WITHIN) -> dict[Key, Verdict]:
    """A verdict for each pair of a family; the family is what is shown together.

    Equivalent: the whole interval lies within the margin. Faster or slower: Student's test of the log ratio says so
    at 5 % for the whole family, by Holm's step-down procedure (1979): the chance that any one of the family's equals is
    called different is at most 5 %. Everything else is undecided, as is a pair with fewer than MIN_PROCESSES.
    """
    adjusted = holm({key: one.log.p_value() if _enough(one) else 1.0 for key, one in compared.items()})
    return {key: _verdict(one, adjusted[key], within) for key, one in compared.items()}


def holm(p_values: Mapping[Key, float]) -> dict[Key, float]:
    """P-values, each multiplied by the number of those that are no smaller, and none below a smaller one's."""
    adjusted: dict[Key, float] = {}
    largest = 0.0
    for rank, key in enumerate(sorted(p_values, key=lambda key: p_values[key])):
        largest = max(largest, min(1.0, p_values[key] * (len(p_values) - rank)))
        adjusted[key] = largest
    return adjusted


def _enough(one: Compared) -> bool:
    """By degrees of freedom: of several networks together, it is all their processes that count."""
    return round(one.log.freedom) >= MIN_PROCESSES - 1


def _verdict(one: Compared, p: float, within: float) -> Verdict:
    low, high = one.log.interval()
    kind: Kind = "undecided"
    if _enough(one) and -log1p(within) <= low and high <= log1p(within):
        kind = "equivalent"
    elif p <= 1 - LEVEL:
        kind = "faster" if one.log.mean > 0 else "slower"
    return Verdict(kind, exp(one.log.mean), exp(low), exp(high) if high < inf else inf, p)
