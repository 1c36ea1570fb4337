"""Throughputs of a known truth: what the statistics say of them can be checked.

``noise`` makes log throughputs whose mean is zero for every engine. ``measure`` stops as bench/stopping.py does, for
many runs at once; tests/unit/bench/test_stopping.py holds it to the real one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import combinations
from typing import Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import stdtrit

from sparsebench.bench.stopping import VERDICT_BUDGETS
from sparsebench.contracts import Protocol
from sparsebench.statistics.design import ENOUGH_PROCESSES, Cost
from sparsebench.statistics.intervals import LEVEL

Floats = NDArray[np.float64]
Shape = tuple[int, ...]
"""Runs, generations, engines, rounds."""

BETWEEN = 0.5
"""Standard deviation of processes, where a case has no other; that of a process's rounds is 1."""


def _normal(rng: Generator, shape: Shape) -> Floats:
    return BETWEEN * rng.standard_normal((*shape[:-1], 1)) + rng.standard_normal(shape)


def _skewed(rng: Generator, shape: Shape) -> Floats:
    """Exponentially slow blocks of every other engine: of two that are skewed alike, the ratio is not."""
    sample = _normal(rng, shape)
    slow = sample[..., ::2, :]
    slow[:] = BETWEEN * rng.standard_normal((*slow.shape[:-1], 1)) + 1 - rng.exponential(size=slow.shape)
    return sample


def _autocorrelated(rng: Generator, shape: Shape, last: float = 0.6) -> Floats:
    noise = rng.standard_normal(shape)
    for round_ in range(1, shape[-1]):
        noise[..., round_] *= np.sqrt(1 - last**2)
        noise[..., round_] += last * noise[..., round_ - 1]
    return noise + BETWEEN * rng.standard_normal((*shape[:-1], 1))


def _drifting(rng: Generator, shape: Shape) -> Floats:
    """The host's random walk is common to the engines; each process has a slope of its own besides."""
    host = rng.standard_normal((*shape[:-2], 1, shape[-1])).cumsum(-1)
    slope = rng.standard_normal((*shape[:-1], 1)) * np.linspace(-2, 2, shape[-1])
    return host + slope + _normal(rng, shape)


def _bimodal(rng: Generator, shape: Shape) -> Floats:
    """Every process is fast or slow for its whole life."""
    return rng.choice([-1.0, 1.0], (*shape[:-1], 1)) + 0.2 * rng.standard_normal(shape)


def _outliers(rng: Generator, shape: Shape) -> Floats:
    """One block in twenty is slower, by ten times the noise of the others on average."""
    slow = rng.exponential(10, shape) * (rng.random(shape) < 0.05)
    return _normal(rng, shape) + 0.5 - slow


def _one_bimodal(rng: Generator, shape: Shape) -> Floats:
    noise = 0.2 * rng.standard_normal(shape)
    noise[..., 0, :] += rng.choice([-1.0, 1.0], (*shape[:-2], 1))
    return noise


def _rarely_slow(rng: Generator, shape: Shape) -> Floats:
    noise = 0.2 * rng.standard_normal(shape)
    noise[..., 0, :] += 0.4 - 2 * (rng.random((*shape[:-2], 1)) < 0.2)
    return noise


NOISE: dict[str, Callable[[Generator, Shape], Floats]] = {
    "normal": _normal,
    "skewed": _skewed,
    "autocorrelated": _autocorrelated,
    "drifting": _drifting,
    "bimodal": _bimodal,
    "outliers": _outliers,
}

HARD: dict[str, Callable[[Generator, Shape], Floats]] = {
    "one engine bimodal": _one_bimodal,
    "one process in five slow": _rarely_slow,
}
"""What few processes cannot show: as long as all of an engine's are alike, nothing tells that they may not be."""


def pairs_of(logs: Floats) -> Floats:
    """Log ratios of every pair of engines: the axis of engines becomes one of pairs."""
    a, b = zip(*combinations(range(logs.shape[-2]), 2), strict=True)
    return logs[..., a, :] - logs[..., b, :]


def student(means: Floats, level: float = LEVEL) -> tuple[Floats, Floats, Floats]:
    """Of unit means on the last axis: their mean, its standard error, and half of Student's interval."""
    count = means.shape[-1]
    error = means.std(-1, ddof=1) / np.sqrt(count)
    return means.mean(-1), error, stdtrit(count - 1, (1 + level) / 2) * error


@dataclass(frozen=True)
class Measured:
    """What a run ended with, by pair.

    Attributes:
        rounds: of each generation; 0: there was none.
    """

    mean: Floats
    error: Floats
    half: Floats
    rounds: NDArray[np.int64]

    @classmethod
    def together(cls, parts: Sequence[Self]) -> Self:
        return cls(*(np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(cls)))

    @property
    def processes(self) -> NDArray[np.int64]:
        return (self.rounds > 0).sum(-1)


def measure(ratios: Floats, protocol: Protocol, cost: Cost) -> Measured:
    """Measure as the protocol says, each run until its pairs are known well enough.

    Args:
        ratios: log ratios of max_rounds rounds in max_processes generations: runs, generations, pairs, rounds.
    """
    runs, most, pairs, _ = ratios.shape
    assert protocol.target is not None
    rounds = np.zeros((runs, most), int)
    means = np.zeros((runs, pairs, most))
    squares = np.zeros((runs, pairs))
    mean, error, half = (np.full((runs, pairs), np.inf) for _ in range(3))
    running = np.arange(runs)
    planned = np.full(runs, protocol.min_rounds)
    for generation in range(most):
        rounds[running, generation] = planned
        there = np.arange(ratios.shape[-1]) < planned[:, None, None]
        block = ratios[running, generation]
        unit = np.where(there, block, 0).sum(-1) / planned[:, None]
        means[running, :, generation] = unit
        squares[running] += np.where(there, (block - unit[..., None]) ** 2, 0).sum(-1)
        count = generation + 1
        if count > 1:
            mean[running], error[running], half[running] = student(means[running, :, :count])
        if count >= protocol.min_processes:
            running = running[~(np.expm1(half[running]) <= protocol.target).all(-1)]
        if count >= protocol.min_processes and len(running):
            used = rounds[running, :count]
            within = squares[running] / np.maximum(used.sum(-1) - count, 1)[:, None]
            explained = within * (1 / used).mean(-1)[:, None]
            between = np.maximum(means[running, :, :count].var(-1, ddof=1) - explained, 0)
            planned = _rounds_per_process(within, between, cost, protocol)
        else:
            planned = np.full(len(running), protocol.min_rounds)
        spent = count * cost.generation + rounds[running].sum(-1) * cost.round
        budget_s = protocol.budget_s * (1 if count >= protocol.min_processes else VERDICT_BUDGETS)
        affordable = spent + cost.generation + planned * cost.round <= budget_s
        running, planned = running[affordable], planned[affordable]
    return Measured(mean, error, half, rounds)


def _rounds_per_process(within: Floats, between: Floats, cost: Cost, protocol: Protocol) -> NDArray[np.int64]:
    most = min(protocol.max_rounds, int((protocol.budget_s / ENOUGH_PROCESSES - cost.generation) // cost.round))
    worst = (within + between).argmax(-1)[:, None]
    within, between = (np.take_along_axis(variance, worst, -1)[:, 0] for variance in (within, between))
    with np.errstate(divide="ignore", invalid="ignore"):
        best = np.where(between > 0, np.sqrt(cost.generation / cost.round * within / between), most)
    return np.maximum(protocol.min_rounds, np.minimum(np.ceil(best), most)).astype(int)
