"""Cells without a throughput, and why."""

from __future__ import annotations

import pandas as pd

from sparsebench.analysis.findings import Findings
from sparsebench.report import words
from sparsebench.report.tables.form import Table, engine, network, number, rows_of, text, variant


def missing(found: Findings) -> Table:
    """Every cell and reason; the note counts the cells that have no throughput at all."""
    frame = found.results.missing
    partly = len(frame[frame["valid_trials"] > 0])
    note = words.counts(found.counts)
    if partly:
        note += f" {partly} more lost some of their trials; their throughput is of the others."
    machines = [words.machine(row) if row["cpu_model"] else row["instance_type"] for row in frame.to_dict("records")]
    return Table(
        title="Missing cells",
        csv="missing.csv",
        note=note,
        columns=(
            "machine",
            "network",
            "variant",
            "engine",
            "lane",
            "reason",
            "trials lost",
            "valid trials",
            "detail",
        ),
        rows=rows_of(
            frame.assign(machine=machines, detail=[words.lost(row) for row in frame.to_dict("records")]),
            machine=text,
            network=network,
            variant=variant,
            engine=engine,
            precision=text,
            reason=text,
            trials=number("{}"),
            valid_trials=number("{}"),
            detail=text,
        ),
    )


def unreadable(found: Findings) -> Table:
    """Every object of the store that was left out, and why."""
    return Table(
        title="Left out",
        csv="unreadable.csv",
        note=words.unreadable(found.results.unreadable),
        columns=("object", "reason"),
        rows=rows_of(unreadable_frame(found), path=text, reason=text),
    )


def unreadable_frame(found: Findings) -> pd.DataFrame:
    return pd.DataFrame(list(found.results.unreadable), columns=["path", "reason"], dtype="str")
