"""The report of a night, or of a CSV like the study's: figures, tables, and one page that holds them all.

The same results give the same bytes, whichever store they come from and whenever they are drawn.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pandas as pd
from rich.console import RenderableType

from sparsebench.analysis import columns
from sparsebench.analysis.difference import Difference, difference
from sparsebench.analysis.findings import Findings, of_csv, of_nights
from sparsebench.analysis.history import night_ratios
from sparsebench.analysis.order import ordered
from sparsebench.analysis.pooling import Night
from sparsebench.analysis.since import since
from sparsebench.contracts import ModelCard, NightRatios, Sensitivity, TrainingRecord, is_night
from sparsebench.errors import BadInput, StoreError
from sparsebench.report import choices, labels, sentences, terminal
from sparsebench.report.assembly import Report
from sparsebench.report.page import Page
from sparsebench.store import Store

T = TypeVar("T")

MOST_SAID = 3
"""Networks of which a list of nights says what to take."""

SUMMARY = "summary.json"
"""Beside a report in the store: what a list of nights says of it, so that the list computes nothing."""


def build(store: Store, night: str) -> dict[str, bytes]:
    """The files of a night's report: name -> content. Writes nothing.

    Raises:
        BadInput: the night is not a night's name.
        StoreError: the night has no manifest, or the store cannot be read.
    """
    return _built(store, night, _findings(store, [night]))


def _built(store: Store, night: str, findings: Findings) -> dict[str, bytes]:
    manifest = findings.nights[0].manifest
    subtitle = f"Protocol {manifest.protocol.name}. {manifest.protocol.description} {_lane(findings)}"
    origin = f"night {night} · protocol {manifest.protocol.name}"
    report = Report(findings, Page(f"sparsebench, night of {night}", subtitle), origin)
    report.add_results()
    report.add_evidence()
    report.add_night(findings.nights[0])
    report.add_since(since(store, findings.nights[0], _ratios(findings)))
    report.add_training(*_studied(store, manifest.models))
    return report.finished()


def _ratios(findings: Findings) -> NightRatios:
    return night_ratios(findings.nights[0].manifest, findings.measured, findings.results)


def publish(store: Store, night: str) -> str:
    """Draw a night's report into the store; the page last, so that it never links to what is not there. Then seal it.

    Returns:
        The page's path in the store.

    Raises:
        BadInput, StoreError: as of build, or the store cannot be written.
    """
    findings = _findings(store, [night])
    store.put_night_ratios(_ratios(findings))
    store.put_report(night, SUMMARY, _summary(findings))
    for name, data in _built(store, night, findings).items():
        store.put_report(night, name, data)
    columns.seal(store, night)
    return store.report_path(night)


def _summary(findings: Findings) -> bytes:
    pays = [sentence for machine in findings.machines for sentence in sentences.pays(machine)]
    content = {
        "says": [*pays[:1], *(choices.advice(choice)[0] for choice in findings.advice[:MOST_SAID])],
        "machines": [labels.machine(machine.machine) for machine in findings.machines],
        "counts": labels.counts(findings.counts),
    }
    return json.dumps(content, indent=1).encode()


def save(store: Store, night: str, folder: Path) -> Path:
    """Draw a night's report into a folder; returns the page's path. Raises as build, or BadInput."""
    return _save(build(store, night), folder)


def from_csv(csv_path: Path, folder: Path, tell: Callable[[str], None] = lambda _: None) -> Path:
    """Draw the results in a CSV like the study's into a folder; returns the page's path. What is unusual about how the
    table is written goes to ``tell``, and onto the page.

    Raises:
        BadInput: names the line, column and value that are wrong, or why the folder cannot be written.
    """
    findings = of_csv(csv_path)
    page = Page(f"sparsebench, {csv_path.name}", f"Drawn from a table of throughputs. {_lane(findings)}")
    if notes := findings.results.notes:
        read = f"{csv_path.name} was read like this: {'; '.join(notes)}."
        page.warnings.append(read)
        tell(read)
    report = Report(findings, page, f"from {csv_path.name}")
    report.add_results()
    return _save(report.finished(), folder)


def summary(store: Store, night: str) -> RenderableType:
    """A night's comparison for the terminal (rich). Raises as build."""
    return terminal.summary(_findings(store, [night]))


def compare(store: Store, nights: Sequence[str]) -> Findings:
    """What is found in one night or in several pooled; a night named twice counts once.

    Raises:
        BadInput: not a night's name, or nights that did not measure the same.
        StoreError: a night has no manifest, or the store cannot be read.
    """
    return _findings(store, list(dict.fromkeys(nights)))


def diff(store: Store, before: str, after: str) -> Difference:
    """What changed from one night to another. Raises as compare."""
    return difference(_findings(store, [before]), _findings(store, [after]))


def _findings(store: Store, nights: Sequence[str]) -> Findings:
    for night in nights:
        _check(night)
    return of_nights([Night.read(store, night) for night in nights])


def _studied(store: Store, cards: Sequence[ModelCard]) -> tuple[list[TrainingRecord], list[Sensitivity]]:
    """What the cards' trainings and analyses found, each once. What is not in the store any more is left out: it adds
    to the report, which does not stand on it."""
    named = [(card.network, card.variant, card.training, card.sensitivity) for card in cards]
    frame = ordered(pd.DataFrame(named, columns=["network", "variant", "training", "sensitivity"]))
    return _loaded(store.training, frame["training"]), _loaded(store.sensitivity, frame["sensitivity"])


def _loaded(load: Callable[[str], T | None], keys: Iterable[str | None]) -> list[T]:
    objects = []
    for key in dict.fromkeys(filter(None, keys)):
        with suppress(StoreError):
            objects.append(load(key))
    return list(filter(None, objects))


def _check(night: str) -> None:
    if not is_night(night):
        raise BadInput(f"night is {night!r}; expected a date, or a date and a number: 2026-11-24 or 2026-11-24.2")


def _lane(findings: Findings) -> str:
    return labels.LANES[findings.lanes[0].precision] if findings.lanes else ""


def _save(content: dict[str, bytes], folder: Path) -> Path:
    write(content, folder)
    return folder / "index.html"


def write(content: Mapping[str, bytes], folder: Path) -> None:
    """Files, by name, into a folder.

    Raises:
        BadInput: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in content.items():
            (folder / name).write_bytes(data)
    except OSError as error:
        raise BadInput(f"{folder}: cannot be written: {error.strerror}") from error
