"""Does pruning pay: each variant against its base, as a map of networks and engines, and as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from sparsebench.analysis.findings import MachineFindings
from sparsebench.report import labels
from sparsebench.report.tables.formatting import (
    Table,
    engine,
    network,
    number,
    short,
    text,
    variant,
    without_repetition,
)
from sparsebench.report.tables.ratios import VERDICTS

CSV = "speedups.csv"

SHADES = {"faster": "pays", "slower": "costs", "equivalent": "same"}
"""Of a map's cell, by its verdict; all others claim nothing, and have no colour."""


@dataclass(frozen=True)
class MapCell:
    """shade: a value of SHADES, open (a number that claims nothing) or none. title: the numbers behind it."""

    text: str
    shade: str
    title: str


@dataclass(frozen=True)
class HeatMap:
    """rows: of each network its name and a cell an engine; the last row is the mean over the networks."""

    title: str
    note: str
    engines: Sequence[str]
    rows: Sequence[tuple[str, Sequence[MapCell]]]


def maps(machine: MachineFindings) -> list[HeatMap]:
    """One a variant that has a base."""
    return [
        _map(labels.VARIANT_LABELS[str(name)], rows, machine.means[machine.means["variant"] == name])
        for name, rows in machine.speedups.groupby("variant", sort=False)
    ]


def _map(label: str, rows: pd.DataFrame, means: pd.DataFrame) -> HeatMap:
    engines = list(dict.fromkeys(rows["engine"]))
    cells = {(row["network"], row["engine"]): _cell(row) for row in rows.to_dict("records")}
    nothing = MapCell("", "none", "not planned")
    content = [
        (labels.network(name), [cells.get((name, engine), nothing) for engine in engines])
        for name in dict.fromkeys(rows["network"])
    ]
    if len(content) > 1:
        over = {row["engine"]: _cell(row) for row in means.to_dict("records")}
        content.append(
            ("geometric mean", [over.get(engine, MapCell("", "none", "no network has a ratio")) for engine in engines])
        )
    titles = {cell.title for _, of_network in content for cell in of_network if cell.shade != "none"}
    note = ""
    if len(titles) == 1 and len(content) > 1:  # what is the same for all is said once
        note = f"Of every number: {titles.pop()}."
        content = [(name, [replace(cell, title="") for cell in of_network]) for name, of_network in content]
    return HeatMap(f"{label} against base", note, [labels.engine(engine) for engine in engines], content)


def _cell(row: Any) -> MapCell:
    if math.isnan(row["ratio"]):
        return MapCell(labels.verdict(row), "none", "")
    interval = "" if math.isnan(row["low"]) else f"{row['low']:.2f} to {row['high']:.2f}: "
    return MapCell(f"{row['ratio']:.2f}×", SHADES.get(row["verdict"], "open"), f"{interval}{labels.verdict(row)}")


def speedups(machine: MachineFindings, target: float | None, sample_note: str) -> Table:
    return Table(
        title=f"Variant against base on {labels.machine(machine.machine)}",
        csv=CSV,
        note="The variant's throughput over its base's in the same engine, paired round by round: the geometric mean "
        f"(its 95 % interval). The verdict is on the variant. {VERDICTS} Unpaired: the two were timed at other "
        f"times, so that a drift of the host enters the ratio, and no verdict is given. {sample_note}",
        columns=("network", "variant", "engine", "ratio", "verdict", "known to", "processes", "rounds"),
        rows=without_repetition(
            [
                [
                    network(row["network"]),
                    variant(row["variant"]),
                    engine(row["engine"]),
                    (labels.ratio(row), "number"),
                    short(labels.verdict(row)),
                    precision_reached(row, target),
                    number("{}")(row["processes"]),
                    number("{}")(row["rounds"]),
                ]
                for row in machine.speedups.to_dict("records")
            ],
            leading=2,
        ),
    )


def precision_reached(row: Any, target: float | None) -> tuple[str, str]:
    if pd.isna(row["half_width"]):
        return text("")
    wide = target is not None and row["half_width"] > target
    known = labels.within(row["half_width"])
    return (f"{known} > {labels.within(target)}", "number open") if wide and target else (known, "number")


def usd(machine: MachineFindings) -> Table | None:
    """The USD per million inferences; None where the machine has no price."""
    costs = machine.costs.dropna(subset=["usd_per_million"])
    if costs.empty:
        return None
    first = costs.iloc[0]
    engines = list(dict.fromkeys(costs["engine"]))
    cells = {(row["network"], row["variant"], row["engine"]): row for row in costs.to_dict("records")}
    scenario = f"{first['scenario']} scenario" if first["scenario"] else "table's throughput"
    return Table(
        title=f"USD per million inferences on {labels.machine(machine.machine)}",
        csv="usd.csv",
        note=f"At {first['usd_per_hour']:.4f} USD an hour (on demand, {first['region']}, {first['as_of']}), by the "
        f"{scenario}; with the 95 % interval of the throughput. Bold: the lowest of the row.",
        columns=("network", "variant", *map(labels.engine, engines)),
        rows=without_repetition(
            [
                [network(name), variant(as_), *_costs([cells.get((name, as_, engine)) for engine in engines])]
                for name, as_ in costs[["network", "variant"]].drop_duplicates().itertuples(index=False, name=None)
            ],
            leading=1,
        ),
    )


def _costs(rows: Sequence[Any]) -> list[tuple[str, str]]:
    known = [row["usd_per_million"] for row in rows if row]
    return [
        ("", "number")
        if row is None
        else (labels.usd(row), "number best" if row["usd_per_million"] == min(known) else "number")
        for row in rows
    ]
