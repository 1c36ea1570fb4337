"""Latency percentiles of every cell of a machine."""

from __future__ import annotations

from typing import Any

from sparsebench.analysis.findings import MachineFindings
from sparsebench.report import labels
from sparsebench.report.tables.formatting import Cell, Table, engine, network, variant, without_repetition
from sparsebench.statistics.percentiles import PERCENTILES


def latency(machine: MachineFindings) -> Table:
    cells: dict[tuple[str, str, str], dict[int, Cell]] = {}
    for row in machine.latencies.to_dict("records"):
        cells.setdefault((row["network"], row["variant"], row["engine"]), {})[row["percentile"]] = _cell(row)
    return Table(
        title=f"Latency on {labels.machine(machine.machine)}",
        csv="latency.csv",
        note="ms of one inference (of a whole batch, where it has several images), of all undisturbed blocks (its 95 % "
        "interval, which knows that the inferences of one process are alike). Too few: a percentile that so few "
        "inferences or processes cannot carry is not given. Ratios of two cells are in latency_ratios.csv.",
        columns=("network", "variant", "engine", *(f"p{percentile}" for percentile in PERCENTILES)),
        rows=without_repetition(
            [
                [network(name), variant(as_), engine(by), *(percentiles.get(p, ("", "number")) for p in PERCENTILES)]
                for (name, as_, by), percentiles in cells.items()
            ],
            leading=2,
        ),
    )


def _cell(row: Any) -> Cell:
    if row["too_few"]:
        return f"too few: {row['too_few']}", "absent"
    return f"{row['value']:.2f} ({row['low']:.2f}–{row['high']:.2f})", "number"
