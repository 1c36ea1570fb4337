"""When a network's variant has been measured enough, decided from its trials alone: a job that is started again
decides as the one that was interrupted would have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from math import inf

from sparsebench.contracts import Protocol, Trial
from sparsebench.statistics.design import Cost, rounds_per_process, spread
from sparsebench.statistics.intervals import estimate, half_width
from sparsebench.statistics.pairs import Lane, Logs, by_lane, lane, log_ratios, logs, pairs

MAX_FAILURES = 2
"""Processes of one engine and precision that may fail before it is given up."""


def open_lanes(lanes: Sequence[Lane], trials: Sequence[Trial]) -> list[Lane]:
    """Those that are worth another process: an engine that is absent, or disagrees, stays so."""
    given_up = {lane(trial) for trial in trials if trial.status in ("absent", "invalid")}
    failures = Counter(lane(trial) for trial in trials if trial.status == "failed")
    return [one for one in lanes if one not in given_up and failures[one] < MAX_FAILURES]


def next_rounds(trials: Sequence[Trial], lanes: Sequence[Lane], protocol: Protocol) -> int | None:
    """How many undisturbed rounds the next generation is to have; None when there is to be none.

    Args:
        trials: of the network's variant so far, by this job.
        lanes: that were asked for.
    """
    generations = len({trial.generation for trial in trials})
    wanted = open_lanes(lanes, trials)
    if not wanted or generations >= protocol.max_processes:
        return None
    # An interrupted job may have kept only some of a generation's trials.
    processes = min(sum(lane(trial) == one for trial in trials) for one in wanted)
    if processes < protocol.min_processes or protocol.target is None:
        rounds = protocol.min_rounds
    else:
        compared = [list(found.values()) for found in series(trials, lanes).values()]
        # A pair may have fewer processes than there were generations: one failed, or no round of it was undisturbed.
        if all(len(u) >= protocol.min_processes and _half_width(u) <= protocol.target for u in compared):
            return None
        rounds = protocol.min_rounds
        if spreads := [spread(units) for units in compared if len(units) > 1]:
            rounds = rounds_per_process(
                spreads, cost(trials), protocol.budget_s, protocol.min_rounds, protocol.max_rounds
            )
    if generations:
        expected = cost(trials)
        if machine_s(trials) + expected.generation + rounds * expected.round > protocol.budget_s:
            return None
    return rounds


def series(trials: Sequence[Trial], lanes: Sequence[Lane]) -> dict[str, Logs]:
    """What has to be known well enough: the log ratio of every pair, or the log throughput of what has no pair."""
    blocks = by_lane(trials)
    there = open_lanes(lanes, trials)
    # Who has no undisturbed block yet is in it too: that nothing is known is no reason to stop.
    compared = {f"{_words(a)} / {_words(b)}": log_ratios(blocks.get(a, {}), blocks.get(b, {})) for a, b in pairs(there)}
    paired = {one for pair in pairs(there) for one in pair}
    return compared | {_words(one): logs(blocks.get(one, {})) for one in there if one not in paired}


def widest(trials: Sequence[Trial]) -> tuple[str, float] | None:
    """What is known worst, and the half width of its interval (0.05: ± 5 %)."""
    found = series(trials, sorted({lane(trial) for trial in trials}))
    widths = {name: _half_width(list(units.values())) for name, units in found.items()}
    return max(widths.items(), key=lambda item: item[1], default=None)


def _half_width(units: Sequence[Sequence[float]]) -> float:
    return half_width(estimate(units)) if len(units) > 1 else inf


def _words(one: Lane) -> str:
    return f"{one.engine} {one.precision}"


def machine_s(trials: Sequence[Trial]) -> float:
    """Seconds that the trials took; those of one generation ran side by side."""
    return sum((max(t.ended_at for t in group) - min(t.started_at for t in group)).total_seconds()
               for group in _generations(trials))  # fmt: skip


def cost(trials: Sequence[Trial]) -> Cost:
    """Of a generation's start and of a round, as they were on average."""
    rounds = seconds = blocks_s = 0.0
    groups = _generations(trials)
    for group in groups:
        rounds += max(len(trial.blocks) for trial in group)
        seconds += machine_s(group)
        starts = [block.started_at for trial in group for block in trial.blocks]
        if starts:
            blocks_s += (max(t.ended_at for t in group) - min(starts)).total_seconds()
    return Cost(generation=(seconds - blocks_s) / len(groups), round=blocks_s / max(rounds, 1))


def _generations(trials: Sequence[Trial]) -> list[list[Trial]]:
    by_number = sorted(trials, key=lambda trial: trial.generation)
    return [list(group) for _, group in groupby(by_number, key=lambda trial: trial.generation)]
