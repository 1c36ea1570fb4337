"""What is otherwise than on the night before: sentences, the inputs that differ, and the ratios of both nights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from sparsebench.analysis.difference import Change
from sparsebench.analysis.since import Measured, Since
from sparsebench.report import labels
from sparsebench.report.tables.formatting import Cell, Table, network, number, rows_of, text

CSV = "since.csv"
INPUTS_CSV = "since_inputs.csv"


def sentences(since: Since) -> list[str]:
    """What differs, what only one of the nights has, and how many ratios moved."""
    both = f"{labels.count(len(since.ratios), 'ratio')} of img/s that both nights have"
    lines = [
        "What differs of the inputs and the hosts is in the table below."
        if since.inputs
        else "The same models, code, packages, protocol and image, on the same CPUs.",
        f"Of {both} {len(since.moved) or 'none'} moved further than the two nights’ own intervals explain.",
    ]
    for what, measured in (
        ("With a ratio now, and not then", since.new),
        ("With a ratio then, and not now", since.gone),
    ):
        if measured:
            lines.append(f"{what}: {labels.some([*map(_name, measured)], 'the two nights’ throughput.csv')}.")
    return lines


def inputs(since: Since, night: str) -> Table | None:
    """What differs of the inputs and the hosts."""
    rows: list[list[Cell]] = [[(value or "none", "") for value in change] for change in since.inputs]
    return Table("What differs", INPUTS_CSV, "", ("", since.before, night), rows) if rows else None


def inputs_frame(since: Since) -> pd.DataFrame:
    """Columns: what, before, after; empty where that night had none."""
    return pd.DataFrame(since.inputs, columns=Change._fields)


def moved(since: Since, night: str) -> Table | None:
    """The ratios that moved."""
    if since.moved.empty:
        return None
    ends = zip(since.moved["low"], since.moved["high"], strict=True)
    return Table(
        title="Ratios that moved",
        csv=CSV,
        note="The first over the second, by Student’s test of the two nights, at 5 % for all ratios together. Another "
        "host, or other neighbours of it, may be why: what stays so over the nights is told by the DAG history.",
        columns=("instance type", "network", "lane", "ratio of", since.before, night, "times", "95 % interval"),
        rows=rows_of(
            since.moved.assign(
                pair=[_pair(row) for row in since.moved.to_dict("records")],
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


def frame(since: Since) -> pd.DataFrame:
    """Every ratio of both nights, with the night before."""
    return since.ratios.assign(night_before=since.before)


def _pair(row: Any) -> str:
    """DeepSparse : OpenVINO, pruned; or pruned : base, DeepSparse."""
    a, b = labels.VARIANT_LABELS[row["variant_a"]], labels.VARIANT_LABELS[row["variant_b"]]
    if a == b:
        return f"{labels.engine(row['engine_a'])} : {labels.engine(row['engine_b'])}, {a}"
    return f"{a} : {b}, {labels.engine(row['engine_a'])}"


def _name(measured: Measured) -> str:
    what: Sequence[str] = (
        labels.network(measured.network),
        labels.VARIANT_LABELS[measured.variant],
        labels.engine(measured.engine),
    )
    return f"{measured.instance_type} {', '.join(what)} ({measured.precision})"
