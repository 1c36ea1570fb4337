"""What benchmarks/coverage.py counts beside the ratios of a file: percentiles, pooled hosts, and whole jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from math import sqrt

import numpy as np
from numpy.random import Generator
from tests.support.synthetic import BETWEEN, NOISE, Floats, Shape, student

from sparsebench.bench.stopping import VERDICT_BUDGETS
from sparsebench.contracts import Protocol
from sparsebench.statistics.design import Cost, Spread, rounds_per_process
from sparsebench.statistics.hosts import over_hosts
from sparsebench.statistics.intervals import Estimate
from sparsebench.statistics.pairs import Unit
from sparsebench.statistics.percentiles import PERCENTILES, percentile_ratios, percentiles
from sparsebench.statistics.verdicts import Compared, verdicts


@dataclass(frozen=True)
class Covered:
    """How often an interval held the truth, and how wide it was (mean half width, relative). shown: how often there
    was one."""

    what: str
    case: str
    size: str
    coverage: float
    error: float
    half_width: float
    shown: float = 1.0


def _counted(what: str, case: str, size: str, held: list[bool], widths: list[float], runs: int) -> Covered:
    fraction = float(np.mean(held)) if held else float("nan")
    error = sqrt(fraction * (1 - fraction) / len(held)) if held else float("nan")
    return Covered(what, case, size, fraction, error, float(np.mean(widths or [np.nan])), len(held) / runs)


# Latencies: logs; runs, processes, blocks, latencies of a block.


def _alike(rng: Generator, shape: Shape) -> Floats:
    """Those of a block have an intraclass correlation of 0.5, and processes do not differ."""
    return 0.1 * rng.standard_normal(shape) + 0.1 * rng.standard_normal((*shape[:3], 1))


def _processes(rng: Generator, shape: Shape) -> Floats:
    """The same correlation, a fifth of it of the process."""
    blocks = 0.09 * rng.standard_normal((*shape[:3], 1)) + 0.045 * rng.standard_normal((*shape[:2], 1, 1))
    return 0.1 * rng.standard_normal(shape) + blocks


def _skewed(rng: Generator, shape: Shape) -> Floats:
    return 0.05 * rng.exponential(size=shape) + 0.05 * rng.standard_normal((*shape[:3], 1))


def _spikes(rng: Generator, shape: Shape) -> Floats:
    """Three latencies in a hundred are 30 % slower on average."""
    spikes = rng.exponential(0.3, shape) * (rng.random(shape) < 0.03)
    return 0.05 * rng.standard_normal(shape) + 0.05 * rng.standard_normal((*shape[:3], 1)) + spikes


def _heavy(rng: Generator, shape: Shape) -> Floats:
    blocks = 0.05 * rng.standard_normal((*shape[:3], 1)) + 0.02 * rng.standard_normal((*shape[:2], 1, 1))
    return 0.05 * rng.standard_t(3, shape) + blocks


def _bimodal(rng: Generator, shape: Shape) -> Floats:
    processes = 0.05 * rng.choice([-1.0, 1.0], (*shape[:2], 1, 1))
    return 0.05 * rng.standard_normal(shape) + 0.05 * rng.standard_normal((*shape[:3], 1)) + processes


def _slow_blocks(rng: Generator, shape: Shape) -> Floats:
    """Eight blocks in a hundred are slow as a whole, by up to two thirds."""
    slow = 0.5 * rng.random((*shape[:3], 1)) * (rng.random((*shape[:3], 1)) < 0.08)
    return 0.05 * rng.standard_normal(shape) + 0.03 * rng.standard_normal((*shape[:3], 1)) + slow


LATENCIES: dict[str, Callable[[Generator, Shape], Floats]] = {
    "alike in a block": _alike,
    "and in a process": _processes,
    "skewed": _skewed,
    "spikes": _spikes,
    "heavy tails": _heavy,
    "bimodal processes": _bimodal,
    "slow blocks": _slow_blocks,
}
SHAPES = ((6, 6, 15), (6, 10, 15), (12, 10, 15), (12, 20, 20))


def of_percentiles(runs: int, rng: Generator) -> Iterator[Covered]:
    for case, noise in LATENCIES.items():
        truth = np.percentile(noise(rng, (1, 200_000, 1, 4)), PERCENTILES)
        of_process = np.percentile(noise(rng, (1, 200, 1000, 10)).reshape(200, -1), PERCENTILES, axis=1).mean(1)
        other = np.percentile(_alike(rng, (1, 200, 1000, 10)).reshape(200, -1), PERCENTILES, axis=1).mean(1)
        for shape in SHAPES:
            held: dict[tuple[str, int], list[bool]] = {}
            widths: dict[tuple[str, int], list[float]] = {}
            for _ in range(runs):
                common = 0.1 * rng.standard_normal((shape[0], 1, 1))
                logs = noise(rng, (1, *shape))[0]
                beside = _alike(rng, (1, *shape))[0]
                intervals = {
                    "latency": (percentiles(_cell(logs)), truth),
                    "ratio": (percentile_ratios(_cell(logs + common), _cell(beside + common)), of_process - other),
                }
                for what, (estimates, true) in intervals.items():
                    for interval, log in zip(estimates, true, strict=True):
                        if interval.low is not None and interval.high is not None:
                            key = what, interval.percentile
                            held.setdefault(key, []).append(interval.low <= np.exp(log) <= interval.high)
                            widths.setdefault(key, []).append((interval.high / interval.low - 1) / 2)
            size = " × ".join(map(str, shape))
            for what, percentile in sorted(held):
                key = what, percentile
                yield _counted(f"p{percentile} {what}", case, size, held[key], widths[key], runs)


def _cell(logs: Floats) -> dict[Unit, Floats]:
    return {Unit("i-0", "job", number): np.exp(of_process.ravel()) for number, of_process in enumerate(logs)}


HOSTS = ((20, 6), (8, 8), (6, 12, 8), (8, 8, 8, 8, 8), (3, 12), (2, 6, 6), (6,) * 6, (8,) * 10)
HOST_EFFECT = 0.02


def of_hosts(runs: int, rng: Generator) -> Iterator[Covered]:
    """The means of a ratio: just these hosts' mean, and from six hosts on the mean of their kind."""
    for case in ("normal", "bimodal", "outliers"):
        for hosts in HOSTS:
            held, widths = [], []
            for _ in range(runs):
                effects = HOST_EFFECT * rng.standard_normal(len(hosts))
                logs = 0.02 * NOISE[case](rng, (1, sum(hosts), 2, 8))[0]
                parts = np.split(logs[:, 0] - logs[:, 1], np.cumsum(hosts)[:-1])
                units = {
                    str(number): (effect + of_host).tolist()
                    for number, (effect, of_host) in enumerate(zip(effects, parts, strict=True))
                }
                pooled = over_hosts(units)
                truth = effects.mean() if pooled.over == "processes" else 0.0
                low, high = pooled.mean.interval()
                held.append(bool(low <= truth <= high))
                widths.append((high - low) / 2)
            yield _counted("mean of hosts", case, " + ".join(map(str, hosts)), held, widths, runs)


