"""One engine against another, over the cells that both have, and the points of the line graph.

The study's rule: on each instance type the arithmetic means over its ONNX files, then the mean over instance
types of (mean A / mean B - 1). An arithmetic mean of throughputs is led by the fastest networks; beside it
stands the geometric mean of the per-cell ratios, in which every file weighs the same.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sparsebench.analysis.order import ordered
from sparsebench.analysis.results import MACHINE

COMPARED_VARIANTS = ("base", "pruned")
"""What means are taken over: the study's ONNX files. Fake-pruned networks classify nothing."""

HEADLINES = (("deepsparse", "openvino"), ("deepsparse", "onnxruntime"))

FILE = ["network", "variant"]


@dataclass(frozen=True)
class Comparison:
    """Engine ``a`` against engine ``b``.

    machines: one row an instance type and CPU model on which both have a cell: the MACHINE columns,
    mean_a and mean_b (img/s, over the shared cells), cells (shared) of cells_any (of either engine),
    study (mean_a / mean_b - 1), geometric (geometric mean of the ratios - 1), and study_without (the study's
    mean over the other machines; NaN for the only one).
    """

    a: str
    b: str
    machines: pd.DataFrame

    @property
    def study(self) -> float:
        """Mean over the machines of mean_a / mean_b - 1: 0.12 means that A is 12 % faster."""
        return float(self.machines["study"].mean())

    @property
    def geometric(self) -> float:
        """Geometric mean over the machines of their geometric means, - 1."""
        return float(np.expm1(np.log1p(self.machines["geometric"]).mean()))


def compare(cells: pd.DataFrame, a: str, b: str) -> Comparison:
    """Compare two engines over the base and pruned cells (of one lane) that both have."""
    rows = []
    for machine, _, files in _throughputs(cells):
        pair = files.reindex(columns=[a, b])
        shared = pair.dropna()
        if shared.empty:
            continue
        means = shared.mean()
        rows.append(
            {
                **machine,
                "mean_a": means[a],
                "mean_b": means[b],
                "cells": len(shared),
                "cells_any": len(pair.dropna(how="all")),
                "study": means[a] / means[b] - 1,
                "geometric": float(np.expm1(np.log(shared[a] / shared[b]).mean())),
            }
        )
    columns = [*MACHINE, "mean_a", "mean_b", "cells", "cells_any", "study", "geometric"]
    machines = pd.DataFrame(rows, columns=columns)
    others = len(machines) - 1
    machines["study_without"] = (machines["study"].sum() - machines["study"]) / others if others > 0 else np.nan
    return Comparison(a, b, machines)


def headlines(cells: pd.DataFrame) -> list[Comparison]:
    """The comparisons that have at least one shared cell: deepsparse against the two others; where
    deepsparse has none at all, every pair of what is there."""
    present = list(dict.fromkeys(cells["engine"]))
    pairs = HEADLINES if "deepsparse" in present else tuple(itertools.combinations(present, 2))
    return [found for found in (compare(cells, a, b) for a, b in pairs) if not found.machines.empty]


def line_points(cells: pd.DataFrame) -> pd.DataFrame:
    """Mean throughput of each engine on each machine, over the files that all its engines have there.

    Columns: the MACHINE columns, engine, mean_img_s (of the medians), low_img_s and high_img_s (means of the
    slowest and of the fastest repeats: the band), files (that entered) of files_any (that some engine has).
    """
    rows = []
    for machine, group, files in _throughputs(cells):
        shared = files.dropna()
        entered = group.set_index(FILE).loc[shared.index]
        for engine, mine in entered.groupby("engine"):
            rows.append(
                {
                    **machine,
                    "engine": engine,
                    "mean_img_s": mine["median_img_s"].mean(),
                    "low_img_s": mine["low_img_s"].mean(),
                    "high_img_s": mine["high_img_s"].mean(),
                    "files": len(shared),
                    "files_any": len(files),
                }
            )
    columns = [*MACHINE, "engine", "mean_img_s", "low_img_s", "high_img_s", "files", "files_any"]
    return ordered(pd.DataFrame(rows, columns=columns))


def _throughputs(cells: pd.DataFrame) -> list[tuple[dict[str, object], pd.DataFrame, pd.DataFrame]]:
    """For each machine: its identity, its cells, and their medians with one row a file, one column an engine."""
    compared = cells[cells["variant"].isin(COMPARED_VARIANTS)]
    return [
        (
            dict(zip(MACHINE, machine, strict=True)),
            group,
            group.pivot(index=FILE, columns="engine", values="median_img_s"),
        )
        for machine, group in compared.groupby(MACHINE, sort=False)
    ]
