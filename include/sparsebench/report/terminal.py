"""Findings for a terminal, and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd
from rich import table
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.text import Text

from sparsebench.analysis.choice import Choice
from sparsebench.analysis.difference import Difference
from sparsebench.analysis.findings import Findings
from sparsebench.analysis.results import MACHINE, grouped
from sparsebench.report import sentences, words
from sparsebench.report.choices import advice as advised
from sparsebench.report.tables.choices import frame as choice_frame
from sparsebench.report.tables.choices import ranking
from sparsebench.report.tables.form import Table
from sparsebench.report.tables.headline import headline, headline_frame
from sparsebench.report.tables.ratios import native, pairs
from sparsebench.report.tables.speedups import speedups
from sparsebench.report.tables.throughput import throughput
from sparsebench.report.takes import takes

STYLES = {"best": "bold green", "absent": "dim italic", "open": "yellow"}


def summary(found: Findings) -> RenderableType:
    """Per machine: networks and variants down, engines across in img/s, the fastest marked; then what it says."""
    if not found.lanes:
        return Text("No cell of this night has a valid throughput. " + words.counts(found.counts))
    main = found.lanes[0]
    parts: list[RenderableType] = []
    for of in main.machines:
        content = throughput(of, "", sentences.basis(of.basis))
        parts += [
            shown(content, f"{content.title} · img/s, lane {main.precision}"),
            Text(content.note.replace("Bold:", "*:")),
            *(Text(sentence) for sentence in sentences.pays(of)),
        ]
    parts += [Text(sentence) for sentence in takes(found.worth)]
    parts += [Text(sentence) for choice in found.advice for sentence in advised(choice)]
    parts += [Text(sentences.headline(comparison)) for comparison in found.headlines]
    return Group(*parts, Text(words.counts(found.counts)), *_left_out(found))


def comparison(found: Findings) -> RenderableType:
    """The headlines and every ratio of one night, or of several pooled."""
    parts: list[RenderableType] = []
    if len(found.nights) > 1:
        parts.append(Text(f"{sentences.pooled(found)}\n"))
    if found.ratios.empty:
        parts.append(Text("No two engines have a throughput of the same network, so there is nothing to compare."))
    for compared in found.headlines:
        content = headline(compared)
        parts += [shown(content, content.title), Text(sentences.headline(compared)), Text()]
    for lane in found.lanes:
        for of in lane.machines:
            said = sentences.basis(of.basis)
            tables = [pairs(of.ratios, found.target, said)] if len(of.ratios) else []
            tables += [speedups(of, found.target, said)] if len(of.speedups) else []
            for content in tables:
                parts += [shown(content, f"{content.title}, lane {lane.precision}"), Text(content.note), Text()]
            parts += [Text(sentence) for sentence in sentences.pays(of)]
    parts += [Text(sentence) for sentence in takes(found.worth)]
    for content in _choices(found):
        parts += [shown(content, content.title), Text(content.note), Text()]
    if found.bench_differs:
        parts.append(Text("The nights' bench environments differ: the engines may be of other versions."))
    return Group(*parts, Text(words.counts(found.counts)), *_left_out(found))


def advice(choices: Sequence[Choice], found: Findings) -> RenderableType:
    """What to take, network by network: in a sentence or two, then the ranking."""
    parts: list[RenderableType] = []
    if len(found.nights) > 1:
        parts.append(Text(f"{sentences.pooled(found)}\n"))
    if not choices:
        parts.append(Text("No network of this night has a number, so there is nothing to choose from."))
    for choice in choices:
        content = ranking(choice)
        parts += [
            *map(Text, advised(choice)),
            Text(),
            shown(content, f"{content.title}, lane {choice.precision}"),
            Text(),
        ]
    if choices:
        parts.append(Text(ranking(choices[0]).note))
    return Group(*parts, *_left_out(found))


def advice_json(choices: Sequence[Choice], found: Findings) -> bytes:
    """UTF-8 JSON: nights, lane, bounds, and of each network the only best (null where several can be), what is said of
    it, and every candidate (an object a row of the report's choices.csv)."""
    content = {
        "nights": [night.name for night in found.nights],
        "lane": choices[0].precision if choices else None,
        "bounds": asdict(choices[0].bounds) if choices else None,
        "networks": [
            {
                "network": choice.network,
                "winner": _winner(choice),
                "says": advised(choice),
                "candidates": _records(choice_frame([choice])),
            }
            for choice in choices
        ],
    }
    return json.dumps(content, indent=1, allow_nan=False).encode() + b"\n"


def _winner(choice: Choice) -> dict[str, str] | None:
    if choice.winner is None:
        return None
    of = choice.winner.candidate
    return {"instance_type": of.machine.instance_type, **of.treatment._asdict()}


def _left_out(found: Findings) -> list[Text]:
    """What of the store could not be read, an object a line."""
    objects = found.results.unreadable
    return [Text(words.unreadable(objects)), *(Text(": ".join(left_out)) for left_out in objects)] if objects else []


def difference(changed: Difference) -> RenderableType:
    """What changed from one night to another: inputs and hosts, then ratios that moved further than their intervals."""
    parts: list[RenderableType] = []
    if changed.inputs:
        rows = [[(text or "none", "") for text in change] for change in changed.inputs]
        inputs = Table("", "", "", ("", changed.before, changed.after), rows)
        parts += [shown(inputs, "What was measured, with what, and where"), Text()]
    else:
        parts += [Text("The same models, code, packages, protocol and image, on the same CPUs."), Text()]
    if changed.moved:
        rows = [
            [
                *(
                    (text, "")
                    for text in (
                        moved.of.instance_type,
                        moved.of.network,
                        moved.of.variant,
                        f"{moved.of.a} : {moved.of.b}",
                    )
                ),
                *(
                    (f"{ratio:.3g} ({low:.3g} to {high:.3g})", "number")
                    for ratio, low, high in (moved.before, moved.after)
                ),
            ]
            for moved in changed.moved
        ]
        columns = ("instance type", "network", "variant", "ratio of", changed.before, changed.after)
        parts += [
            shown(Table("", "", "", columns, rows), "Ratios of img/s whose 95 % intervals do not overlap"),
            Text(),
        ]
    both = f"{words.count(changed.compared, 'ratio')} with an interval in both nights"
    parts.append(Text(f"{len(changed.moved)} of {both} moved further than that."))
    return Group(*parts)


def _choices(found: Findings) -> list[Table]:
    """Each engine's own precision against fp32, machine by machine."""
    return [
        native(choices, found.executions, found.output_errors, found.target)
        for _, choices in grouped(found.choices, MACHINE)
    ]


def to_json(found: Findings) -> bytes:
    """UTF-8 JSON: nights, protocol (its name), counts, headlines, ratios, speedups, their means, what variants are
    worth, latencies (one object a row of the report's CSVs)."""
    content = {
        "nights": [night.name for night in found.nights],
        "pooled": len(found.nights) > 1,
        "protocol": found.protocol.name if found.protocol else None,
        "counts": {
            "planned": found.counts.planned,
            "with_number": found.counts.with_number,
            "without": found.counts.without,
        },
        "headlines": _records(headline_frame(found.headlines)) if found.headlines else [],
        "ratios": _records(found.ratios),
        "speedups": _records(found.speedups),
        "means": _records(found.means),
        "worth": _records(found.worth),
        "latencies": _records(found.latencies),
        "latency_ratios": _records(found.latency_ratios),
    }
    return json.dumps(content, indent=1, allow_nan=False).encode() + b"\n"


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(name): None if pd.isna(value) or value in (math.inf, -math.inf) else value for name, value in row.items()}
        for row in frame.astype(object).to_dict("records")
    ]


def shown(content: Table, title: str) -> table.Table:
    """A table of the report."""
    drawn = table.Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, title=Text(title), title_justify="left")
    for index, column in enumerate(content.columns):
        is_number = any("number" in row[index][1] for row in content.rows)
        drawn.add_column(Text(column), justify="right" if is_number else "left", overflow="fold")
    for row in content.rows:
        drawn.add_row(*(_cell(text, kind) for text, kind in row))
    return drawn


def _cell(text: str, kind: str) -> Text:
    if "number" in kind:  # the mark's place is kept free, so that numbers stand below each other
        text += " *" if "best" in kind else "  "
    style = next((style for name, style in STYLES.items() if name in kind), "")
    return Text(text, style=style)
