"""One engine against another over all networks, and the points of the line graph.

The geometric mean of the ratios, in which every file weighs the same, has an interval and a verdict. Beside it stands
the study's rule: on each instance type the arithmetic means of the medians over its ONNX files, then the mean over
instance types of (mean A / mean B - 1). An arithmetic mean of throughputs is led by the fastest networks.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite, isnan, nan
from typing import Any

import pandas as pd

from sparsebench.analysis.order import ordered
from sparsebench.analysis.ratios import Pair, Ratio
from sparsebench.analysis.results import FILE, MACHINE, Machine, OnMachine, Results, Row
from sparsebench.statistics.intervals import Estimate, combined
from sparsebench.statistics.pairs import Treatment
from sparsebench.statistics.verdicts import Compared, Verdict, verdicts

COMPARED_VARIANTS = ("base", "pruned")
"""What means are taken over: the study's ONNX files. Fake-pruned networks classify nothing."""

HEADLINES = (("deepsparse", "openvino"), ("deepsparse", "onnxruntime"))


@dataclass(frozen=True)
class Comparison:
    """Engine ``a`` against engine ``b``.

    machines: one row an instance type and CPU model on which both have a cell: the MACHINE columns,
    mean_a and mean_b (img/s, of the medians of the shared cells), cells (shared) of cells_planned (files for either),
    study (mean_a / mean_b - 1), study_without (the study's mean over the other machines; NaN for the only one),
    entered (cells in the geometric mean: those that have an interval; where none has, those with a round in
    common), geometric (geometric mean of the ratios - 1), low and high (its own 95 % interval, NaN where there
    is none), family_low and family_high (the interval that its verdict rests on: statistics/verdicts.py), verdict, p,
    over (what the intervals' units are).
    overall: of all machines; its interval is infinite where one of them has none.
    """

    a: str
    b: str
    machines: pd.DataFrame
    overall: Verdict

    @property
    def study(self) -> float:
        """Mean over the machines of mean_a / mean_b - 1: 0.12 means that A is 12 % faster."""
        return float(self.machines["study"].mean())

    @property
    def geometric(self) -> float:
        """Geometric mean over the machines of their geometric means, - 1."""
        return self.overall.ratio - 1


def compare(lane: Results, measured: Mapping[Pair, Ratio], engines: Iterable[tuple[str, str]]) -> list[Comparison]:
    """Compare pairs of engines over the base and pruned cells of a lane that both have; those pairs that share one.

    The family within which verdicts are adjusted is all that is shown together: every pair on every machine and,
    where there are several, over all machines.
    """
    machines = [files for part in lane.by_machine() if len((files := _Files.from_machine(part)).medians)]
    drafts = [draft for a, b in engines if (draft := _draft(machines, measured, a, b)).rows]
    judged = verdicts({(draft.a, draft.b, key): ratio for draft in drafts for key, ratio in draft.compared.items()})
    return [_finished(draft, {key: judged[draft.a, draft.b, key] for key in draft.compared}) for draft in drafts]


def headlines(lane: Results, measured: Mapping[Pair, Ratio]) -> list[Comparison]:
    """The comparisons that have at least one shared cell: deepsparse against the two others; where
    deepsparse has none at all, every pair of what is there."""
    present = list(dict.fromkeys(lane.cells["engine"]))
    pairs = HEADLINES if "deepsparse" in present else tuple(itertools.combinations(present, 2))
    return compare(lane, measured, pairs)


def line_points(lane: Results) -> pd.DataFrame:
    """Mean throughput of each engine on each machine, over the files that all its engines have there.

    Columns: the MACHINE columns, engine, mean_img_s (arithmetic mean of the files' means), low_img_s and high_img_s
    (its 95 % interval; NaN where a file has a single process), files (that entered) of files_planned.
    """
    rows: list[Row] = []
    for part in lane.by_machine():
        cells, missing = _compared(part)
        planned = {*cells[FILE].itertuples(index=False, name=None), *missing[FILE].itertuples(index=False, name=None)}
        engines: dict[str, dict[tuple[str, str], Estimate]] = {}
        cell: Any
        for cell in cells.itertuples():
            engines.setdefault(cell.engine, {})[cell.network, cell.variant] = _linear(cell)
        shared = set.intersection(*(set(of_engine) for of_engine in engines.values())) if engines else set()
        for engine, of_engine in sorted(engines.items()) if shared else ():
            mean = combined([estimate for file, estimate in of_engine.items() if file in shared])
            low, high = mean.interval() if isfinite(mean.error) else (nan, nan)
            rows.append(
                {
                    **part.machine._asdict(),
                    "engine": engine,
                    "mean_img_s": mean.mean,
                    "low_img_s": low,
                    "high_img_s": high,
                    "files": len(shared),
                    "files_planned": len(planned),
                }
            )
    columns = [*MACHINE, "engine", "mean_img_s", "low_img_s", "high_img_s", "files", "files_planned"]
    return ordered(pd.DataFrame(rows, columns=columns))


