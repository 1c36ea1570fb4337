"""Where a series of nights changed, and stayed so.

A night says an estimate with an error, and nights differ by more than their errors: a night weighs by its own variance
plus that between nights, which is estimated from the nights before (DerSimonian and Laird). The nights after a possible
change are compared with those before it by Student's test. It is a change when it is larger than MIN_SIZE, the test
says so at P, and does so too without the one night that speaks for it most: a single night never makes a change.

What is found in the nights until today does not depend on later ones, so that a change is told once, and for good.
benchmarks/synthetic_histories.py has how often this is right, and how late.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

HOLD = 4
"""Nights that a change has to hold before it is told."""

BEFORE = 8
"""Nights that are needed before a change; what is usual is not known from fewer."""

WINDOW = 60
"""Nights that are compared, at most, before and after: what was usual a season ago is no measure of today."""

P = 1e-6
"""Of the test. A store has thousands of series, and every night is tested."""

MIN_SIZE = 0.01
"""A smaller change is nobody's business."""

CLIP = 3.5
"""Standard deviations beyond which a night before is moved nearer: a spike says nothing of what is usual."""

LEAST_ERROR = 1e-6
"""Of a log: processes that are alike to the last digit know no more."""

PLAUSIBLE = 2.0
"""By how much the log likelihood of another first night may be lower: about a 95 % interval."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Change:
    """A change in a series. All nights are indexes into it.

    first: the first night that is different. earliest, latest: that it may be. told: the night that made it a change.
    size: of the log ratio; low, high: its 95 % interval. p: of Student's test.
    """

    first: int
    earliest: int
    latest: int
    told: int
    size: float
    low: float
    high: float
    p: float


def changes(logs: Floats, errors: Floats) -> list[Change]:
    """All changes of a series, oldest first. logs, errors: as of a Series."""
    errors = np.maximum(errors, LEAST_ERROR)
    told: list[Change] = []
    start = 0
    while (change := _next(logs, errors, start, told[-1].told if told else -1)) is not None:
        told.append(change)
        start = change.first
    return told


@dataclass(frozen=True)
class _Tests:
    """The tests of each first night (rows) and number of nights from it on (columns, from 1): the difference, its
    standard error, and both without the night that speaks for it most. freedom, and the variance between the nights
    before: by row."""

    size: Floats
    error: Floats
    held_size: Floats
    held_error: Floats
    freedom: Floats
    between: Floats


def _next(logs: Floats, errors: Floats, start: int, after: int) -> Change | None:
    """The first change that is told after a night, within what began at ``start``."""
    firsts = np.arange(start + BEFORE, len(logs) - HOLD + 1)
    if not len(firsts):
        return None
    tests = _tests(logs, errors, start, firsts)
    told = firsts[:, None] + np.arange(WINDOW)
    with np.errstate(invalid="ignore"):
        p = 2 * stdtr(tests.freedom[:, None], -np.abs(tests.held_size / tests.held_error))
        is_change = (p <= P) & (np.abs(tests.held_size) >= MIN_SIZE) & (tests.size * tests.held_size > 0)
    is_change[:, : HOLD - 1] = False
    is_change &= (told > after) & (told < len(logs))
    if not is_change.any():
        return None
    night = told[is_change].min()
    surest, at = min(
        (p[row, night - firsts[row]], row) for row in np.flatnonzero((is_change & (told == night)).any(axis=1))
    )
    # Of all first nights that it may have been, as seen on that night: the likeliest.
    candidates = np.flatnonzero((firsts <= night - HOLD + 1) & (firsts > night - WINDOW))
    seen = slice(max(start, night - 2 * WINDOW), night + 1)
    variances = errors[seen] ** 2 + tests.between[at]
    likelihood = _likelihood(logs[seen], variances, firsts[candidates] - seen.start)
    best = int(np.argmax(likelihood))
    plausible = firsts[candidates[likelihood >= likelihood[best] - PLAUSIBLE]]
    row, column = candidates[best], night - firsts[candidates[best]]
    size, freedom = float(tests.size[row, column]), float(tests.freedom[row])
    half = float(stdtrit(freedom, 0.975) * tests.error[row, column])
    return Change(
        first=int(firsts[row]),
        earliest=int(plausible.min()),
        latest=int(plausible.max()),
        told=int(night),
        size=size,
        low=size - half,
        high=size + half,
        p=float(surest),
    )


def _likelihood(logs: Floats, variances: Floats, firsts: NDArray[np.int64]) -> Floats:
    """The log likelihood of each first night: of one mean before it and another from it on, and a common scatter about
    both. The test does not ask this: a night between the two means is a spike to it, and no part of the change."""
    is_after = np.arange(len(logs)) >= firsts[:, None]
    squares = np.zeros(len(firsts))
    for side in (is_after, ~is_after):
        weights = np.where(side, 1 / variances, 0)
        means = (weights * logs).sum(axis=1) / weights.sum(axis=1)
        squares += (weights * (logs - means[:, None]) ** 2).sum(axis=1)
    likelihood: Floats = -len(logs) / 2 * np.log(np.maximum(squares, LEAST_ERROR))
    return likelihood


def _tests(logs: Floats, errors: Floats, start: int, firsts: NDArray[np.int64]) -> _Tests:
    before, errors_before, after, errors_after = _windows(logs, errors, start, firsts)
    usual, variance, between, nights = _usual(before, errors_before)
    there = ~np.isnan(after)
    weights = np.where(there, 1 / (errors_after**2 + between[:, None]), 0)
    deviations = np.where(there, after - usual[:, None], 0)
    total, first, second = (np.cumsum(weights * deviations**power, axis=1) for power in (0, 1, 2))
    count = np.arange(1, WINDOW + 1)
    size = first / total
    # Nights after that agree less than their variances say are less sure: Birge's ratio.
    scatter = np.maximum(1, (second - first * size) / np.maximum(count - 1, 1))
    error = np.sqrt(variance[:, None] + scatter / total)

    towards = np.where(size > 0, _furthest(deviations), _furthest(-deviations))
    weight, deviation = (np.take_along_axis(values, towards, axis=1) for values in (weights, deviations))
    rest = total - weight
    with np.errstate(invalid="ignore", divide="ignore"):  # without the only night nothing is left
        held_size = (first - weight * deviation) / rest
        held_error = np.sqrt(variance[:, None] + scatter / rest)
    return _Tests(size, error, held_size, held_error, nights - 1.0, between)


def _windows(logs: Floats, errors: Floats, start: int, firsts: NDArray[np.int64]) -> tuple[Floats, ...]:
    """The WINDOW nights before each first night and as many from it on: logs and errors. NaN where there are none,
    or before ``start``."""
    nothing = np.full(WINDOW, np.nan)
    windows = []
    for values in (logs, errors):
        whole = sliding_window_view(np.concatenate([nothing, values, nothing]), 2 * WINDOW)[firsts]
        before = whole[:, :WINDOW].copy()
        before[firsts[:, None] - WINDOW + np.arange(WINDOW) < start] = np.nan
        windows += [before, whole[:, WINDOW:]]
    before, after, errors_before, errors_after = windows
    return before, errors_before, after, errors_after


def _usual(before: Floats, errors: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """What is usual in each row: the mean, its variance, the variance between nights, and how many nights there are."""
    there = ~np.isnan(before)
    nights = there.sum(axis=1).astype(float)
    centre = np.nanmedian(before, axis=1)[:, None]
    noise = np.nanmean(errors**2, axis=1)
    deviation = np.maximum(1.4826 * np.nanmedian(np.abs(before - centre), axis=1), np.sqrt(noise))[:, None]
    clipped = np.clip(before, centre - CLIP * deviation, centre + CLIP * deviation)
    fixed = np.where(there, 1 / errors**2, 0)
    total = fixed.sum(axis=1)
    mean = np.nansum(fixed * clipped, axis=1) / total
    homogeneity = np.nansum(fixed * (clipped - mean[:, None]) ** 2, axis=1)
    between = np.maximum(0, (homogeneity - (nights - 1)) / (total - (fixed**2).sum(axis=1) / total))
    weights = np.where(there, 1 / (errors**2 + between[:, None]), 0)
    mean = np.nansum(weights * clipped, axis=1) / weights.sum(axis=1)
    return mean, 1 / weights.sum(axis=1), between, nights


def _furthest(deviations: Floats) -> NDArray[np.int64]:
    """The column that has the largest value, for each row and each number of its first columns."""
    largest = np.maximum.accumulate(deviations, axis=1)
    return np.maximum.accumulate(np.where(deviations == largest, np.arange(deviations.shape[1]), 0), axis=1)
