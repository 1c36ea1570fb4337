"""The study's figures, drawn from tables. Each function returns a matplotlib figure; drawing.py makes bytes of it.

Only what is in a table is drawn: a cell without a valid throughput is not in it.
"""

from __future__ import annotations

import itertools
import textwrap
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from sparsebench import catalog
from sparsebench.analysis.findings import BAR_VARIANTS
from sparsebench.analysis.order import ordered
from sparsebench.analysis.results import FILE, MACHINE
from sparsebench.report import labels
from sparsebench.report.drawing import DASHES, GRID, INK, MARKERS, MUTED, PAPER, colours, engine_colours, pointed

FAKE_STEPS = {"base": "default", "fake85": "85 %", "fake99": "99 %"}


MOST_NETWORKS = 24
"""In a bar graph: with more it is a poster. The tables have all."""

MOST_DRAWN = 12
"""Machines that have figures of their own."""

MOST_ROWS = 200
"""Machines in one figure: with more, their names cannot be read, and the page is megabytes longer."""

MOST_MACHINES = 16
"""Side by side in the line graph; with more each has a row."""

WIDEST = 0.5
"""Of the mean: a wider interval is cut there, since it would press together all that is known better."""


def _interval(frame: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Both ends as they are drawn: at the mean where there is no interval."""
    mean = frame["mean_img_s"]
    low = frame["low_img_s"].fillna(mean).clip(lower=mean * (1 - WIDEST))
    return low, frame["high_img_s"].fillna(mean).clip(upper=mean * (1 + WIDEST))


def _engines(frame: pd.DataFrame) -> list[str]:
    """The engines in the order in which they are shown, whichever of them has the first row."""
    return list(ordered(frame[["engine"]].drop_duplicates())["engine"])


def first_machines(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the machines that one figure shows."""
    places = frame.groupby(MACHINE, sort=False).ngroup()
    return frame[places < MOST_ROWS]


def left_out_of(frame: pd.DataFrame) -> str:
    """What a caption says where a figure does not show all machines; its CSV has them."""
    count = len(frame[MACHINE].drop_duplicates())
    return f" The first {MOST_ROWS} of {count} machines." if count > MOST_ROWS else ""


def cut(frame: pd.DataFrame) -> int:
    """How many intervals are drawn shorter than they are."""
    low, high = _interval(frame)
    return int(((low > frame["low_img_s"]) | (high < frame["high_img_s"])).sum())


def line_graph(points: pd.DataFrame) -> Figure:
    """Mean throughput on each machine, one line an engine; the band is the 95 % interval.

    points: as of analysis.compare.line_points.
    """
    if len(points[MACHINE].drop_duplicates()) > MOST_MACHINES:
        return _row_graph(points)
    figure = Figure(figsize=(7.4, 4.3), layout="constrained")
    axes = figure.add_subplot()
    machines = points[MACHINE].drop_duplicates()
    place = {tuple(machine): index for index, machine in enumerate(machines.itertuples(index=False))}
    engines = _engines(points)
    colour = engine_colours(engines)
    looks = zip(engines, itertools.cycle(MARKERS), itertools.cycle(DASHES))
    for name, marker, dash in looks:
        curve = points[points["engine"] == name]
        aside = 0.04 * (engines.index(name) - (len(engines) - 1) / 2)  # points of equal height stay apart
        x = [place[tuple(machine)] + aside for machine in curve[MACHINE].itertuples(index=False)]
        low, high = _interval(curve)
        axes.fill_between(x, low, high, color=colour[name], alpha=0.22, linewidth=0)
        # A band has no width at a single machine: a bar at each point shows the same interval.
        axes.vlines(x, low, high, color=colour[name], alpha=0.45, linewidth=3)
        (line,) = axes.plot(
            x,
            curve["mean_img_s"],
            color=colour[name],
            linestyle=dash,
            marker=marker,
            markeredgecolor=PAPER,
            label=labels.engine(name),
        )
        pointed(line, _means(curve, name))
    ticks = []
    for machine in machines.to_dict("records"):
        first = points[(points[MACHINE] == pd.Series(machine)).all(axis=1)].iloc[0]
        name, _, cpu = labels.machine(machine).partition(", ")
        files = f"{first['files']} of {first['files_planned']} files"
        ticks.append("\n".join([*textwrap.wrap(name, 17), *textwrap.wrap(cpu, 17), files]))
    axes.set_xticks(range(len(place)), ticks, fontsize=7.5)
    axes.set_xlim(-0.4, len(place) - 0.6)
    axes.set_ylim(0, 1.05 * axes.get_ylim()[1])  # matplotlib's margin is of the range, which may be nearly nothing
    axes.grid(axis="x", visible=False)
    axes.tick_params(length=0)
    axes.set_ylabel("mean throughput, img/s")
    figure.legend(loc="outside upper left", ncols=4, handlelength=2.8, fontsize=8.5)
    return figure


def _row_graph(points: pd.DataFrame) -> Figure:
    """The same of many machines, each in a row; the bar at a point is the 95 % interval."""
    machines = points[MACHINE].drop_duplicates()
    place = {tuple(machine): index for index, machine in enumerate(machines.itertuples(index=False))}
    figure = Figure(figsize=(7.4, 1.2 + 0.17 * len(place)), layout="constrained")
    axes = figure.add_subplot()
    engines = _engines(points)
    colour = engine_colours(engines)
    for name, marker in zip(engines, itertools.cycle(MARKERS)):
        its = points[points["engine"] == name]
        y = [place[tuple(machine)] for machine in its[MACHINE].itertuples(index=False)]
        low, high = _interval(its)
        axes.hlines(y, low, high, color=colour[name], alpha=0.45, linewidth=2)
        (line,) = axes.plot(
            its["mean_img_s"],
            y,
            color=colour[name],
            linestyle="none",
            marker=marker,
            markersize=4,
            markeredgecolor=PAPER,
            label=labels.engine(name),
        )
        pointed(line, _means(its, name))
    axes.set_yticks(range(len(place)), [labels.machine(machine) for machine in machines.to_dict("records")], fontsize=6)
    axes.set_ylim(len(place) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.tick_params(length=0)
    axes.set_xlabel("mean throughput, img/s")
    figure.legend(loc="outside upper left", ncols=4, fontsize=8.5)
    return figure


def _means(points: pd.DataFrame, engine: str) -> list[str]:
    """What each point says: machine, engine, mean and its interval."""
    return [
        f"{row['instance_type']}, {labels.engine(engine)}: {labels.rate(row['mean_img_s'])} img/s"
        + ("" if pd.isna(row["low_img_s"]) else f" ({labels.rate(row['low_img_s'])}–{labels.rate(row['high_img_s'])})")
        for row in points.to_dict("records")
    ]


def bar_networks(cells: pd.DataFrame, missing: pd.DataFrame) -> list[str]:
    """The networks that a bar graph could show, in its order; it shows the first MOST_NETWORKS."""
    planned = ordered(pd.concat([frame[[*FILE, "engine"]] for frame in (cells, missing)]))
    return list(dict.fromkeys(planned[planned["variant"].isin(BAR_VARIANTS)]["network"]))


def bar_graph(cells: pd.DataFrame, missing: pd.DataFrame) -> Figure:
    """Throughput of every network and engine on one machine; the error bars are 95 % intervals.

    cells: of one machine and lane. missing: of the same; where a bar could have been, its reason is written.
    """
    first = bar_networks(cells, missing)[:MOST_NETWORKS]
    cells, missing = (frame[frame["network"].isin(first)] for frame in (cells, missing))
    shown = cells[cells["variant"].isin(BAR_VARIANTS)]
    planned = ordered(pd.concat([frame[[*FILE, "engine"]] for frame in (cells, missing)]))
    planned = planned[planned["variant"].isin(BAR_VARIANTS)]
    engines = _engines(planned)
    colour = engine_colours(engines)
    groups = planned[FILE].drop_duplicates().itertuples(index=False)
    reasons = missing.set_index(["network", "variant", "engine"])["reason"].to_dict()

    tops: dict[tuple[str, str], float] = {}
    dividers: list[float] = []
    y, previous = 0.0, ""
    for network, variant in groups:
        if previous and network != previous:
            dividers.append(y + 0.25)
            y += 1.0
        tops[network, variant] = y
        y += len(engines) + 0.5
        previous = network

    figure = Figure(figsize=(7.4, 1.1 + 0.125 * y), layout="constrained")
    axes = figure.add_subplot()
    longest = _interval(shown)[1].max()
    for offset, name in enumerate(engines):
        of_engine = shown[shown["engine"] == name]
        where = [tops[key] + offset for key in zip(of_engine["network"], of_engine["variant"], strict=True)]
        low, high = _interval(of_engine)
        axes.barh(
            where,
            of_engine["mean_img_s"],
            height=0.88,
            color=colour[name],
            label=labels.engine(name),
            xerr=[of_engine["mean_img_s"] - low, high - of_engine["mean_img_s"]],
            error_kw={"ecolor": INK, "elinewidth": 0.9},
        )
        for value, end, row_y in zip(of_engine["mean_img_s"], high, where, strict=True):
            axes.text(
                end + longest * 0.008,
                row_y,
                f"{value:.1f}",
                fontsize=6,
                va="center",
                color=MUTED,
            )
        for (network, variant), top in tops.items():
            reason = reasons.get((network, variant, name))
            if reason:
                axes.text(longest * 0.008, top + offset, reason, fontsize=6, va="center", style="italic", color=MUTED)

    middles = [top + (len(engines) - 1) / 2 for top in tops.values()]
    axes.set_yticks(middles, [labels.VARIANT_LABELS[variant] for _, variant in tops], fontsize=7.5)
    for network in dict.fromkeys(network for network, _ in tops):
        own = [top for (name, _), top in tops.items() if name == network]
        middle = (own[0] + own[-1] + len(engines) - 1) / 2
        label = "\n".join(textwrap.wrap(labels.network(network), 16))
        axes.annotate(
            label,
            (0, middle),
            xycoords=("axes fraction", "data"),
            xytext=(-60, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=8.5,
            fontweight="bold",
        )
    for divider in dividers:
        axes.axhline(divider, color=GRID, linestyle=(0, (5, 3)), linewidth=1)
    axes.set_ylim(y, -1)
    axes.set_xlim(0, longest * 1.07)
    axes.grid(axis="y", visible=False)
    axes.tick_params(length=0)
    interval = "" if shown["low_img_s"].isna().all() else " and its 95 % interval"
    axes.set_xlabel(f"throughput, img/s: mean{interval}")
    handles, names = axes.get_legend_handles_labels()
    _legend(figure, dict(zip(names, handles, strict=True)), _title(cells))
    return figure


def fake_prune_rows(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells of the fake-prune graph: of the networks that have both fake85 and fake99, engine by engine."""
    steps = cells[cells["variant"].isin(FAKE_STEPS)]
    fakes = steps[steps["variant"] != "base"].groupby([*MACHINE, "network", "engine"])["variant"].transform("nunique")
    both = steps.loc[fakes[fakes == 2].index, [*MACHINE, "network", "engine"]].drop_duplicates()
    return steps.merge(both).reset_index(drop=True)


def fake_prune_graph(rows: pd.DataFrame) -> Figure:
    """Throughput of networks pruned to 85 % and 99 % without regard to accuracy, a panel an engine.

    rows: as of fake_prune_rows, of one machine.
    """
    engines = _engines(rows)
    networks = list(dict.fromkeys(rows["network"]))
    colour = colours(networks, tuple(catalog.networks()))
    marker = dict(zip(networks, itertools.cycle(MARKERS)))
    columns = min(2, len(engines))
    panel_rows = -(-len(engines) // columns)
    figure = Figure(figsize=(7.4, 1.2 + 2.4 * panel_rows), layout="constrained")
    panels = figure.subplots(panel_rows, columns, sharex=True, sharey=True, squeeze=False)
    steps = list(FAKE_STEPS)
    for panel, engine in zip(panels.flat, engines, strict=False):
        of_engine = rows[rows["engine"] == engine]
        for network in networks:
            line = of_engine[of_engine["network"] == network]
            if line.empty:
                continue
            x = [steps.index(variant) for variant in line["variant"]]
            low, high = _interval(line)
            panel.errorbar(
                x,
                line["mean_img_s"],
                yerr=[line["mean_img_s"] - low, high - line["mean_img_s"]],
                color=colour[network],
                marker=marker[network],
                markersize=5,
                markeredgecolor=PAPER,
                elinewidth=0.9,
                label=labels.network(network),
            )
        panel.set_title(labels.engine(engine))
        panel.set_xticks(range(len(steps)), list(FAKE_STEPS.values()))
        panel.set_xlim(-0.3, len(steps) - 0.7)
        panel.grid(axis="x", visible=False)
        panel.tick_params(length=0, labelbottom=True)
    panels.flat[0].set_ylim(bottom=0)  # shared; only now that every panel has its data
    for unused in panels.flat[len(engines) :]:
        unused.set_visible(False)
    figure.supylabel("throughput, img/s", fontsize=9, color=MUTED)
    for panel in panels[-1]:
        panel.set_xlabel("target sparsity of every prunable layer")
    drawn = [panel.get_legend_handles_labels() for panel in panels.flat]
    lines_of = {label: bars[0] for handles, names in drawn for bars, label in zip(handles, names, strict=True)}
    _legend(figure, {name: lines_of[name] for name in map(labels.network, networks)}, _title(rows))
    return figure


def _legend(figure: Figure, handles: dict[str, Any], title: str) -> None:
    """Names and colours above everything that is drawn, under the title."""
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="outside upper left",
        ncols=4,
        handlelength=1.6,
        fontsize=8.5,
        title=title,
        title_fontproperties={"size": 9.5, "weight": "bold"},
    )


def _title(rows: pd.DataFrame) -> str:
    return "\n".join(textwrap.wrap(labels.machine(rows.iloc[0]), 78))
