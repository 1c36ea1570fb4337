"""Pareto fronts: which choices are not beaten in both of two things, and by what the others are."""

from __future__ import annotations

from typing import Any

import pandas as pd

from sparsebench.analysis.pareto import FRONTS
from sparsebench.report import labels
from sparsebench.report.pareto_figures import LABELS, SCALES
from sparsebench.report.tables.formatting import Cell, Table, engine, network, short, text, variant, without_repetition

CSV = "pareto.csv"


def title(front: str) -> str:
    """Cost against accuracy."""
    x, y = front.split("_")
    return f"{x.capitalize()} against {y}"


def missing(frame: pd.DataFrame) -> str:
    """Which fronts there are none of, and why; empty where there are all."""
    absent = [title(front.name) for front in FRONTS[:3] if front.name not in set(frame["front"])]
    if not absent:
        return ""
    why = "no network has two choices that differ in both numbers, each of which is known"
    return f"Not shown: {labels.listed([name.lower() for name in absent])}, because {why}."


def pareto(rows: pd.DataFrame) -> Table:
    """rows: of one front, as of analysis.pareto.pareto."""
    front = str(rows["front"].iloc[0])
    x, y = front.split("_")
    return Table(
        title=f"{title(front)}: the choices",
        csv=CSV,
        note="On the front: nothing is shown to be better in one of the two and as good in the other. Dominated: what "
        "is named is. With 95 % intervals; a size has none.",
        columns=("network", "machine", "engine", "variant", LABELS[x], LABELS[y], "on the front"),
        rows=without_repetition(
            [
                [
                    network(row["network"]),
                    text(labels.machine(row)),
                    engine(row["engine"]),
                    variant(row["variant"]),
                    _number(row, "x", SCALES[x]),
                    _number(row, "y", SCALES[y]),
                    short(f"no: dominated by {_by(row['dominated_by'])}" if row["dominated_by"] else "yes"),
                ]
                for row in rows.to_dict("records")
            ],
            leading=2,
        ),
    )


def _by(name: str) -> str:
    instance_type, of_engine, of_variant = name.split(" ")
    where = "this machine" if labels.is_this_machine(instance_type) else instance_type
    return f"{where} with {labels.engine(of_engine)}, {labels.VARIANT_LABELS[of_variant]}"


def _number(row: Any, axis: str, scale: float) -> Cell:
    value, low, high = (row[name] * scale for name in (axis, f"{axis}_low", f"{axis}_high"))
    digits = 3 if value < 1 else 2 if value < 100 else 1
    interval = "" if pd.isna(low) or low == high else f" ({low:.{digits}f}–{high:.{digits}f})"
    return f"{value:.{digits}f}{interval}", "number"
