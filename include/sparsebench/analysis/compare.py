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
from sparsebench.analysis.results import FILE, MACHINE, Machine, Row, grouped
from sparsebench.statistics.intervals import Estimate, combined
from sparsebench.statistics.pairs import Lane
from sparsebench.statistics.verdicts import Compared, Verdict, verdicts

COMPARED_VARIANTS = ("base", "pruned")
"""What means are taken over: the study's ONNX files. Fake-pruned networks classify nothing."""

HEADLINES = (("deepsparse", "openvino"), ("deepsparse", "onnxruntime"))


@dataclass(frozen=True)
class Comparison:
    """Engine ``a`` against engine ``b``.

    machines: one row an instance type and CPU model on which both have a cell: the MACHINE columns,
    mean_a and mean_b (img/s, of the medians of the shared cells), cells (shared) of cells_any (of either engine),
    study (mean_a / mean_b - 1), study_without (the study's mean over the other machines; NaN for the only one),
    entered (cells in the geometric mean: those that have an interval; where none has, those with a round in
    common), geometric (geometric mean of the ratios - 1), low and high (its 95 % interval, NaN where there is
    none), verdict, p, over (what the intervals' units are).
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


def compare(
    cells: pd.DataFrame, measured: Mapping[Pair, Ratio], engines: Iterable[tuple[str, str]]
) -> list[Comparison]:
    """Compare pairs of engines over the base and pruned cells (of one lane) that both have; those pairs that share one.

    The family within which verdicts are adjusted is all that is shown together: every pair on every machine and,
    where there are several, over all machines.
    """
    drafts = [draft for a, b in engines if (draft := _draft(cells, measured, a, b)).rows]
    said = verdicts({(draft.a, draft.b, key): one for draft in drafts for key, one in draft.compared.items()})
    return [_finished(draft, {key: said[draft.a, draft.b, key] for key in draft.compared}) for draft in drafts]


def headlines(cells: pd.DataFrame, measured: Mapping[Pair, Ratio]) -> list[Comparison]:
    """The comparisons that have at least one shared cell: deepsparse against the two others; where
    deepsparse has none at all, every pair of what is there."""
    present = list(dict.fromkeys(cells["engine"]))
    pairs = HEADLINES if "deepsparse" in present else tuple(itertools.combinations(present, 2))
    return compare(cells, measured, pairs)


def line_points(cells: pd.DataFrame) -> pd.DataFrame:
    """Mean throughput of each engine on each machine, over the files that all its engines have there.

    Columns: the MACHINE columns, engine, mean_img_s (arithmetic mean of the files' means), low_img_s and high_img_s
    (its 95 % interval; NaN where a file has a single process), files (that entered) of files_any (that some engine
    has).
    """
    rows = []
    for machine, group, files in _by_machine(cells):
        shared = files.dropna()
        entered = group.set_index(FILE).loc[shared.index]
        for engine, mine in entered.groupby("engine"):
            mean = combined([_linear(row) for row in mine.itertuples()])
            low, high = mean.interval() if isfinite(mean.error) else (nan, nan)
            rows.append(
                {
                    **machine._asdict(),
                    "engine": engine,
                    "mean_img_s": mean.mean,
                    "low_img_s": low,
                    "high_img_s": high,
                    "files": len(shared),
                    "files_any": len(files),
                }
            )
    columns = [*MACHINE, "engine", "mean_img_s", "low_img_s", "high_img_s", "files", "files_any"]
    return ordered(pd.DataFrame(rows, columns=columns))


def _linear(cell: Any) -> Estimate:
    """A cell's mean in img/s. A small error of the log is the relative error."""
    error = inf if isnan(cell.log_error) else cell.mean_img_s * cell.log_error
    return Estimate(cell.mean_img_s, error, cell.processes - 1)


@dataclass
class _Draft:
    """A comparison without its verdicts. compared: of each machine, and of None, which is all of them."""

    a: str
    b: str
    rows: list[Row] = field(default_factory=list)
    compared: dict[Machine | None, Compared] = field(default_factory=dict)


def _draft(cells: pd.DataFrame, measured: Mapping[Pair, Ratio], a: str, b: str) -> _Draft:
    draft = _Draft(a, b)
    for machine, group, files in _by_machine(cells):
        pair = files.reindex(columns=[a, b])
        shared = pair.dropna()
        if shared.empty:
            continue
        lanes = [Lane(engine, group["precision"].iloc[0]) for engine in (a, b)]
        entered = _entered([_ratio(measured, Pair(machine, *file, *lanes)) for file in shared.index])
        draft.compared[machine] = _combined([ratio.compared for ratio in entered])
        means = shared.mean()
        draft.rows.append(
            {
                **machine._asdict(),
                "mean_a": means[a],
                "mean_b": means[b],
                "cells": len(shared),
                "cells_any": len(pair.dropna(how="all")),
                "study": means[a] / means[b] - 1,
                "entered": len(entered),
                "over": " or ".join(sorted({ratio.over for ratio in entered})),
            }
        )
    if len(draft.rows) > 1:
        draft.compared[None] = _combined([one for one in draft.compared.values() if not isnan(one.log.mean)])
    return draft


def _finished(draft: _Draft, said: Mapping[Machine | None, Verdict]) -> Comparison:
    machines = pd.DataFrame(draft.rows)
    others = len(machines) - 1
    machines["study_without"] = (machines["study"].sum() - machines["study"]) / others if others else nan
    of_each = [said[Machine(*row)] for row in machines[MACHINE].itertuples(index=False)]
    machines["geometric"] = [one.ratio - 1 for one in of_each]
    machines["low"] = [one.low - 1 if isfinite(one.high) else nan for one in of_each]
    machines["high"] = [one.high - 1 if isfinite(one.high) else nan for one in of_each]
    machines["verdict"] = [one.kind for one in of_each]
    machines["p"] = [one.p for one in of_each]
    return Comparison(draft.a, draft.b, machines, said[None] if others else of_each[0])


def _ratio(measured: Mapping[Pair, Ratio], pair: Pair) -> Ratio:
    """A pair's ratio, whichever way round it was measured."""
    found = measured.get(pair)
    return found or measured[pair._replace(a=pair.b, b=pair.a)].inverse


def _entered(ratios: Sequence[Ratio]) -> Sequence[Ratio]:
    """One ratio without an interval would take it from the mean of all."""
    return [one for one in ratios if isfinite(one.log.error)] or [one for one in ratios if one.rounds]


def _combined(parts: Sequence[Compared]) -> Compared:
    if not parts:
        return Compared(Estimate(nan, inf, 0), 0)
    return Compared(combined([one.log for one in parts]), sum(one.rounds for one in parts))


def _by_machine(cells: pd.DataFrame) -> list[tuple[Machine, pd.DataFrame, pd.DataFrame]]:
    """Each machine, its compared cells, and their medians with one row a file, one column an engine."""
    compared = cells[cells["variant"].isin(COMPARED_VARIANTS)]
    return [
        (Machine(*machine), group, group.pivot(index=FILE, columns="engine", values="median_img_s"))
        for machine, group in grouped(compared, MACHINE)
    ]
