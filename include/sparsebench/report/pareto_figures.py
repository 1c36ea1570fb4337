"""Pareto fronts: a panel a network, a point a choice; what is dominated is pale."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sparsebench.analysis.models import MB
from sparsebench.analysis.order import VARIANTS, ordered
from sparsebench.analysis.pareto import PERCENTILE
from sparsebench.report import labels
from sparsebench.report.drawing import INK, MARKERS, MUTED, PAPER, engine_colours, pointed

LABELS: dict[str, str] = {
    "cost": "USD per million inferences",
    "latency": f"latency at p{PERCENTILE}, ms",
    "size": "MB after gzip −9",
    "accuracy": "top-1, %",
}
SCALES: dict[str, float] = {"cost": 1, "latency": 1, "size": 1 / MB, "accuracy": 100}

PALE = 0.3
"""Opacity of what is dominated."""

COLUMNS = 3


def pareto_graph(rows: pd.DataFrame) -> Figure:
    """rows: of one front, as of analysis.pareto.pareto."""
    x, y = rows["front"].iloc[0].split("_")
    networks = list(dict.fromkeys(rows["network"]))
    columns = min(COLUMNS, len(networks))
    panel_rows = -(-len(networks) // columns)
    width = 7.4 if columns > 1 else 5.0  # a single panel is no wider than its points want
    figure = Figure(figsize=(width, 0.9 + 2.3 * panel_rows), layout="constrained")
    panels = figure.subplots(panel_rows, columns, squeeze=False)
    engines = list(ordered(rows[["engine"]].drop_duplicates())["engine"])
    colour = engine_colours(engines)
    variants = [name for name in VARIANTS if name in set(rows["variant"])]
    marker = dict(zip(variants, itertools.cycle(MARKERS)))
    several = len(rows["instance_type"].drop_duplicates()) > 1
    for panel, network in zip(panels.flat, networks, strict=False):
        of_network = rows[rows["network"] == network]
        _front(panel, of_network, x, y)
        for row in of_network.to_dict("records"):
            _point(panel, row, x, y, colour[row["engine"]], marker[row["variant"]], several)
        panel.set_title(labels.network(network))
        panel.tick_params(length=0, labelsize=7.5)
        panel.margins(0.14)
    for column, panel in enumerate(panels[-1] if panel_rows == 1 else panels.flat[len(networks) - columns :]):
        if column < len(networks):
            panel.set_xlabel(LABELS[x], fontsize=8)
    for panel in panels[:, 0]:
        panel.set_ylabel(LABELS[y], fontsize=8)
    for unused in panels.flat[len(networks) :]:
        unused.set_visible(False)
    figure.legend(
        handles=engines_and_variants(colour, marker),
        loc="outside upper left",
        ncols=6 if columns > 1 else 3,
        handlelength=1,
        fontsize=8,
    )
    return figure


def engines_and_variants(colour: Mapping[str, str], marker: Mapping[str, str]) -> list[Line2D]:
    """The entries of a legend: a colour an engine, a marker a variant."""
    return [
        *(
            Line2D([], [], color=shade, linestyle="", marker="o", label=labels.engine(name))
            for name, shade in colour.items()
        ),
        *(
            Line2D(
                [],
                [],
                color=MUTED,
                linestyle="",
                marker=symbol,
                markerfacecolor="none",
                label=labels.VARIANT_LABELS[name],
            )
            for name, symbol in marker.items()
        ),
    ]


def _front(panel: Axes, rows: pd.DataFrame, x: str, y: str) -> None:
    """A step through what is not dominated: below it (above it, of an accuracy) there is nothing."""
    front = rows[rows["dominated_by"] == ""].sort_values(["x", "y"])
    drawn: dict[str, Any] = {"color": MUTED, "linewidth": 0.9, "drawstyle": "steps-post", "zorder": 1}
    panel.plot(front["x"] * SCALES[x], front["y"] * SCALES[y], **drawn)


def _point(panel: Axes, row: Any, x: str, y: str, colour: str, marker: str, several: bool) -> None:
    at = row["x"] * SCALES[x], row["y"] * SCALES[y]
    dominated = bool(row["dominated_by"])
    container = panel.errorbar(
        *at,
        xerr=_error(row, "x", SCALES[x]),
        yerr=_error(row, "y", SCALES[y]),
        color=colour,
        marker=marker,
        markersize=6,
        markeredgecolor=PAPER,
        elinewidth=0.8,
        alpha=PALE if dominated else 1,
        linestyle="",
    )
    where = f"{row['instance_type']}, {labels.engine(row['engine'])}, {labels.VARIANT_LABELS[row['variant']]}"
    beaten = "; dominated" if dominated else ""
    pointed(container[0], [f"{where}. {LABELS[x]}: {at[0]:.4g}; {LABELS[y]}: {at[1]:.4g}{beaten}"])
    if several and not dominated:
        panel.annotate(
            row["instance_type"], at, xytext=(4, 4), textcoords="offset points", fontsize=6, color=INK, clip_on=False
        )


def _error(row: Any, axis: str, scale: float) -> list[list[float]] | None:
    if pd.isna(row[f"{axis}_low"]):
        return None
    return [
        [max(0.0, row[axis] - row[f"{axis}_low"]) * scale],
        [max(0.0, row[f"{axis}_high"] - row[axis]) * scale],
    ]
