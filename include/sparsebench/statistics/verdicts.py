"""Which of two is faster, and whether that can be said."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from math import exp, inf, isnan, log1p, nan
from typing import Literal, TypeVar

from sparsebench.statistics.intervals import LEVEL, Estimate

EQUIVALENT_WITHIN = 0.03
"""Two whose ratio surely lies within ± 3 % are equivalent: no one chooses a machine by less."""

MIN_PROCESSES = 6
"""A distribution-free 95 % interval needs six samples, and samples are processes: where one is fast or slow for its
whole life, five are alike by chance in 1 of 16 runs, and then their t interval is as narrow as it is wrong."""

Kind = Literal["faster", "slower", "equivalent", "undecided", "too_few", "disturbed"]
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Compared:
    """A ratio of throughputs as it was measured: the estimate of its log, and what entered it."""

    log: Estimate
    rounds: int
    processes: int
    """In which both were timed. Of a mean over networks or machines: those of the part that has fewest, since a part
    whose few processes are alike by chance makes the interval of the mean as wrong as its own."""
    disturbed: int = 0
    """Of these processes, those that entered although something disturbed them, of which engines suffer unequally."""

    @property
    def quiet(self) -> int:
        return self.processes - self.disturbed

    @property
    def is_disturbed(self) -> bool:
        """Whether it has processes enough for a verdict, but too few undisturbed ones."""
        return self.processes >= MIN_PROCESSES > self.quiet


@dataclass(frozen=True)
class Verdict:
    """A against B.

    ratio: of throughputs, above 1 where A is faster. low, high: its own 95 % interval, which *equivalent* rests on.
    family_low, family_high: the interval at the level at which the family's test judged this pair: *faster* and
    *slower* say that it leaves out 1, *undecided* that it does not. p: of no difference, adjusted for the family. These
    three are NaN where processes were too few, or too few undisturbed, since nothing was tested.
    """

    kind: Kind
    ratio: float
    low: float
    high: float
    family_low: float
    family_high: float
    p: float

    @property
    def half_width(self) -> float:
        """Relative: 0.05 is ± 5 %; the larger side."""
        return self.high / self.ratio - 1


def verdicts(compared: Mapping[Key, Compared], within: float = EQUIVALENT_WITHIN) -> dict[Key, Verdict]:
    """A verdict for each pair of a family; the family is what is shown together.

    Equivalent: the whole of the pair's own interval lies within the margin. Faster or slower: Student's test of the log
    ratio says so at 5 % for the whole family, by Holm's step-down procedure (1979): the chance that any one of the
    family's equals is called different is at most 5 %. Undecided: neither. Too few: fewer processes than MIN_PROCESSES;
    disturbed: fewer undisturbed ones. Such a pair can get no verdict, so it takes no part in the family either.
    """
    p_values = {key: pair.log.p_value() for key, pair in compared.items() if pair.quiet >= MIN_PROCESSES}
    adjusted, levels = holm(p_values), holm_levels(p_values)
    return {
        key: _verdict(pair.log, adjusted[key], levels[key], within) if key in p_values else _none(pair)
        for key, pair in compared.items()
    }


def holm(p_values: Mapping[Key, float]) -> dict[Key, float]:
    """P-values, each multiplied by the number of those that are no smaller, and none below a smaller one's."""
    adjusted: dict[Key, float] = {}
    largest = 0.0
    for rank, key in enumerate(_ascending(p_values)):
        largest = max(largest, min(1.0, p_values[key] * (len(p_values) - rank)))
        adjusted[key] = largest
    return adjusted


def holm_levels(p_values: Mapping[Key, float], level: float = LEVEL) -> dict[Key, float]:
    """The level of the interval that leaves out the tested value exactly where Holm's procedure rejects it.

    Each p-value in turn, from the smallest on, is held against a share of 1 - level: divided by the number of those
    that are no smaller, until one is above its share. That one and all after it are held against the same share.
    """
    levels: dict[Key, float] = {}
    untested = len(p_values)
    for key in _ascending(p_values):
        share = (1 - level) / untested
        levels[key] = 1 - share
        if p_values[key] <= share:
            untested -= 1
    return levels


def _ascending(p_values: Mapping[Key, float]) -> list[Key]:
    return sorted(p_values, key=lambda key: p_values[key])


def _verdict(log: Estimate, p: float, level: float, within: float) -> Verdict:
    low, high = log.interval()
    family_low, family_high = log.interval(level)
    kind: Kind = "undecided"
    if -log1p(within) <= low and high <= log1p(within):
        kind = "equivalent"
    elif family_low > 0:
        kind = "faster"
    elif family_high < 0:
        kind = "slower"
    return Verdict(kind, exp(log.mean), exp(low), _exp(high), exp(family_low), _exp(family_high), p)


def _none(pair: Compared) -> Verdict:
    log = pair.log
    low, high = log.interval()
    kind: Kind = "disturbed" if pair.is_disturbed else "too_few"
    return Verdict(kind, exp(log.mean), exp(low), _exp(high), nan, nan, nan)


def _exp(log: float) -> float:
    return nan if isnan(log) else exp(log) if log < inf else inf
