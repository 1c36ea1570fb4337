"""Figures of how the networks were made: learning curves, and how sensitive each layer is to pruning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sparsebench.analysis import training
from sparsebench.analysis.training import Phase
from sparsebench.contracts import Mask, Sensitivity, TrainingRecord
from sparsebench.report import labels
from sparsebench.report.drawing import COLOURS, GRID, INK, MARKERS, MUTED, PAPER

MASK_LABELS: dict[Mask, str] = {"magnitude": "the smallest weights", "random": "weights chosen at random"}
MOST_NAMED = 12
"""Layers that have a colour and a name; of more, these are the most sensitive, and the others are grey."""

MOST_MARKED = 30
"""Epochs; the points of more would run together."""

_PERCENT = PercentFormatter(1, decimals=0, symbol="\u00a0%")


def of_training(record: TrainingRecord) -> str:
    """The caption of a learning curve."""
    last = record.curve[-1]
    sparse = f", and {last.sparsity * 100:.1f}\u00a0% of all prunable weights are zero" if last.sparsity else ""
    return (
        f"{_name(record.model_dump())}: top-1 on {last.validation.images:,} images of {record.dataset.name} that it is "
        "not trained on, after each epoch. "
        f"In the end {last.validation.accuracy * 100:.1f}\u00a0% are correct{sparse}. "
        "Band and lines: 95 % intervals (Wilson)."
    )


def of_analysis(analysis: Sensitivity) -> str:
    """The caption of a graph of sensitivity."""
    seeds = len({point.seed for point in analysis.points if point.mask == "random"})
    at_random = f" At random: the mean of {labels.count(seeds, 'mask')}." if seeds else ""
    return (
        f"{labels.network(analysis.network)}: top-1 on {analysis.dense.images:,} images of {analysis.dataset} when one "
        f"layer is pruned and all others are dense, without training; {labels.count(len(analysis.layers), 'layer')}, "
        "the largest."
        f"{at_random} Grey: the dense network, with its 95 % interval (Wilson)."
    )


def learning_curve(rows: pd.DataFrame, phases: Sequence[Phase]) -> Figure:
    """Validation accuracy with its 95 % interval at the end of each epoch; below it the sparsity, where there is any.

    rows: as of analysis.training.curve, of one training.
    """
    pruned = bool(rows["sparsity"].any())
    figure = Figure(figsize=(7.4, 4.1 if pruned else 2.9), layout="constrained")
    panels = figure.subplots(1 + pruned, 1, sharex=True, squeeze=False, height_ratios=(3, 1.3)[: 1 + pruned])[:, 0]
    upper, lowest = panels[0], panels[-1]
    for phase in phases:
        upper.annotate(
            phase.name,
            ((phase.start + phase.end) / 2, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=MUTED,
        )
    upper.fill_between(rows["epoch"], rows["low"], rows["high"], color=COLOURS[2], alpha=0.22, linewidth=0)
    upper.vlines(rows["epoch"], rows["low"], rows["high"], color=COLOURS[2], alpha=0.45, linewidth=1.5)
    _line(upper, rows, "accuracy", COLOURS[2])
    upper.set_ylabel("top-1, validation")
    upper.set_ylim(-0.02, 1.02)
    if pruned:
        _line(lowest, rows, "sparsity", COLOURS[5])
        lowest.set_ylabel("sparsity")
        lowest.set_ylim(-0.05, 1.05)
        lowest.set_yticks([0, 0.5, 1])
    for panel in panels:
        for phase in phases[1::2]:  # every other one is shaded
            panel.axvspan(phase.start, phase.end, color=GRID, alpha=0.45, linewidth=0, zorder=0)
        panel.yaxis.set_major_formatter(_PERCENT)
        panel.tick_params(length=0)
        panel.grid(axis="x", visible=False)
    lowest.set_xlim(0, 1.06 * max([rows["epoch"].max(), *(phase.end for phase in phases)]))
    lowest.xaxis.set_major_locator(MaxNLocator(integer=True))
    lowest.set_xlabel("epochs trained")
    figure.align_ylabels()
    figure.suptitle(_name(rows.iloc[0]), x=0.01, ha="left", fontsize=9.5, fontweight="bold")
    return figure


def _line(axes: Axes, rows: pd.DataFrame, column: str, colour: str) -> None:
    """The line, with its last value written at its end."""
    marker: dict[str, Any] = (
        {"marker": MARKERS[0], "markersize": 4.5, "markeredgecolor": PAPER} if len(rows) <= MOST_MARKED else {}
    )
    axes.plot(rows["epoch"], rows[column], color=colour, **marker)
    last = rows.iloc[-1]
    axes.annotate(
        f"{last[column] * 100:.1f}\u00a0%",
        (last["epoch"], last[column]),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        color=INK,
    )


def _name(row: Any) -> str:
    return f"{labels.network(row['network'])}, {labels.VARIANT_LABELS[row['variant']]}"


def sensitivity(analysis: Sensitivity) -> Figure:
    """Accuracy against the sparsity of one layer, all others dense: a panel a way to choose weights, a line a layer."""
    masks = training.masks(analysis)
    layers = list(training.ranking(analysis)["layer"])
    named = layers[:MOST_NAMED]
    legend_rows = -(-len(named) // 2)
    figure = Figure(figsize=(7.4, 3.7 + 0.17 * legend_rows), layout="constrained")
    panels = figure.subplots(1, len(masks), sharey=True, squeeze=False)[0]
    looks = {layer: _look(index) for index, layer in enumerate(named)}
    low, high = analysis.dense.interval
    for panel, mask in zip(panels, masks, strict=True):
        panel.axhspan(low, high, color=GRID, alpha=0.6, linewidth=0)
        panel.axhline(analysis.dense.accuracy, color=MUTED, linewidth=0.8)
        for layer in reversed(layers):  # the most sensitive lies on top
            curve = analysis.curve(layer, mask)
            look = looks.get(layer, {"color": GRID, "linewidth": 0.8})
            panel.plot(list(curve), list(curve.values()), label=layer, **look)
        panel.set_title(MASK_LABELS[mask])
        panel.set_xlabel("sparsity of the layer")
        panel.xaxis.set_major_formatter(_PERCENT)
        panel.yaxis.set_major_formatter(_PERCENT)
        panel.tick_params(length=0)
        panel.set_xlim(-0.03, max(point.sparsity for point in analysis.points) + 0.04)
    panels[0].set_ylim(-0.03, 1.03)
    panels[0].set_ylabel("top-1, validation")
    panels[0].annotate(
        f"dense: {analysis.dense.accuracy * 100:.1f}\u00a0%",
        (0.02, low),
        xycoords=("axes fraction", "data"),
        xytext=(0, -3),
        textcoords="offset points",
        va="top",
        fontsize=8,
        color=MUTED,
    )
    handles = dict(zip(*panels[0].get_legend_handles_labels()[::-1], strict=True))
    figure.legend(
        [handles[layer] for layer in named],
        named,
        loc="outside upper left",
        ncols=2,
        handlelength=2.6,
        fontsize=7.5,
        title=f"{labels.network(analysis.network)}: layers, the most sensitive first",
        title_fontproperties={"size": 9.5, "weight": "bold"},
    )
    return figure


def _look(index: int) -> dict[str, Any]:
    """Solid lines in every colour, then dashed ones."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": "-" if index < len(COLOURS) else (0, (3, 1.5)),
        "marker": MARKERS[index % len(MARKERS)],
        "markersize": 4,
        "markeredgecolor": PAPER,
        "markeredgewidth": 0.5,
        "linewidth": 1.2,
    }