def _compared(part: OnMachine) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The cells and what is missing of a machine, of the files that means are taken over."""
    cells, missing = (frame[frame["variant"].isin(COMPARED_VARIANTS)] for frame in (part.cells, part.missing))
    return cells, missing


def _linear(cell: Any) -> Estimate:
    """A cell's mean in img/s. A small error of the log is the relative error."""
    error = inf if isnan(cell.log_error) else cell.mean_img_s * cell.log_error
    return Estimate(cell.mean_img_s, error, cell.log_freedom)


@dataclass
class _Draft:
    """A comparison without its verdicts. compared: of each machine, and of None, which is all of them."""

    a: str
    b: str
    rows: list[Row] = field(default_factory=list)
    compared: dict[Machine | None, Compared] = field(default_factory=dict)


@dataclass(frozen=True)
class _Files:
    """The files of one machine and lane that means are taken over.

    medians: one row a file, one column an engine. planned: the engines that each file was planned for.
    """

    machine: Machine
    cells: pd.DataFrame
    medians: pd.DataFrame
    planned: Mapping[tuple[str, str], set[str]]

    @classmethod
    def from_machine(cls, part: OnMachine) -> _Files:
        cells, missing = _compared(part)
        planned: dict[tuple[str, str], set[str]] = {}
        for frame in (cells, missing):
            for network, variant, engine in frame[[*FILE, "engine"]].itertuples(index=False, name=None):
                planned.setdefault((network, variant), set()).add(engine)
        medians = cells.pivot(index=FILE, columns="engine", values="median_img_s")
        return cls(part.machine, cells, medians, planned)


def _draft(machines: Sequence[_Files], measured: Mapping[Pair, Ratio], a: str, b: str) -> _Draft:
    draft = _Draft(a, b)
    for files in machines:
        machine, shared = files.machine, files.medians.reindex(columns=[a, b]).dropna()
        if shared.empty:
            continue
        precision = files.cells["precision"].iloc[0]
        entered = _entered(
            [
                _ratio(measured, Pair(machine, network, *(Treatment(variant, e, precision) for e in (a, b))))
                for network, variant in shared.index
            ]
        )
        draft.compared[machine] = geometric_mean([ratio.compared for ratio in entered])
        means = shared.mean()
        draft.rows.append(
            {
                **machine._asdict(),
                "mean_a": means[a],
                "mean_b": means[b],
                "cells": len(shared),
                "cells_planned": sum(bool({a, b} & engines) for engines in files.planned.values()),
                "study": means[a] / means[b] - 1,
                "entered": len(entered),
                "over": " or ".join(sorted({ratio.over for ratio in entered})),
            }
        )
    if len(draft.rows) > 1:
        draft.compared[None] = geometric_mean([ratio for ratio in draft.compared.values() if not isnan(ratio.log.mean)])
    return draft


def _finished(draft: _Draft, judged: Mapping[Machine | None, Verdict]) -> Comparison:
    machines = pd.DataFrame(draft.rows)
    others = len(machines) - 1
    machines["study_without"] = (machines["study"].sum() - machines["study"]) / others if others else nan
    of_each = [judged[Machine(*row)] for row in machines[MACHINE].itertuples(index=False)]
    machines["geometric"] = [verdict.ratio - 1 for verdict in of_each]
    machines["low"] = [verdict.low - 1 if isfinite(verdict.high) else nan for verdict in of_each]
    machines["high"] = [verdict.high - 1 if isfinite(verdict.high) else nan for verdict in of_each]
    machines["family_low"] = [verdict.family_low - 1 for verdict in of_each]
    machines["family_high"] = [verdict.family_high - 1 for verdict in of_each]
    machines["verdict"] = [verdict.kind for verdict in of_each]
    machines["p"] = [verdict.p for verdict in of_each]
    return Comparison(draft.a, draft.b, machines, judged[None] if others else of_each[0])


def _ratio(measured: Mapping[Pair, Ratio], pair: Pair) -> Ratio:
    """A pair's ratio, whichever way round it was measured."""
    return measured.get(pair) or measured[pair._replace(a=pair.b, b=pair.a)].inverse


def _entered(ratios: Sequence[Ratio]) -> Sequence[Ratio]:
    """One ratio without an interval would take it from the mean of all."""
    known = [ratio for ratio in ratios if isfinite(ratio.log.error)]
    return known or [ratio for ratio in ratios if ratio.rounds]


def geometric_mean(parts: Sequence[Compared]) -> Compared:
    """The geometric mean of ratios, each of which weighs the same."""
    if not parts:
        return Compared(Estimate(nan, inf, 0), 0, 0)
    log = combined([part.log for part in parts])
    processes, quiet = min(part.processes for part in parts), min(part.quiet for part in parts)
    return Compared(log, sum(part.rounds for part in parts), processes, processes - quiet)
