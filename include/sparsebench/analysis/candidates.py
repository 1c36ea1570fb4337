"""What one can choose between: an engine with a variant of a network on a machine; and which of two is better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from math import exp, inf, isfinite, log, nan
from typing import Literal, NamedTuple, get_args

from sparsebench.analysis import order
from sparsebench.analysis.cost import HOUR_S, MILLION
from sparsebench.analysis.prices import Market, Offer, Types, offer
from sparsebench.analysis.results import CELL, Machine, Results, is_tool
from sparsebench.analysis.worth import FAKES, interval
from sparsebench.contracts import Accuracy, ModelCard, Trial
from sparsebench.statistics.hosts import OverHosts, over_units
from sparsebench.statistics.intervals import Estimate
from sparsebench.statistics.intervals import difference as independent
from sparsebench.statistics.pairs import Blocks, Treatment, Unit, by_treatment, disturbed, log_ratios, logs
from sparsebench.statistics.pairs import treatment as treatment_of
from sparsebench.statistics.percentiles import Percentile, latencies, paired, percentiles, process_percentiles
from sparsebench.statistics.verdicts import MIN_PROCESSES

Target = Literal["cost", "latency", "throughput"]
TARGETS: tuple[str, ...] = get_args(Target)


@dataclass(frozen=True)
class Candidate:
    """blocks: undisturbed. memory_bytes: the most that a process had resident; None where none told. size_bytes: after
    gzip -9; None, as is accuracy, where no model card tells."""

    machine: Machine
    network: str
    treatment: Treatment
    blocks: Blocks
    threads: int
    offer: Offer
    memory_bytes: int | None
    size_bytes: int | None
    accuracy: Accuracy | None

    @cached_property
    def speed(self) -> OverHosts:
        """The speed as the log of img/s, over all hosts."""
        return over_units(logs(self.blocks))

    @cached_property
    def noisy(self) -> Set[Unit]:
        """The processes that enter although disturbed."""
        return disturbed(self.blocks)

    @cached_property
    def latencies(self) -> Mapping[int, Percentile]:
        """ms, by percentile."""
        return {estimate.percentile: estimate for estimate in percentiles(latencies(self.blocks))}

    @cached_property
    def of_processes(self) -> Mapping[int, tuple[Mapping[Unit, float], str]]:
        """By percentile: the log of each process's latency, and why they cannot be held against another candidate's."""
        return process_percentiles(latencies(self.blocks))

    @cached_property
    def soonness(self) -> Mapping[int, OverHosts]:
        """By percentile: the log of one over the latency, over all hosts."""
        return {
            percentile: over_units({unit: [-of_process] for unit, of_process in by_unit.items()})
            for percentile, (by_unit, _) in self.of_processes.items()
            if by_unit
        }

    @cached_property
    def accuracy_interval(self) -> tuple[float, float]:
        """The interval of the top-1, at 95 %; NaN where it is not known."""
        return interval(self.accuracy) if self.accuracy else (nan, nan)

    @property
    def usd_per_million(self) -> float:
        """The USD per million inferences at one img/s."""
        return self.offer.usd_per_hour / HOUR_S * MILLION


class Difference(NamedTuple):
    """The difference by which a candidate is better than another. log: of the ratio; because: why it cannot be told, or
    empty."""

    log: Estimate
    because: str

    def interval(self, level: float) -> tuple[float, float]:
        return (-inf, inf) if self.because else self.log.interval(level)


def candidates(
    lane: Results, cards: Sequence[ModelCard], types: Types, market: Market, region: str | None
) -> list[Candidate]:
    """All that have a number in a lane, but the engines' own tools, and variants that were pruned without regard to
    accuracy: nobody would serve with either."""
    with_number = set(lane.repeats[CELL].itertuples(index=False, name=None))
    networks: dict[tuple[Machine, str], list[Trial]] = {}
    for machine, trial in lane.trials:
        cell = trial.cell
        named = (*machine, cell.network, cell.variant, cell.engine, cell.precision)
        if named in with_number and not is_tool(cell.engine) and cell.variant not in FAKES:
            networks.setdefault((machine, cell.network), []).append(trial)
    of_card: dict[tuple[str, str], ModelCard] = {(card.network, card.variant): card for card in cards}
    listed = []
    for (machine, network), trials in networks.items():
        threads = {treatment_of(trial): trial.threads for trial in trials}
        memory: dict[Treatment, int] = {}
        for trial in trials:
            key = treatment_of(trial)
            if trial.peak_memory_bytes is not None:
                memory[key] = max(memory.get(key, 0), trial.peak_memory_bytes)
        blocks = by_treatment(trials)
        for treatment in reversed(order.treatments(blocks)):
            card = of_card.get((network, treatment.variant))
            listed.append(
                Candidate(
                    machine=machine,
                    network=network,
                    treatment=treatment,
                    blocks=blocks[treatment],
                    threads=threads[treatment],
                    offer=offer(machine.instance_type, types, market, region),
                    memory_bytes=memory.get(treatment),
                    size_bytes=card.gzip_bytes if card else None,
                    accuracy=card.accuracy if card else None,
                )
            )
    return listed


def value(candidate: Candidate, target: Target, percentile: int) -> tuple[float, float, float]:
    """The value in USD per million inferences, ms or img/s, with its 95 % interval; NaN where it is not known."""
    if target == "latency":
        known = candidate.latencies[percentile]
        if known.too_few or known.low is None or known.high is None:
            return nan, nan, nan
        return known.value, known.low, known.high
    speed = candidate.speed.mean
    low, high = speed.interval() if isfinite(speed.error) else (nan, nan)
    if target == "throughput":
        return exp(speed.mean), exp(low), exp(high)
    return tuple(candidate.usd_per_million / exp(end) for end in (speed.mean, high, low))  # type: ignore[return-value]


def difference(a: Candidate, b: Candidate, target: Target, percentile: int) -> Difference:
    """The difference by which a is better than b: its log is above 0 where a costs less, answers sooner, or does more.

    On one machine it is taken from the rounds that they shared, since a drift of the host is common to both. Those
    that were timed at other times are not compared. On two machines the two are independent: the interval is of just
    these hosts where each machine has few.
    """
    if target == "latency":
        return _sooner(a, b, percentile)
    price = log(b.offer.usd_per_hour / a.offer.usd_per_hour) if target == "cost" else 0.0
    if a.machine == b.machine:
        shared = log_ratios(a.blocks, b.blocks)
        ratio = over_units(shared)
        because = _disturbed(ratio.processes, disturbed(a.blocks, b.blocks)) if shared else "unpaired"
        return _difference(ratio.mean, ratio.processes, because, price)
    processes = min(a.speed.processes, b.speed.processes)
    return _difference(independent(a.speed.mean, b.speed.mean), processes, _of_either(a, b), price)


def _sooner(a: Candidate, b: Candidate, percentile: int) -> Difference:
    (logs_a, few_a), (logs_b, few_b) = a.of_processes[percentile], b.of_processes[percentile]
    together = a.machine == b.machine
    if together and not _same_rounds(a.blocks, b.blocks):
        (logs_a, few_a), (logs_b, few_b) = (
            process_percentiles(cell)[percentile] for cell in paired(a.blocks, b.blocks)
        )
    if not logs_a or not logs_b:
        return Difference(Estimate(nan, inf, 0), "unpaired")
    because = "too_few" if few_a or few_b else ""
    if together:
        ratio = over_units({unit: [logs_b[unit] - logs_a[unit]] for unit in logs_a})
        noisy = disturbed(a.blocks, b.blocks) & logs_a.keys()
        return _difference(ratio.mean, ratio.processes, because or _disturbed(ratio.processes, noisy))
    because = because or _of_either(a, b)
    of_a, of_b = a.soonness[percentile], b.soonness[percentile]
    return _difference(independent(of_a.mean, of_b.mean), min(of_a.processes, of_b.processes), because)


def _of_either(a: Candidate, b: Candidate) -> str:
    return max(_disturbed(one.speed.processes, one.noisy) for one in (a, b))


def _disturbed(processes: int, noisy: Set[Unit]) -> str:
    """Why there is no verdict, where too few of these processes are undisturbed; empty where there is one."""
    return "disturbed" if processes >= MIN_PROCESSES > processes - len(noisy) else ""


def _same_rounds(a: Blocks, b: Blocks) -> bool:
    """Whether both were timed in the very same rounds, so that of each all latencies are paired."""
    return a.keys() == b.keys() and all(a[unit].keys() == b[unit].keys() for unit in a)


def _difference(log: Estimate, processes: int, because: str, price: float = 0.0) -> Difference:
    because = because or ("too_few" if processes < MIN_PROCESSES or not isfinite(log.error) else "")
    return Difference(Estimate(log.mean + price, log.error, log.freedom), because)
