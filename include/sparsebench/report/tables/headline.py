"""Engine against engine, over all networks."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import pandas as pd

from sparsebench.analysis.compare import Comparison
from sparsebench.report import labels
from sparsebench.report.tables.formatting import Cell, Table

ALL = "all"


def headline_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """All comparisons as one table, a row a pair and machine; where there are several machines, one more for all."""
    return pd.concat(
        [_with_overall(comparison).assign(engine_a=comparison.a, engine_b=comparison.b) for comparison in comparisons],
        ignore_index=True,
    )


def _with_overall(comparison: Comparison) -> pd.DataFrame:
    machines, overall = comparison.machines, comparison.overall
    if len(machines) == 1:
        return machines
    known = isfinite(overall.high)
    row = {
        "instance_type": ALL,
        "cells": machines["cells"].sum(),
        "cells_planned": machines["cells_planned"].sum(),
        "entered": machines["entered"].sum(),
        "study": comparison.study,
        "geometric": comparison.geometric,
        "low": overall.low - 1 if known else None,
        "high": overall.high - 1 if known else None,
        "family_low": overall.family_low - 1,
        "family_high": overall.family_high - 1,
        "verdict": overall.kind,
        "p": overall.p,
        "over": " or ".join(sorted(set(filter(None, machines["over"])))),
    }
    return pd.DataFrame([*machines.to_dict("records"), row], columns=list(machines.columns))


def headline(comparison: Comparison) -> Table:
    a, b = labels.engine(comparison.a), labels.engine(comparison.b)
    return Table(
        title=f"{a} against {b}",
        csv="headline.csv",
        note="",
        columns=(
            "machine",
            "geometric mean",
            "verdict",
            "cells",
            "study's rule",
            "without it",
            f"{a}, img/s",
            f"{b}, img/s",
        ),
        rows=[_row(row) for row in _with_overall(comparison).to_dict("records")],
    )


def _row(row: Any) -> list[Cell]:
    bold = " best" if row["instance_type"] == ALL else ""
    name = "all machines" if bold else labels.machine(row)
    return [
        (name, bold.strip()),
        (_change(row), "number" + bold),
        (labels.verdict(row), "short" + bold),
        (f"{row['entered']} of {row['cells_planned']}", "number"),
        (labels.percent(row["study"]), "number" + bold),
        (labels.percent(row["study_without"]), "number"),
        ("" if bold else f"{row['mean_a']:.2f}", "number"),
        ("" if bold else f"{row['mean_b']:.2f}", "number"),
    ]


def _change(row: Any) -> str:
    change = labels.percent(row["geometric"], 1)
    return change if pd.isna(row["low"]) else f"{change} ({labels.changes(row['low'], row['high'])})"
