"""Engine against engine, over all networks."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import pandas as pd

from sparsebench.analysis.compare import Comparison
from sparsebench.report import words
from sparsebench.report.tables.form import Cell, Table

ALL = "all"


def headline_frame(found: Sequence[Comparison]) -> pd.DataFrame:
    """All comparisons as one table, a row a pair and machine; where there are several machines, one more for all."""
    return pd.concat([_with_overall(one).assign(engine_a=one.a, engine_b=one.b) for one in found], ignore_index=True)


def _with_overall(found: Comparison) -> pd.DataFrame:
    machines, overall = found.machines, found.overall
    if len(machines) == 1:
        return machines
    known = isfinite(overall.high)
    row = {
        "instance_type": ALL,
        "cells": machines["cells"].sum(),
        "cells_planned": machines["cells_planned"].sum(),
        "entered": machines["entered"].sum(),
        "study": found.study,
        "geometric": found.geometric,
        "low": overall.low - 1 if known else None,
        "high": overall.high - 1 if known else None,
        "family_low": overall.family_low - 1,
        "family_high": overall.family_high - 1,
        "verdict": overall.kind,
        "p": overall.p,
        "over": " or ".join(sorted(set(filter(None, machines["over"])))),
    }
    return pd.DataFrame([*machines.to_dict("records"), row], columns=list(machines.columns))


def headline(found: Comparison) -> Table:
    a, b = words.engine(found.a), words.engine(found.b)
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
        rows=[_row(row) for row in _with_overall(found).to_dict("records")],
    )


def _row(row: Any) -> list[Cell]:
    bold = " best" if row["instance_type"] == ALL else ""
    name = "all machines" if bold else words.machine(row)
    return [
        (name, bold.strip()),
        (_change(row), "number" + bold),
        (words.verdict(row), "short" + bold),
        (f"{row['entered']} of {row['cells_planned']}", "number"),
        (words.percent(row["study"]), "number" + bold),
        (words.percent(row["study_without"]), "number"),
        ("" if bold else f"{row['mean_a']:.2f}", "number"),
        ("" if bold else f"{row['mean_b']:.2f}", "number"),
    ]


def _change(row: Any) -> str:
    change = words.percent(row["geometric"], 1)
    return change if pd.isna(row["low"]) else f"{change} ({words.changes(row['low'], row['high'])})"
