"""Cells without a throughput, and why."""

from __future__ import annotations

from sparsebench.analysis.results import FILE, REASONS, Results
from sparsebench.report import words
from sparsebench.report.tables.form import Table, engine, network, number, rows_of, text, variant


def missing(results: Results) -> Table:
    """Every cell and reason; the note counts the cells that have no throughput at all."""
    frame = results.missing
    lost = frame[frame["valid_trials"] == 0]
    cell = ["instance_type", *FILE, "engine", "precision"]
    counts = lost.drop_duplicates([*cell, "reason"])["reason"].value_counts()
    said = "; ".join(
        f"{counts[reason]} {reason} ({words_for})" for reason, words_for in REASONS.items() if reason in counts
    )
    total = len(lost.drop_duplicates(cell))
    if total:
        note = f"{total} cells have no valid throughput: {said}."
    elif results.repeats.empty:
        note = "No run has measured anything."
    else:
        note = "Every cell has a valid throughput."
    partly = len(frame) - len(lost)
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
            frame.assign(machine=machines),
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
