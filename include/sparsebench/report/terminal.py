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
from sparsebench.report import labels, sentences
from sparsebench.report.choices import advice as advised
from sparsebench.report.tables.choices import frame as choice_frame
from sparsebench.report.tables.choices import ranking
from sparsebench.report.tables.formatting import Table
from sparsebench.report.tables.headline import headline, headline_frame
from sparsebench.report.tables.ratios import native, pairs
from sparsebench.report.tables.speedups import speedups
from sparsebench.report.tables.throughput import throughput
from sparsebench.report.takes import takes

STYLES = {"best": "bold green", "absent": "dim italic", "open": "yellow"}


def summary(findings: Findings) -> RenderableType:
    """Per machine: networks and variants down, engines across in img/s, the fastest marked; then what it says."""
    if not findings.lanes:
        return Text("No cell of this night has a valid throughput. " + labels.counts(findings.counts))
    main = findings.lanes[0]
    parts: list[RenderableType] = []
    for machine in main.machines:
        content = throughput(machine, "", sentences.sample_note(machine.sample()))
        parts += [
            shown(content, f"{content.title} · img/s, lane {main.precision}"),
            Text(content.note.replace("Bold:", "*:")),
            *map(Text, [*sentences.pays(machine), *sentences.stands_on(machine)]),
        ]
    parts += [Text(sentence) for sentence in takes(findings.worth)]
    parts += [Text(sentence) for choice in findings.advice for sentence in advised(choice)]
    parts += [Text(sentences.headline(comparison)) for comparison in findings.headlines]
    return Group(*parts, Text(labels.counts(findings.counts)), *_left_out(findings))


def comparison(findings: Findings) -> RenderableType:
    """The headlines and every ratio of one night, or of several pooled."""
    parts: list[RenderableType] = []
    if len(findings.nights) > 1:
        parts.append(Text(f"{sentences.pooled(findings)}\n"))
    if findings.ratios.empty:
        parts.append(Text("No two engines have a throughput of the same network, so there is nothing to compare."))
    for compared in findings.headlines:
        content = headline(compared)
        parts += [shown(content, content.title), Text(sentences.headline(compared)), Text()]
    for lane in findings.lanes:
        for machine in lane.machines:
            sample_note = sentences.sample_note(machine.sample())
            tables = [pairs(machine.ratios, findings.target, sample_note)] if len(machine.ratios) else []
            tables += [speedups(machine, findings.target, sample_note)] if len(machine.speedups) else []
            for content in tables:
                parts += [shown(content, f"{content.title}, lane {lane.precision}"), Text(content.note), Text()]
            parts += map(Text, [*sentences.pays(machine), *sentences.stands_on(machine)])
    parts += [Text(sentence) for sentence in takes(findings.worth)]
    for content in _choices(findings):
        parts += [shown(content, content.title), Text(content.note), Text()]
    if findings.bench_differs:
        parts.append(Text("The nights' bench environments differ: the engines may be of other versions."))
    return Group(*parts, Text(labels.counts(findings.counts)), *_left_out(findings))


def advice(choices: Sequence[Choice], findings: Findings) -> RenderableType:
    """What to take, network by network: in a sentence or two, then the ranking."""
    parts: list[RenderableType] = []
    if len(findings.nights) > 1:
        parts.append(Text(f"{sentences.pooled(findings)}\n"))
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
        parts += map(Text, [*sentences.beside_base(findings.cards), *sentences.doubts(findings.machines)])
    return Group(*parts, *_left_out(findings))


def advice_json(choices: Sequence[Choice], findings: Findings) -> bytes:
    """UTF-8 JSON: nights, lane, bounds, outputs (of siblings beside their base), doubts (hosts that changed speed, what
    is unsteady), and of each network the only best (null where several can be), what is said of it, and every candidate
    (an object a row of the report's choices.csv)."""
    content = {
        "nights": [night.name for night in findings.nights],
        "lane": choices[0].precision if choices else None,
        "bounds": asdict(choices[0].bounds) if choices else None,
        "outputs": sentences.beside_base(findings.cards),
        "doubts": sentences.doubts(findings.machines),
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
    winner = choice.winner.candidate
    return {"instance_type": winner.machine.instance_type, **winner.treatment._asdict()}


def _left_out(findings: Findings) -> list[Text]:
    """What of the store could not be read, an object a line."""
    objects = findings.results.unreadable
    return [Text(labels.unreadable(objects)), *(Text(": ".join(left_out)) for left_out in objects)] if objects else []


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
                        moved.compared.instance_type,
                        moved.compared.network,
                        moved.compared.variant,
                        f"{moved.compared.a} : {moved.compared.b}",
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
    both = f"{labels.count(changed.compared, 'ratio')} with an interval in both nights"
    parts.append(Text(f"{len(changed.moved)} of {both} moved further than that."))
    return Group(*parts)


def _choices(findings: Findings) -> list[Table]:
    """Each engine's own precision against fp32, machine by machine."""
    return [
        native(choices, findings.executions, findings.output_errors, findings.target)
        for _, choices in grouped(findings.choices, MACHINE)
    ]


def to_json(findings: Findings) -> bytes:
    """UTF-8 JSON: nights, protocol (its name), counts, headlines, ratios, speedups, their means, what variants are
    worth, latencies (one object a row of the report's CSVs)."""
    content = {
        "nights": [night.name for night in findings.nights],
        "pooled": len(findings.nights) > 1,
        "protocol": findings.protocol.name if findings.protocol else None,
        "counts": {
            "planned": findings.counts.planned,
            "with_number": findings.counts.with_number,
            "without": findings.counts.without,
        },
        "headlines": _records(headline_frame(findings.headlines)) if findings.headlines else [],
        "ratios": _records(findings.ratios),
        "speedups": _records(findings.speedups),
        "means": _records(findings.means),
        "worth": _records(findings.worth),
        "latencies": _records(findings.latencies),
        "latency_ratios": _records(findings.latency_ratios),
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
