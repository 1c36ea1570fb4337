"""What a million inferences cost on each machine: a panel a network, a point an engine and file."""

from __future__ import annotations

import itertools

import pandas as pd
from matplotlib.figure import Figure

from sparsebench.analysis.findings import BAR_VARIANTS
from sparsebench.analysis.order import VARIANTS, ordered
from sparsebench.analysis.results import MACHINE, is_tool
from sparsebench.report import labels
from sparsebench.report.drawing import MARKERS, PAPER, engine_colours, pointed
from sparsebench.report.pareto_figures import COLUMNS, engines_and_variants


def cost_rows(costs: pd.DataFrame) -> pd.DataFrame:
    """What is drawn of costs (as of analysis.cost.per_million): of one lane, with a price, but tools and fakes."""
    priced = costs[costs["usd_per_million"].notna() & costs["variant"].isin(BAR_VARIANTS)]
    return priced[~priced["engine"].map(is_tool).astype(bool)].reset_index(drop=True)


def cost_graph(rows: pd.DataFrame) -> Figure:
    """rows: as of cost_rows, of several machines."""
    machines = list(rows[MACHINE].drop_duplicates().itertuples(index=False, name=None))
    networks = list(dict.fromkeys(rows["network"]))
    columns = min(COLUMNS, len(networks))
    panel_rows = -(-len(networks) // columns)
    figure = Figure(figsize=(7.4, 0.9 + panel_rows * (0.7 + 0.27 * len(machines))), layout="constrained")
    panels = figure.subplots(panel_rows, columns, squeeze=False, sharey=True)
    engines = list(ordered(rows[["engine"]].drop_duplicates())["engine"])
    variants = [name for name in VARIANTS if name in set(rows["variant"])]
    colour, marker = engine_colours(engines), dict(zip(variants, itertools.cycle(MARKERS)))
    for panel, network in zip(panels.flat, networks, strict=False):
        of_network = rows[rows["network"] == network]
        for (engine, variant), points in of_network.groupby(["engine", "variant"], sort=False):
            aside = 0.12 * (engines.index(engine) - (len(engines) - 1) / 2)  # engines stay apart
            usd = points["usd_per_million"]
            container = panel.errorbar(
                usd,
                [machines.index(tuple(row)) + aside for row in points[MACHINE].itertuples(index=False)],
                xerr=[
                    (usd - points["low"].fillna(usd)).clip(lower=0),
                    (points["high"].fillna(usd) - usd).clip(lower=0),
                ],
                color=colour[engine],
                marker=marker[variant],
                markersize=5,
                markeredgecolor=PAPER,
                elinewidth=0.8,
                linestyle="",
            )
            what = f"{labels.engine(engine)}, {labels.VARIANT_LABELS[variant]}"
            pointed(
                container[0],
                [
                    f"{row['instance_type']}, {what}: {labels.usd(row)} USD a million inferences"
                    for row in points.to_dict("records")
                ],
            )
        panel.set_title(labels.network(network))
        panel.set_xlim(left=0)
        panel.tick_params(length=0, labelsize=7.5)
        panel.set_yticks(range(len(machines)), [machine[0] for machine in machines])
        panel.set_ylim(len(machines) - 0.5, -0.5)
        panel.grid(axis="y", visible=False)
    for panel in panels.flat[max(0, len(networks) - columns) : len(networks)]:
        panel.set_xlabel("USD per million inferences", fontsize=8)
    for unused in panels.flat[len(networks) :]:
        unused.set_visible(False)
    figure.legend(
        handles=engines_and_variants(colour, marker), loc="outside upper left", ncols=6, handlelength=1, fontsize=8
    )
    return figure
