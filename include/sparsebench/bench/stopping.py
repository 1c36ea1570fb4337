"""What a job measures next, and when it ends: decided from its trials alone, so that a job that is started again
decides as the one that was interrupted would have.

All networks share the job's budget. First every network gets the generations that a verdict needs, in turns, in twice
the budget at most: on a busy host processes load slowly and blocks are timed again, and that shall cost time, not the
answer. Then the next one goes to the network whose widest interval is furthest from the target.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from sparsebench.contracts import Protocol, Trial
from sparsebench.statistics.design import Cost, rounds_per_process, spread
from sparsebench.statistics.intervals import estimate, half_width
from sparsebench.statistics.pairs import (
    Logs,
    Treatment,
    Unit,
    by_treatment,
    log_ratios,
    logs,
    pair_name,
    pairs,
    treatment,
    unit,
)

MAX_FAILURES = 2
"""Processes of one treatment that may fail before it is given up."""

VERDICT_BUDGETS = 2
"""Times the budget that may be spent as long as a network lacks what a verdict needs."""

Networks = Mapping[str, Sequence[Treatment]]
"""What a job is to measure, by network, in the order in which it was asked for."""


@dataclass(frozen=True)
class Step:
    """The next generation: of which network, and how many rounds it is to have."""

    network: str
    rounds: int


def job_budget_s(networks: Networks, protocol: Protocol) -> float:
    """The protocol's budget is that of a file; the job's is that of all its files together."""
    return protocol.budget_s * sum(
        len({treatment.variant for treatment in treatments}) for treatments in networks.values()
    )


def of_network(trials: Sequence[Trial], network: str) -> list[Trial]:
    return [trial for trial in trials if trial.cell.network == network]


def open_treatments(treatments: Sequence[Treatment], trials: Sequence[Trial]) -> list[Treatment]:
    """Those that are worth another process: an engine that is absent, or disagrees, stays so.

    trials: of the network, by this job.
    """
    given_up = {treatment(trial) for trial in trials if trial.status in ("absent", "invalid")}
    failures = Counter(treatment(trial) for trial in trials if trial.status == "failed")
    return [treatment for treatment in treatments if treatment not in given_up and failures[treatment] < MAX_FAILURES]


def next_step(trials: Sequence[Trial], networks: Networks, protocol: Protocol) -> Step | None:
    """The generation that decides most for its time; None when all is known well enough, or nothing is affordable.

    The first generation of a network is affordable whatever the budget.

    Args:
        trials: of this job so far.
    """
    budget_s, spent_s = job_budget_s(networks, protocol), machine_s(trials)
    assessed = [_OpenNetwork.assess(name, treatments, trials, protocol) for name, treatments in networks.items()]
    for network in sorted(filter(None, assessed), key=lambda network: network.rank):
        rounds = network.rounds(protocol)
        most_s = budget_s * (VERDICT_BUDGETS if network.lacks_verdict else 1)
        if not network.trials or spent_s + network.cost.generation + rounds * network.cost.round <= most_s:
            return Step(network.name, rounds)
    return None


@dataclass(frozen=True)
class _OpenNetwork:
    """A network that another generation would help. rank: the lower, the more."""

    name: str
    trials: list[Trial]
    series: list[list[list[float]]]
    planned: bool
    lacks_verdict: bool
    rank: tuple[int, float]
    budget_s: float

    @classmethod
    def assess(
        cls, network: str, treatments: Sequence[Treatment], trials: Sequence[Trial], protocol: Protocol
    ) -> _OpenNetwork | None:
        its = of_network(trials, network)
        processes = processes_of(treatments, its)
        if processes is None or _turns(treatments, its) >= protocol.max_processes:
            return None
        compared = [list(units.values()) for units in series(its, treatments).values()]
        lacks_verdict = processes < protocol.min_processes
        planned = lacks_verdict or protocol.target is None
        if planned:
            rank = (0, float(processes))
        else:
            # A pair may have fewer processes than there were generations: one failed, or all its rounds were disturbed.
            width = max(_half_width(u) if len(u) >= protocol.min_processes else inf for u in compared)
            if protocol.target is None or width <= protocol.target:
                return None
            rank = (1, -width)
        budget_s = job_budget_s({network: treatments}, protocol)
        return cls(network, its, compared, planned, lacks_verdict, rank, budget_s)

    @property
    def cost(self) -> Cost:
        return cost(self.trials)

    def rounds(self, protocol: Protocol) -> int:
        spreads = [] if self.planned else [spread(units) for units in self.series if len(units) > 1]
        if not spreads:
            return protocol.min_rounds
        return rounds_per_process(spreads, self.cost, self.budget_s, protocol.min_rounds, protocol.max_rounds)


def processes_of(treatments: Sequence[Treatment], trials: Sequence[Trial]) -> int | None:
    """How many undisturbed ones each treatment of a network has at least; None when no treatment is worth another one.

    An interrupted job may have kept only some of a generation's trials, and where memory does not hold all variants a
    generation has only some of them.
    """
    counts = Counter(treatment(trial) for trial in trials if not any(block.tolerated for block in trial.blocks))
    return min((counts[treatment] for treatment in open_treatments(treatments, trials)), default=None)


def lacking(treatments: Sequence[Treatment], trials: Sequence[Trial], protocol: Protocol) -> int:
    """The generations that a network still lacks for verdicts, and may have. trials: of the network, by this job."""
    processes = processes_of(treatments, trials)
    if processes is None:
        return 0
    return max(0, min(protocol.min_processes - processes, protocol.max_processes - _turns(treatments, trials)))


def _turns(treatments: Sequence[Treatment], trials: Sequence[Trial]) -> int:
    """The generations that each variant was in, at least: one of which an interrupted job lost something counts too."""
    counts = Counter(treatment(trial) for trial in trials)
    of_variants: dict[str, int] = {}
    for open_treatment in open_treatments(treatments, trials):
        variant = open_treatment.variant
        of_variants[variant] = max(of_variants.get(variant, 0), counts[open_treatment])
    return min(of_variants.values(), default=0)


def series(trials: Sequence[Trial], treatments: Sequence[Treatment]) -> dict[str, Logs]:
    """What has to be known well enough of a network: the log ratio of every pair, or the log throughput of what has no
    pair."""
    blocks = by_treatment(trials)
    there = open_treatments(treatments, trials)
    compared = pairs(there)
    # Who has no undisturbed block yet is in it too: that nothing is known is no reason to stop.
    ratios = {pair_name(a, b): log_ratios(blocks.get(a, {}), blocks.get(b, {})) for a, b in compared}
    paired = {treatment for pair in compared for treatment in pair}
    return ratios | {" ".join(single): logs(blocks.get(single, {})) for single in there if single not in paired}


def widest(trials: Sequence[Trial]) -> tuple[str, float] | None:
    """What is known worst of a network, and the half width of its interval (0.05: ± 5 %)."""
    known = series(trials, sorted({treatment(trial) for trial in trials}))
    widths = {name: _half_width(list(units.values())) for name, units in known.items()}
    return max(widths.items(), key=lambda item: item[1], default=None)


def left_s(trials: Sequence[Trial], networks: Networks, protocol: Protocol) -> float:
    """Machine time that the job will take, as far as can be said: what a verdict needs, then as much more as intervals
    are too wide (they narrow with the square root of the time); and not more than may be spent on either."""
    needed_s = wanted_s = 0.0
    for name, treatments in networks.items():
        its = of_network(trials, name)
        lacks = lacking(treatments, its, protocol)
        own_s = job_budget_s({name: treatments}, protocol)
        if not its:
            wanted_s += own_s
        elif lacks:
            needed_s += lacks * machine_s(its) / len(_generations(its))
        elif open_treatments(treatments, its) and protocol.target and (worst := widest(its)):
            wanted_s += min(own_s, machine_s(its) * max(0.0, (worst[1] / protocol.target) ** 2 - 1))
    budget_s, spent_s = job_budget_s(networks, protocol), machine_s(trials)
    needed_s = min(needed_s, VERDICT_BUDGETS * budget_s - spent_s)
    return max(0.0, needed_s, min(needed_s + wanted_s, budget_s - spent_s))


def _half_width(units: Sequence[Sequence[float]]) -> float:
    return half_width(estimate(units)) if len(units) > 1 else inf


def machine_s(trials: Sequence[Trial]) -> float:
    """Seconds that the trials took; those of one generation ran side by side, or in turns."""
    return sum((max(t.ended_at for t in group) - min(t.started_at for t in group)).total_seconds()
               for group in _generations(trials))  # fmt: skip


def cost(trials: Sequence[Trial]) -> Cost:
    """The cost of a generation's start and of a round, as they were on average. Trials: of one network."""
    rounds = seconds = blocks_s = 0.0
    groups = _generations(trials)
    for group in groups:
        rounds += max(len({block.round for block in trial.blocks}) for trial in group)
        seconds += machine_s(group)
        starts = [block.started_at for trial in group for block in trial.blocks]
        if starts:
            blocks_s += (max(t.ended_at for t in group) - min(starts)).total_seconds()
    return Cost(generation=(seconds - blocks_s) / len(groups), round=blocks_s / max(rounds, 1))


def _generations(trials: Sequence[Trial]) -> list[list[Trial]]:
    groups: dict[tuple[str, Unit], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((trial.cell.network, unit(trial)), []).append(trial)
    return list(groups.values())
