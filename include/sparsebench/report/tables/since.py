"""What is otherwise than on the night before: sentences, the inputs that differ, and the ratios of both nights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from sparsebench.analysis.difference import Change
from sparsebench.analysis.since import Measured, Since
from sparsebench.report import words
from sparsebench.report.tables.form import Cell, Table, network, number, rows_of, text

CSV = "since.csv"
INPUTS_CSV = "since_inputs.csv"


def sentences(of: Since) -> list[str]:
    """What differs, what only one of the nights has, and how many ratios moved."""
    both = f"{words.count(len(of.ratios), 'ratio')} of img/s that both nights have"
    said = [
        "What was measured, with what, and where, differs in the table below."
        if of.inputs
        else "The same models, code, packages, protocol and image, on the same CPUs.",
        f"Of {both} {len(of.moved) or 'none'} moved further than the two nights’ own intervals explain.",
    ]
    for what, measured in (("Measured now, and not then", of.new), ("Measured then, and not now", of.gone)):
        if measured:
            said.append(f"{what}: {words.some([*map(_name, measured)], 'the two nights’ throughput.csv')}.")
    return said


def inputs(of: Since, night: str) -> Table | None:
    """What differs of the inputs and the hosts."""
    rows: list[list[Cell]] = [[(value or "none", "") for value in change] for change in of.inputs]
    return Table("What differs", INPUTS_CSV, "", ("", of.before, night), rows) if rows else None


def inputs_frame(of: Since) -> pd.DataFrame:
    """Columns: what, before, after; empty where that night had none."""
    return pd.DataFrame(of.inputs, columns=Change._fields)


def moved(of: Since, night: str) -> Table | None:
    """The ratios that moved."""
    if of.moved.empty:
        return None
    ends = zip(of.moved["low"], of.moved["high"], strict=True)
    return Table(
        title="Ratios that moved",
        csv=CSV,
        note="The first over the second, by Student’s test of the two nights, at 5 % for all ratios together. Another "
        "host, or other neighbours of it, may be why: what stays so over the nights is told by the DAG history.",
        columns=("instance type", "network", "lane", "ratio of", of.before, night, "times", "95 % interval"),
        rows=rows_of(
            of.moved.assign(
                pair=[_pair(row) for row in of.moved.to_dict("records")],
                interval=[f"{low:.3g} to {high:.3g}" for low, high in ends],
            ),
            instance_type=text,
            network=network,
            precision=text,
            pair=text,
            before=number("{:.3g}"),
            now=number("{:.3g}"),
            times=number("{:.3g}"),
            interval=text,
        ),
    )


def frame(of: Since) -> pd.DataFrame:
    """Every ratio of both nights, with the night before."""
    return of.ratios.assign(night_before=of.before)


def _pair(row: Any) -> str:
    """DeepSparse : OpenVINO, pruned; or pruned : base, DeepSparse."""
    a, b = words.VARIANT_LABELS[row["variant_a"]], words.VARIANT_LABELS[row["variant_b"]]
    if a == b:
        return f"{words.engine(row['engine_a'])} : {words.engine(row['engine_b'])}, {a}"
    return f"{a} : {b}, {words.engine(row['engine_a'])}"


def _name(of: Measured) -> str:
    what: Sequence[str] = (words.network(of.network), words.VARIANT_LABELS[of.variant], words.engine(of.engine))
    return f"{of.instance_type} {', '.join(what)} ({of.precision})"
