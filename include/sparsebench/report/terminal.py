"""A night's comparison for a terminal."""

from __future__ import annotations

from rich import table
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.text import Text

from sparsebench.analysis.compare import headlines
from sparsebench.analysis.ratios import measure, ratios
from sparsebench.analysis.results import Results, on_machine
from sparsebench.contracts import Protocol
from sparsebench.report import words
from sparsebench.report.basis import Basis
from sparsebench.report.tables.form import Table
from sparsebench.report.tables.missing import missing
from sparsebench.report.tables.throughput import throughput

STYLES = {"best": "bold green", "absent": "dim italic", "open": "yellow"}


def render(results: Results, protocol: Protocol) -> RenderableType:
    """Per machine: networks and variants down, engines across in img/s, the fastest marked; then the headline."""
    if not results.lanes:
        return Text("No cell of this night has a valid throughput. " + missing(results).note)
    main = results.lane(results.lanes[0])
    measured = measure(main)
    compared = ratios(measured, protocol.target)
    basis = Basis(main, compared, protocol)
    parts: list[RenderableType] = []
    for cells, lost in main.by_machine():
        machine = cells.iloc[0]
        content = throughput(cells, lost, on_machine(compared, machine), "", basis.words(machine))
        parts += [
            shown(content, f"{content.title} · img/s, lane {results.lanes[0]}"),
            Text(content.note.replace("Bold:", "*:")),
        ]
    parts += [Text(words.headline(found)) for found in headlines(main.cells, measured)]
    return Group(*parts, Text(missing(results).note))


def shown(content: Table, title: str) -> table.Table:
    """A table of the report."""
    found = table.Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, title=Text(title), title_justify="left")
    for index, column in enumerate(content.columns):
        is_number = any("number" in row[index][1] for row in content.rows)
        found.add_column(Text(column), justify="right" if is_number else "left", overflow="fold")
    for row in content.rows:
        found.add_row(*(_cell(text, kind) for text, kind in row))
    return found


def _cell(text: str, kind: str) -> Text:
    if "number" in kind:  # the mark's place is kept free, so that numbers stand below each other
        text += " *" if "best" in kind else "  "
    style = next((style for name, style in STYLES.items() if name in kind), "")
    return Text(text, style=style)
