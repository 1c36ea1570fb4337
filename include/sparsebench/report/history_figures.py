"""The nights around a change: its surest ratio, and the speeds of both sides, with their standard errors."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, isnan, nan
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from sparsebench.analysis.changes import WINDOW
from sparsebench.analysis.history import History, Series, Timed, Watched
from sparsebench.contracts import Event
from sparsebench.report import labels
from sparsebench.report.drawing import GRID, INK, MARKERS, PAPER, engine_colours, render
from sparsebench.statistics.pairs import Treatment

COLUMNS: dict[str, str] = {
    "night": "str",
    "of": "str",
    "unit": "str",
    "value": "float64",
    "low": "float64",
    "high": "float64",
    "spread": "float64",
}
"""One row a night and series. of: what it is of. unit: times (a ratio) or img/s. low, high: one standard error of the
night below and above. spread: the standard deviation of the logs over the nights on this side of the change: what hosts
do, and whatever else is another one every night."""


def name(event: Event) -> str:
    """How its files are called, without their ends."""
    whose = event.engine or f"{event.network}-{event.variant}"
    return f"{event.first}-{event.instance_type}-{event.scenario}-{whose}"


def files(event: Event, history: History) -> dict[str, bytes]:
    """The figure, and the numbers behind it."""
    svg, _ = render(
        lambda: of_event(event, history),
        f"{labels.subject(event)} on {event.instance_type} since {event.first}",
        f"nights up to {history.nights[-1]} · {event.scenario} · lane {event.series[0].precision} · bars: a night's "
        "standard error · \u00b1: between nights · drawn by sparsebench",
    )
    return {f"{name(event)}.svg": svg, f"{name(event)}.csv": table(event, history).to_csv(index=False).encode()}


class Shown(NamedTuple):
    """A series as it is shown."""

    label: str
    unit: str
    engine: str
    series: Series


def surest(event: Event) -> Watched:
    """The ratio of an event that changed the most surely."""
    series = event.series[0]
    a, b = (
        Treatment(variant, engine, series.precision)
        for variant, engine in ((series.variant_a, series.engine_a), (series.variant_b, series.engine_b))
    )
    return Watched(series.instance_type or event.instance_type, event.scenario, series.network, a, b)


def shown(event: Event, history: History) -> list[Shown]:
    """The ratio, then the speeds of its two sides where the nights have them."""
    ratio = surest(event)
    listed = [Shown(_label(ratio), "times", ratio.a.engine, history.series[ratio])]
    for side in (ratio.a, ratio.b):
        timed = Timed(ratio.instance_type, ratio.scenario, ratio.network, side)
        if timed in history.speeds:
            label = f"{labels.engine(side.engine)}, {labels.VARIANT_LABELS[side.variant]}"
            listed.append(Shown(label, "img/s", side.engine, history.speeds[timed]))
    return listed


def _label(ratio: Watched) -> str:
    variants = [labels.VARIANT_LABELS[side.variant] for side in (ratio.a, ratio.b)]
    engines = [labels.engine(side.engine) for side in (ratio.a, ratio.b)]
    network = labels.network(ratio.network)
    if ratio.a.variant == ratio.b.variant:
        return f"{network} {variants[0]}, {engines[0]} over {engines[1]}"
    return f"{network} in {engines[0]}, {variants[0]} over {variants[1]}"


def table(event: Event, history: History) -> pd.DataFrame:
    """The numbers behind the figure (columns: COLUMNS)."""
    rows = []
    for series in shown(event, history):
        nights, logs, errors = _near(event, history, series.series)
        after = nights >= history.nights.index(event.first)
        spreads = {side: spread(logs[after == side]) for side in (False, True)}
        for night, log, error, is_after in zip(nights, logs, errors, after, strict=True):
            interval = (exp(log + sign * error) for sign in (-1, 1))
            rows.append(
                (history.nights[night], series.label, series.unit, exp(log), *interval, spreads[bool(is_after)])
            )
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def spread(logs: NDArray[np.float64]) -> float:
    """The standard deviation over nights; NaN of a single one."""
    return float(np.std(logs, ddof=1)) if len(logs) > 1 else nan


def of_event(event: Event, history: History) -> Figure:
    """The ratio above, the speeds below, night by night; what is since the change is shaded."""
    listed = shown(event, history)
    panels = [listed[:1], *([listed[1:]] if listed[1:] else [])]
    figure = Figure(figsize=(7.4, 2.7 * len(panels)), layout="constrained")
    colours = engine_colours([series.engine for series in listed])
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    first = history.nights.index(event.first)
    for panel, of_panel in zip(axes, panels, strict=True):
        for number, series in enumerate(of_panel):
            _draw(panel, event, history, series, INK if panel is axes[0] else colours[series.engine], number)
        panel.axvspan(first - 0.5, len(history.nights) - 0.5, color=GRID, alpha=0.45, linewidth=0, zorder=0)
        panel.set_ylabel("times as fast" if panel is axes[0] else "img/s")
        panel.set_yscale("log")
        panel.yaxis.set_major_locator(MaxNLocator(5))
        panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panel.yaxis.set_minor_locator(MaxNLocator(1))
        panel.yaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
        panel.tick_params(length=0, which="both")
        legend = panel.legend(loc="lower left", bbox_to_anchor=(0, 1), fontsize=8, borderaxespad=0.2)
        legend.set_in_layout(False)
        panel.set_title("\n" * len(of_panel))  # its place
    lowest = axes[-1]
    lowest.set_xlim(max(-0.5, first - WINDOW - 0.5), min(len(history.nights), first + WINDOW) - 0.5)
    lowest.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    lowest.xaxis.set_major_formatter(
        FuncFormatter(lambda at, _: history.nights[int(at)] if 0 <= at < len(history.nights) else "")
    )
    return figure


def _draw(axes: Axes, event: Event, history: History, shown: Shown, colour: str, number: int) -> None:
    nights, logs, errors = _near(event, history, shown.series)
    values, half = np.exp(logs), np.exp(errors)
    after = nights >= history.nights.index(event.first)
    style: Mapping[str, Any] = {"markersize": 4.5, "markeredgecolor": PAPER, "linestyle": "none", "elinewidth": 1.2}
    axes.errorbar(
        nights,
        values,
        yerr=[values - values / half, values * half - values],
        color=colour,
        marker=MARKERS[number],
        label=f"{shown.label}: {_side(shown, logs[~after])}, then {_side(shown, logs[after])}",
        **style,
    )
    for side in (after, ~after):
        if side.any():
            mean = exp(float(np.mean(logs[side])))
            axes.plot([nights[side].min() - 0.4, nights[side].max() + 0.4], [mean, mean], color=colour, linewidth=1.2)


def _side(shown: Shown, logs: NDArray[np.float64]) -> str:
    """The geometric mean over nights, with their spread."""
    if not len(logs):
        return "not measured"
    mean, apart = exp(float(np.mean(logs))), spread(logs)
    value = f"{mean:.2f}" if shown.unit == "times" else f"{mean:.1f} img/s"
    return value if isnan(apart) else f"{value} \u00b1 {100 * apart:.1f}\u00a0%"


def _near(event: Event, history: History, series: Series) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The nights (indexes), logs and errors of a series that are near enough to be shown."""
    nights = np.asarray(series.nights)
    first = history.nights.index(event.first)
    near = (nights >= first - WINDOW) & (nights < first + WINDOW)
    return nights[near], np.asarray(series.logs)[near], np.asarray(series.errors)[near]
