"""Does pruning pay: each variant against its base, as a map of networks and engines, and as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from sparsebench.analysis.findings import OfMachine
from sparsebench.report import words
from sparsebench.report.tables.form import Table, engine, network, number, short, text, variant, without_repetition
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


def maps(of: OfMachine) -> list[HeatMap]:
    """One a variant that has a base."""
    return [
        _map(words.VARIANT_LABELS[str(name)], rows, of.means[of.means["variant"] == name])
        for name, rows in of.speedups.groupby("variant", sort=False)
    ]


def _map(label: str, rows: pd.DataFrame, means: pd.DataFrame) -> HeatMap:
    engines = list(dict.fromkeys(rows["engine"]))
    cells = {(row["network"], row["engine"]): _cell(row) for row in rows.to_dict("records")}
    nothing = MapCell("", "none", "not planned")
    content = [
        (words.network(name), [cells.get((name, of), nothing) for of in engines])
        for name in dict.fromkeys(rows["network"])
    ]
    if len(content) > 1:
        over = {row["engine"]: _cell(row) for row in means.to_dict("records")}
        content.append(
            ("geometric mean", [over.get(of, MapCell("", "none", "no network has a ratio")) for of in engines])
        )
    titles = {cell.title for _, of_network in content for cell in of_network if cell.shade != "none"}
    note = ""
    if len(titles) == 1 and len(content) > 1:  # what is the same for all is said once
        note = f"Of every number: {titles.pop()}."
        content = [(name, [replace(cell, title="") for cell in of_network]) for name, of_network in content]
    return HeatMap(f"{label} against base", note, [words.engine(of) for of in engines], content)


def _cell(row: Any) -> MapCell:
    if math.isnan(row["ratio"]):
        return MapCell(words.verdict(row), "none", "")
    interval = "" if math.isnan(row["low"]) else f"{row['low']:.2f} to {row['high']:.2f}: "
    return MapCell(f"{row['ratio']:.2f}×", SHADES.get(row["verdict"], "open"), f"{interval}{words.verdict(row)}")


def speedups(of: OfMachine, target: float | None, basis: str) -> Table:
    return Table(
        title=f"Variant against base on {words.machine(of.machine)}",
        csv=CSV,
        note="The variant's throughput over its base's in the same engine, paired round by round: the geometric mean "
        f"(its 95 % interval). The verdict is on the variant. {VERDICTS} Unpaired: the two were timed at other "
        f"times, so that a drift of the host enters the ratio, and no verdict is given. {basis}",
        columns=("network", "variant", "engine", "ratio", "verdict", "known to", "processes", "rounds"),
        rows=without_repetition(
            [
                [
                    network(row["network"]),
                    variant(row["variant"]),
                    engine(row["engine"]),
                    (words.ratio(row), "number"),
                    short(words.verdict(row)),
                    words_known(row, target),
                    number("{}")(row["processes"]),
                    number("{}")(row["rounds"]),
                ]
                for row in of.speedups.to_dict("records")
            ],
            leading=2,
        ),
    )


def words_known(row: Any, target: float | None) -> tuple[str, str]:
    if pd.isna(row["half_width"]):
        return text("")
    wide = target is not None and row["half_width"] > target
    known = words.within(row["half_width"])
    return (f"{known} > {words.within(target)}", "number open") if wide and target else (known, "number")


def usd(of: OfMachine) -> Table | None:
    """USD per million inferences; None where the machine has no price."""
    costs = of.costs.dropna(subset=["usd_per_million"])
    if costs.empty:
        return None
    first = costs.iloc[0]
    engines = list(dict.fromkeys(costs["engine"]))
    cells = {(row["network"], row["variant"], row["engine"]): row for row in costs.to_dict("records")}
    scenario = f"{first['scenario']} scenario" if first["scenario"] else "table's throughput"
    return Table(
        title=f"USD per million inferences on {words.machine(of.machine)}",
        csv="usd.csv",
        note=f"At {first['usd_per_hour']:.4f} USD an hour (on demand, {first['region']}, {first['as_of']}), by the "
        f"{scenario}; with the 95 % interval of the throughput. Bold: the lowest of the row.",
        columns=("network", "variant", *map(words.engine, engines)),
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
        else (words.usd(row), "number best" if row["usd_per_million"] == min(known) else "number")
        for row in rows
    ]
