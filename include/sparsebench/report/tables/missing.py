"""Cells without a throughput, and why."""

from __future__ import annotations

import pandas as pd

from sparsebench.analysis.findings import Findings
from sparsebench.report import labels
from sparsebench.report.tables.formatting import Table, engine, network, number, rows_of, text, variant


def missing(findings: Findings) -> Table:
    """Every cell and reason; the note counts the cells that have no throughput at all."""
    frame = findings.results.missing
    partly = len(frame[frame["valid_trials"] > 0])
    note = labels.counts(findings.counts)
    if partly:
        note += f" {partly} more lost some of their trials; their throughput is of the others."
    machines = [labels.machine(row) if row["cpu_model"] else row["instance_type"] for row in frame.to_dict("records")]
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
            frame.assign(machine=machines, detail=[labels.lost(row) for row in frame.to_dict("records")]),
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


def unreadable(findings: Findings) -> Table:
    """Every object of the store that was left out, and why."""
    return Table(
        title="Left out",
        csv="unreadable.csv",
        note=labels.unreadable(findings.results.unreadable),
        columns=("object", "reason"),
        rows=rows_of(unreadable_frame(findings), path=text, reason=text),
    )


def unreadable_frame(findings: Findings) -> pd.DataFrame:
    return pd.DataFrame(list(findings.results.unreadable), columns=["path", "reason"], dtype="str")