def heavy_processes(rng: Generator, shape: Shape) -> Floats:
    """Processes differ by Student's t with three degrees of freedom."""
    return BETWEEN * rng.standard_t(3, (*shape[:-1], 1)) + rng.standard_normal(shape)


JOB_CASES = {name: NOISE[name] for name in ("normal", "autocorrelated", "bimodal", "outliers")} | {
    "heavy-tailed processes": heavy_processes
}
LEVELS = {"quiet": (0.5, 0.5, 0.5), "mixed": (0.5, 1.0, 3.0), "noisy": (2.0, 3.0, 6.0)}
"""A block's noise over the protocol's target, of each network of a job."""
ENGINES = 4
_ENGINE_PAIRS = [(v * ENGINES + a, v * ENGINES + b) for v in (0, 1) for a, b in combinations(range(ENGINES), 2)]
_FILE_PAIRS = [(ENGINES + engine, engine) for engine in range(ENGINES)]
JOB_COST = Cost(generation=6, round=1.6)
"""Of eight treatments, in seconds."""


@dataclass(frozen=True)
class Job:
    """What whole jobs ended with: base and pruned of three networks by four engines, all of them equals."""

    protocol: str
    case: str
    noise: str
    processes: float
    """Mean of a network."""
    engine_ratios: float
    """Coverage."""
    file_ratios: float
    error: float
    """Standard error of the worse of both: that of as many independent jobs."""
    false_engines: float
    """Families of engine ratios in which an equal is called different, at no margin of equivalence."""
    false_files: float
    shown: float
    """Pairs with a verdict other than too few."""


