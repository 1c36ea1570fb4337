"""Findings as a table, for a terminal, and as lines, for a log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from sparsebench.doctor.findings import Finding

MARKS = {"right": "✓", "wrong": "✗", "unknown": "?"}
STYLES = {"right": "green", "wrong": "bold red", "unknown": "yellow"}


def shown(findings: Sequence[Finding]) -> Table:
    table = Table(box=SIMPLE_HEAD, title=summary(findings), title_justify="left")
    for name in ("", "what", "told", "what to do"):
        table.add_column(name, overflow="fold")
    for finding in findings:
        mark = f"[{STYLES[finding.state]}]{MARKS[finding.state]}[/]"
        table.add_row(mark, *map(escape, (finding.what, finding.told, finding.todo)))
    return table


def lines(findings: Iterable[Finding]) -> list[str]:
    return [
        f"{MARKS[finding.state]} {finding.what}: {finding.told}"
        + (f"; what to do: {finding.todo}" if finding.todo else "")
        for finding in findings
    ]


def summary(findings: Sequence[Finding]) -> str:
    states = [finding.state for finding in findings]
    counts = {"right": "right", "wrong": "wrong", "unknown": "could not be looked at"}
    return ", ".join(f"{states.count(state)} {label}" for state, label in counts.items() if states.count(state))  # type: ignore[arg-type]
