"""Ratios of throughputs, how surely they are known, and what may be said of them: engine against engine on the same
file, native against f32 in the same engine, and a variant against its base in the same engine and precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import inf, isfinite, log, nan
from typing import Literal, NamedTuple

import pandas as pd

from sparsebench.analysis import order
from sparsebench.analysis.results import CELL, FILE, MACHINE, Machine, Results, Row, grouped, table
from sparsebench.contracts import Trial
from sparsebench.statistics.hosts import over_units
from sparsebench.statistics.intervals import Estimate, difference, estimate
from sparsebench.statistics.pairs import (
    Blocks,
    Logs,
    Treatment,
    Unit,
    by_treatment,
    disturbed,
    log_ratios,
    logs,
    pairs,
    treatment,
    unit,
)
from sparsebench.statistics.verdicts import Compared, Verdict, verdicts

Over = Literal["hosts", "processes", "repeats"]

_MEASURED: dict[str, str] = {
    "ratio": "float64",
    "low": "float64",
    "high": "float64",
    "family_low": "float64",
    "family_high": "float64",
    "verdict": "str",
    "p": "float64",
    "half_width": "float64",
    "converged": "boolean",
    "over": "str",
    "hosts": "Int64",
    "processes": "int64",
    "disturbed_processes": "int64",
    "rounds": "int64",
    "excluded_rounds": "Int64",
}
"""ratio: A's throughput over B's, the geometric mean over the units (NaN where no round has both). low, high: its
own 95 % interval; NaN, as is half_width, where there is one unit. verdict: of A against B. family_low, family_high: the
interval that faster, slower and undecided rest on; p: of no difference, adjusted for the family (all three NaN where
processes are too few for a verdict). half_width: relative, the larger side. converged: half_width is within the
protocol's target; NA where there is none. over: what the units are: hosts, processes (on just these hosts, each of
which weighs the same), or the repeats of a CSV; hosts, processes: that entered (statistics/hosts.py), and
disturbed_processes, those of them that entered although disturbed. rounds: that entered; excluded_rounds: in which both
were timed, one of them disturbed. NA: a CSV does not tell."""

_FILE = dict.fromkeys([*MACHINE, *FILE], "str") | {"emulated": "bool"}

RATIOS: dict[str, str] = {
    **_FILE,
    **dict.fromkeys(["engine_a", "engine_b", "precision_a", "precision_b"], "str"),
    **_MEASURED,
}
"""Columns of ``ratios``: one row a machine, network, variant and pair of engines or of an engine's precisions."""

SPEEDUPS: dict[str, str] = {
    **_FILE,
    "engine": "str",
    "precision": "str",
    **_MEASURED,
    "paired": "boolean",
}
"""Columns of ``speedups``: one row a machine, network, variant, engine and precision: A is the variant, B its base.
paired: in the same rounds; where False, the two were timed at other times, on a host that drifts: the interval does not
know of that, so the verdict is UNPAIRED and claims nothing. NA: without a ratio."""

UNPAIRED = "unpaired"


class Pair(NamedTuple):
    machine: Machine
    network: str
    a: Treatment
    b: Treatment

    @property
    def same_file(self) -> bool:
        return self.a.variant == self.b.variant


@dataclass(frozen=True)
class Ratio:
    """The ratio of a pair's throughputs. log: of the ratio; the rest: as in RATIOS."""

    log: Estimate
    over: Over
    hosts: int | None
    processes: int
    rounds: int
    excluded: int | None
    paired: bool = True
    disturbed: int = 0

    @property
    def compared(self) -> Compared:
        return Compared(self.log, self.rounds, self.processes, self.disturbed)

    @property
    def inverse(self) -> Ratio:
        return replace(self, log=replace(self.log, mean=-self.log.mean))


def measure(results: Results) -> dict[Pair, Ratio]:
    """The ratio of every pair of treatments of a network on a machine that both have a throughput."""
    return dict(_of_trials(results) if results.trials else _of_repeats(results))


def ratios(measured: Mapping[Pair, Ratio], target: float | None = None) -> pd.DataFrame:
    """The ratios of the same file, with their verdicts (columns: RATIOS).

    The family within which verdicts are adjusted is what a report shows together: the pairs of one lane, or of the two
    lanes of each engine, on one machine.

    Args:
        target: the protocol's, for the half width.
    """
    same = {pair: ratio for pair, ratio in measured.items() if pair.same_file}
    judged = _verdicts(same, lambda pair: (pair.machine, pair.a.precision, pair.b.precision))
    rows = [
        {
            **pair.machine._asdict(),
            "network": pair.network,
            "variant": pair.a.variant,
            "engine_a": pair.a.engine,
            "engine_b": pair.b.engine,
            "precision_a": pair.a.precision,
            "precision_b": pair.b.precision,
            **_columns(ratio, judged[pair], target),
        }
        for pair, ratio in same.items()
    ]
    return table(rows, RATIOS)


def speedups(measured: Mapping[Pair, Ratio], target: float | None = None) -> pd.DataFrame:
    """Every variant against its base, with its verdict (columns: SPEEDUPS). The family: those of a machine and lane."""
    files = {pair: ratio for pair, ratio in measured.items() if not pair.same_file}
    judged = _verdicts(files, lambda pair: (pair.machine, pair.a.precision))
    rows = [
        {
            **pair.machine._asdict(),
            "network": pair.network,
            "variant": pair.a.variant,
            "engine": pair.a.engine,
            "precision": pair.a.precision,
            **_columns(ratio, judged[pair], target),
            **({} if ratio.paired else {"verdict": UNPAIRED, "p": nan, "family_low": nan, "family_high": nan}),
            "paired": ratio.paired,
        }
        for pair, ratio in files.items()
    ]
    return table(rows, SPEEDUPS)