def of_jobs(runs: int, rng: Generator, protocol: Protocol) -> Iterator[Job]:
    for case, noise in JOB_CASES.items():
        for name, levels in LEVELS.items():
            covered: dict[str, list[float]] = {"engines": [], "files": []}
            false: dict[str, list[bool]] = {"engines": [], "files": []}
            processes, shown = [], []
            for _ in range(runs):
                families = job(noise, levels, rng, protocol)
                for what, family in families.items():
                    ends = [pair.log.interval() for pair in family.values()]
                    covered[what].append(float(np.mean([low <= 0 <= high for low, high in ends])))
                    kinds = [verdict.kind for verdict in verdicts(family, 0).values()]
                    false[what].append(any(kind in ("faster", "slower") for kind in kinds))
                    shown.append(float(np.mean([kind != "too_few" for kind in kinds])))
                processes.append(np.mean([pair.processes for pair in families["files"].values()]))
            means = {what: float(np.mean(values)) for what, values in covered.items()}
            worst = min(means.values())
            yield Job(
                protocol.name, case, name, float(np.mean(processes)), means["engines"], means["files"],
                sqrt(worst * (1 - worst) / runs), float(np.mean(false["engines"])), float(np.mean(false["files"])),
                float(np.mean(shown)),
            )  # fmt: skip


class _Network:
    def __init__(self, ratios: Floats, protocol: Protocol):
        """ratios: of max_rounds rounds in max_processes generations: generations, pairs, rounds."""
        self.ratios, self.protocol = ratios, protocol
        self.units: list[Floats] = []
        """Of each generation, the rounds of each pair."""

    @property
    def means(self) -> Floats:
        return np.array([unit.mean(-1) for unit in self.units]).T

    @property
    def width(self) -> float:
        return float(np.expm1(student(self.means)[2].max()))

    @property
    def rank(self) -> tuple[int, float] | None:
        count = len(self.units)
        if count >= self.protocol.max_processes:
            return None
        if count < self.protocol.min_processes:
            return 0, count
        assert self.protocol.target is not None
        return None if self.width <= self.protocol.target else (1, -self.width)

    @property
    def rounds(self) -> int:
        if len(self.units) < self.protocol.min_processes:
            return self.protocol.min_rounds
        counts = np.array([unit.shape[-1] for unit in self.units])
        squares = sum(unit.var(-1) * unit.shape[-1] for unit in self.units)
        within = squares / max(counts.sum() - len(counts), 1)
        between = np.maximum(0, self.means.var(-1, ddof=1) - within * (1 / counts).mean())
        spreads = [Spread(float(w), float(b)) for w, b in zip(within, between, strict=True)]
        budget_s = 2 * self.protocol.budget_s
        return rounds_per_process(spreads, JOB_COST, budget_s, self.protocol.min_rounds, self.protocol.max_rounds)

    def measure(self, rounds: int) -> None:
        self.units.append(self.ratios[len(self.units), :, :rounds])


def job(
    noise: Callable[[Generator, Shape], Floats], levels: tuple[float, ...], rng: Generator, protocol: Protocol
) -> dict[str, dict[object, Compared]]:
    """One job, measured as bench/stopping.py allots its budget: what a verdict needs for every network, then a
    generation where the widest interval is. The families of its ratios."""
    a, b = np.array([*_ENGINE_PAIRS, *_FILE_PAIRS]).T
    networks = []
    for level in levels:
        logs = (
            (protocol.target or 0)
            * level
            * noise(rng, (1, protocol.max_processes, 2 * ENGINES, protocol.max_rounds))[0]
        )
        networks.append(_Network(logs[:, a] - logs[:, b], protocol))
    left_s = budget_s = 2 * protocol.budget_s * len(networks)
    while True:
        ranked = sorted(((rank, n) for n, network in enumerate(networks) if (rank := network.rank) is not None))
        for _, number in ranked:
            network = networks[number]
            rounds = network.rounds
            spent_s = JOB_COST.generation + rounds * JOB_COST.round
            lacks_verdict = len(network.units) < protocol.min_processes
            if not network.units or spent_s <= left_s + lacks_verdict * (VERDICT_BUDGETS - 1) * budget_s:
                network.measure(rounds)
                left_s -= spent_s
                break
        else:
            break
    families: dict[str, dict[object, Compared]] = {"engines": {}, "files": {}}
    for number, network in enumerate(networks):
        means = network.means
        count = means.shape[-1]
        mean, error, _ = student(means)
        for pair in range(len(a)):
            what = "engines" if pair < len(_ENGINE_PAIRS) else "files"
            log = Estimate(float(mean[pair]), float(error[pair]), count - 1)
            families[what][number, pair] = Compared(log, count * protocol.min_rounds, count)
    return families
