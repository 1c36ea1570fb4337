"""What each variant changes all in all: cost, latency, size and accuracy beside its base's."""

from __future__ import annotations

from typing import Any

import pandas as pd

from sparsebench.analysis.findings import MachineFindings
from sparsebench.analysis.models import MB
from sparsebench.analysis.worth import UNKNOWN
from sparsebench.report import labels
from sparsebench.report.tables.formatting import Cell, Table, network, variant

CSV = "worth.csv"

NUMBERS = {"USD per million": ("usd_per_million", 1, 2), "p50, ms": ("p50_ms", 1, 2), "p95, ms": ("p95_ms", 1, 2)}
"""Column -> field, divisor and digits."""


def worth(machine: MachineFindings) -> Table:
    """of a machine and lane; what none of its rows has is left out."""
    rows = machine.worth.to_dict("records")
    shown = {title: field for title, field in NUMBERS.items() if not machine.worth[field[0]].isna().all()}
    return Table(
        title=f"What a variant is worth on {labels.machine(machine.machine)}",
        csv=CSV,
        note="Base → variant, each in the engine in which it is fastest by its mean, which is named; intervals are in "
        "usd.csv and latency.csv. Size: MB of 10⁶ bytes after gzip −9. Accuracy: top-1; in points, the variant's minus "
        "its base's on the same images, with its 95 % interval. Blank: not measured.",
        columns=("network", "variant", "engine", "img/s", *shown, "MB", "accuracy", "points"),
        rows=[
            [
                network(row["network"]),
                variant(row["variant"]),
                _engines(row),
                _both(row, "img_s", 1, 1),
                *(_both(row, *field) for field in shown.values()),
                _both(row, "bytes", MB, 1),
                _accuracy(row),
                _points(row),
            ]
            for row in rows
        ],
    )


def _engines(row: Any) -> Cell:
    names = [labels.engine(row[name]) for name in ("engine_base", "engine") if row[name] and not pd.isna(row[name])]
    return " → ".join(dict.fromkeys(names)), "short"


def _both(row: Any, field: str, divisor: float, digits: int) -> Cell:
    values = (row[f"{field}_base"], row[field])
    if all(map(pd.isna, values)):
        return "", "number"
    return " → ".join("–" if pd.isna(value) else f"{value / divisor:.{digits}f}" for value in values), "number"


def _accuracy(row: Any) -> Cell:
    if row["accuracy_because"]:
        return f"not known: {UNKNOWN[row['accuracy_because']]}", "absent"
    return f"{labels.top1(row['top1_base'])} → {labels.top1(row['top1'])}", "number"


def _points(row: Any) -> Cell:
    if pd.isna(row["change"]):
        return "", "number"
    ends = f"{labels.points(row['change_low'])} to {labels.points(row['change_high'])}"
    return f"{labels.points(row['change'])} ({ends})", "number"