def _verdicts(measured: Mapping[Pair, Ratio], family: Callable[[Pair], object]) -> dict[Pair, Verdict]:
    families: dict[object, dict[Pair, Compared]] = {}
    for pair, ratio in measured.items():
        families.setdefault(family(pair), {})[pair] = ratio.compared
    return {pair: verdict for compared in families.values() for pair, verdict in verdicts(compared).items()}


def _columns(ratio: Ratio, verdict: Verdict, target: float | None) -> Row:
    """The columns as of _MEASURED."""
    known = isfinite(ratio.log.error)
    return {
        "ratio": verdict.ratio,
        "low": verdict.low if known else nan,
        "high": verdict.high if known else nan,
        "family_low": verdict.family_low,
        "family_high": verdict.family_high,
        "verdict": verdict.kind,
        "p": verdict.p,
        "half_width": verdict.half_width if known else nan,
        "converged": None if target is None else known and verdict.half_width <= target,
        "over": ratio.over,
        "hosts": ratio.hosts,
        "processes": ratio.processes,
        "disturbed_processes": ratio.disturbed,
        "rounds": ratio.rounds,
        "excluded_rounds": ratio.excluded,
    }


def slower(compared: pd.DataFrame) -> dict[tuple[str, str, str], set[str]]:
    """The engines, by network, variant and engine, that are shown to be slower than this one on that file.

    compared: ratios of one machine and lane.
    """
    behind: dict[tuple[str, str, str], set[str]] = {}
    columns = ["network", "variant", "engine_a", "engine_b", "verdict"]
    for network, variant, a, b, verdict in compared[columns].itertuples(index=False, name=None):
        if verdict in ("faster", "slower"):
            ahead, other = (a, b) if verdict == "faster" else (b, a)
            behind.setdefault((network, variant, ahead), set()).add(other)
    return behind


def _of_trials(results: Results) -> Iterator[tuple[Pair, Ratio]]:
    with_throughput = set(results.repeats[CELL].itertuples(index=False, name=None))
    networks: dict[tuple[Machine, str], list[Trial]] = {}
    for machine, trial in results.trials:
        cell = trial.cell
        if (*machine, cell.network, cell.variant, cell.engine, cell.precision) in with_throughput:
            networks.setdefault((machine, cell.network), []).append(trial)
    for network, trials in networks.items():
        blocks = by_treatment(trials)
        timed: dict[Treatment, dict[Unit, set[int]]] = {}
        for trial in trials:
            timed.setdefault(treatment(trial), {})[unit(trial)] = {block.round for block in trial.blocks}
        for a, b in pairs(order.treatments(blocks)):
            of_rounds = log_ratios(blocks[a], blocks[b])
            if a.variant == b.variant or of_rounds:
                both = sum(len(rounds & timed[b].get(where, set())) for where, rounds in timed[a].items())
                noisy = len(disturbed(blocks[a], blocks[b]))
                yield Pair(*network, a, b), _paired(of_rounds, both, noisy)
            else:
                yield Pair(*network, a, b), _unpaired(blocks[a], blocks[b])


def _paired(of_rounds: Logs, both: int, noisy: int) -> Ratio:
    pooled = over_units(of_rounds)
    rounds = sum(map(len, of_rounds.values()))
    return Ratio(pooled.mean, pooled.over, pooled.hosts, pooled.processes, rounds, both - rounds, disturbed=noisy)


def _unpaired(a: Blocks, b: Blocks) -> Ratio:
    """The ratio of a variant and a base that were timed one after the other: the difference of two independent
    means."""
    of_a, of_b = over_units(logs(a)), over_units(logs(b))
    over: Over = of_a.over if of_a.over == of_b.over else "processes"
    rounds = min(sum(map(len, a.values())), sum(map(len, b.values())))
    hosts, processes = min(of_a.hosts, of_b.hosts), min(of_a.processes, of_b.processes)
    return Ratio(difference(of_a.mean, of_b.mean), over, hosts, processes, rounds, None, paired=False)


def _of_repeats(results: Results) -> Iterator[tuple[Pair, Ratio]]:
    """The ratio of a CSV: the repeats of one number are one unit, of the same file; it does not tell when files took
    turns."""
    for (*machine, network), of_network in grouped(results.repeats, [*MACHINE, "network"]):
        speeds: dict[Treatment, dict[int, float]] = {}
        for row in of_network.to_dict("records"):
            key = Treatment(row["variant"], row["engine"], row["precision"])
            speeds.setdefault(key, {})[row["repeat"]] = row["throughput_img_s"]
        for a, b in pairs(order.treatments(speeds)):
            yield Pair(Machine(*machine), network, a, b), _repeats(speeds[a], speeds[b], a.variant == b.variant)


def _repeats(a: dict[int, float], b: dict[int, float], paired: bool) -> Ratio:
    if paired:
        units = [[log(a[repeat] / b[repeat])] for repeat in sorted(a.keys() & b.keys())]
        return Ratio(_estimate(units), "repeats", None, len(units), len(units), None)
    of_a, of_b = ([[log(speed)] for _, speed in sorted(speeds.items())] for speeds in (a, b))
    count = min(len(of_a), len(of_b))
    return Ratio(difference(_estimate(of_a), _estimate(of_b)), "repeats", None, count, count, None, paired=False)


def _estimate(units: list[list[float]]) -> Estimate:
    return estimate(units) if units else Estimate(nan, inf, 0)
