"""Every pair of engines on every network and machine: the ratio of their throughputs, how surely it is known, and
what may be said of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import inf, isfinite, log, nan
from statistics import fmean
from typing import Literal, NamedTuple

import pandas as pd

from sparsebench.analysis import order
from sparsebench.analysis.results import CELL, FILE, MACHINE, Machine, Results, Row, grouped, table
from sparsebench.contracts import Trial
from sparsebench.statistics.intervals import Estimate, estimate
from sparsebench.statistics.pairs import Lane, Logs, Unit, by_lane, lane, log_ratios, pairs
from sparsebench.statistics.verdicts import Compared, verdicts

ENOUGH_HOSTS = 6
"""From so many hosts on, the interval is that of the mean over hosts. Fewer say too little of how hosts differ, so
that it is of the processes on just these hosts."""

Over = Literal["hosts", "processes", "repeats"]

RATIOS: dict[str, str] = {
    **dict.fromkeys([*MACHINE, *FILE], "str"),
    "emulated": "bool",
    "engine_a": "str",
    "engine_b": "str",
    "precision_a": "str",
    "precision_b": "str",
    "ratio": "float64",
    "low": "float64",
    "high": "float64",
    "verdict": "str",
    "p": "float64",
    "half_width": "float64",
    "converged": "boolean",
    "over": "str",
    "hosts": "Int64",
    "processes": "int64",
    "rounds": "int64",
    "excluded_rounds": "Int64",
}
"""Columns of ``ratios``: one row a machine, network, variant and pair.

ratio: A's throughput over B's, the geometric mean over the units (NaN where no round has both). low, high: its 95 %
interval; NaN, as is half_width, where there is one unit. verdict: of A against B; p: of no difference, adjusted for the
family. half_width: relative, the larger side. converged: half_width is within the protocol's target; NA where there
is none. over: what the units are: hosts, processes, or the repeats of a CSV. rounds: in which both were timed
undisturbed; excluded_rounds: in which both were timed, one of them disturbed. NA: a CSV does not tell.
"""


class Pair(NamedTuple):
    machine: Machine
    network: str
    variant: str
    a: Lane
    b: Lane


@dataclass(frozen=True)
class Ratio:
    """Of a pair's throughputs. log: of the ratio; the rest: as in RATIOS."""

    log: Estimate
    over: Over
    hosts: int | None
    processes: int
    rounds: int
    excluded: int | None

    @property
    def compared(self) -> Compared:
        return Compared(self.log, self.rounds)

    @property
    def inverse(self) -> Ratio:
        return replace(self, log=replace(self.log, mean=-self.log.mean))


def measure(results: Results) -> dict[Pair, Ratio]:
    """The ratio of every pair of lanes that have a throughput of the same file on the same machine."""
    return dict(_of_trials(results) if results.trials else _of_repeats(results))


def ratios(found: Mapping[Pair, Ratio], target: float | None = None) -> pd.DataFrame:
    """A table of ratios with their verdicts (columns: RATIOS).

    The family within which verdicts are adjusted is what a report shows together: the pairs of one lane, or of the two
    lanes of each engine, on one machine.

    Args:
        target: the protocol's, for the half width.
    """
    families: dict[object, dict[Pair, Ratio]] = {}
    for pair, ratio in found.items():
        families.setdefault((pair.machine, pair.a.precision, pair.b.precision), {})[pair] = ratio
    rows: list[Row] = []
    for family in families.values():
        said = verdicts({pair: ratio.compared for pair, ratio in family.items()})
        for pair, ratio in family.items():
            known = isfinite(ratio.log.error)
            verdict = said[pair]
            rows.append(
                {
                    **pair.machine._asdict(),
                    "network": pair.network,
                    "variant": pair.variant,
                    "engine_a": pair.a.engine,
                    "engine_b": pair.b.engine,
                    "precision_a": pair.a.precision,
                    "precision_b": pair.b.precision,
                    "ratio": verdict.ratio,
                    "low": verdict.low if known else nan,
                    "high": verdict.high if known else nan,
                    "verdict": verdict.kind,
                    "p": verdict.p,
                    "half_width": verdict.half_width if known else nan,
                    "converged": None if target is None else known and verdict.half_width <= target,
                    "over": ratio.over,
                    "hosts": ratio.hosts,
                    "processes": ratio.processes,
                    "rounds": ratio.rounds,
                    "excluded_rounds": ratio.excluded,
                }
            )
    return table(rows, RATIOS)


def slower(found: pd.DataFrame, network: str, variant: str, engine: str) -> set[str]:
    """The engines that are shown to be slower than this one on a file. found: of one machine and lane."""
    mine = found[(found["network"] == network) & (found["variant"] == variant)]
    behind = mine[(mine["engine_a"] == engine) & (mine["verdict"] == "faster")]
    ahead = mine[(mine["engine_b"] == engine) & (mine["verdict"] == "slower")]
    return {*behind["engine_b"], *ahead["engine_a"]}


def _of_trials(results: Results) -> Iterator[tuple[Pair, Ratio]]:
    with_throughput = set(results.repeats[CELL].itertuples(index=False, name=None))
    files: dict[tuple[Machine, str, str], list[Trial]] = {}
    for machine, trial in results.trials:
        cell = trial.cell
        if (*machine, cell.network, cell.variant, cell.engine, cell.precision) in with_throughput:
            files.setdefault((machine, cell.network, cell.variant), []).append(trial)
    for file, trials in files.items():
        undisturbed = by_lane(trials)
        timed = {(lane(trial), _unit(trial)): {block.round for block in trial.blocks} for trial in trials}
        for a, b in pairs(order.lanes(undisturbed)):
            logs = log_ratios(undisturbed[a], undisturbed[b])
            both = sum(len(rounds & timed.get((b, unit), set())) for (one, unit), rounds in timed.items() if one == a)
            yield Pair(*file, a, b), _ratio(logs, both)


def _unit(trial: Trial) -> Unit:
    return Unit(trial.instance_id, trial.job, trial.generation)


def _ratio(logs: Logs, both: int) -> Ratio:
    hosts: dict[str, list[float]] = {}
    for unit, values in logs.items():
        hosts.setdefault(unit.instance_id, []).append(fmean(values))
    over: Over = "hosts" if len(hosts) >= ENOUGH_HOSTS else "processes"
    rounds = sum(map(len, logs.values()))
    units = list((hosts if over == "hosts" else logs).values())
    return Ratio(_estimate(units), over, len(hosts), len(logs), rounds, both - rounds)


def _of_repeats(results: Results) -> Iterator[tuple[Pair, Ratio]]:
    """Of a CSV: the repeats of one number are one unit."""
    for (*machine, network, variant), mine in grouped(results.repeats, [*MACHINE, *FILE]):
        speeds: dict[Lane, dict[int, float]] = {}
        for row in mine.to_dict("records"):
            speeds.setdefault(Lane(row["engine"], row["precision"]), {})[row["repeat"]] = row["throughput_img_s"]
        for a, b in pairs(order.lanes(speeds)):
            shared = sorted(speeds[a].keys() & speeds[b].keys())
            units = [[log(speeds[a][repeat] / speeds[b][repeat])] for repeat in shared]
            count = len(units)
            yield (
                Pair(Machine(*machine), network, variant, a, b),
                Ratio(_estimate(units), "repeats", None, count, count, None),
            )


def _estimate(units: list[list[float]]) -> Estimate:
    return estimate(units) if units else Estimate(nan, inf, 0)
