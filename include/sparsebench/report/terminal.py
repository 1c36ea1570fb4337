"""A night's comparison for the terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sparsebench.analysis.compare import headlines
from sparsebench.analysis.results import Results
from sparsebench.report import tables, words

STYLES = {"best": "bold green", "absent": "dim italic"}


def render(results: Results) -> RenderableType:
    """Per machine: networks and variants down, engines across in img/s, the fastest marked; then the headline."""
    if not results.lanes:
        return Text("No cell of this night has a valid throughput. " + tables.missing(results).note)
    main = results.lane(results.lanes[0])
    parts: list[RenderableType] = []
    for cells, missing in main.by_machine():
        content = tables.throughput(cells, missing, "")
        table = Table(title=Text(f"{content.title} · img/s, lane {results.lanes[0]}"), title_justify="left")
        for index, column in enumerate(content.columns):
            table.add_column(Text(column), justify="left" if index < 2 else "right")
        for row in content.rows:
            table.add_row(*(_cell(text, kind) for text, kind in row))
        parts.append(table)
    parts += [Text(words.headline(found)) for found in headlines(main.cells)]
    return Group(*parts, Text(tables.missing(results).note))


def _cell(text: str, kind: str) -> Text:
    if "number" in kind:  # the mark's place is kept free, so that numbers stand below each other
        text += " *" if "best" in kind else "  "
    style = next((style for name, style in STYLES.items() if name in kind), "")
    return Text(text, style=style)
