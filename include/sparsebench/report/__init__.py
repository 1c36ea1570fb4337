"""The report of a night, or of a CSV like the study's: figures, tables, and one page that holds them all.

The same results give the same bytes, whichever store they come from and whenever they are drawn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pandas as pd
from rich.console import RenderableType

from sparsebench.analysis.csvfile import read_csv
from sparsebench.analysis.order import ordered
from sparsebench.analysis.pooling import Night
from sparsebench.analysis.results import Results
from sparsebench.analysis.trials import from_trials
from sparsebench.contracts import NIGHT_PATTERN, ModelCard
from sparsebench.errors import BadInput, StoreError
from sparsebench.report import terminal, words
from sparsebench.report.assembly import Report
from sparsebench.report.comparison import Pooled
from sparsebench.report.page import Page
from sparsebench.sparsify.results import Sensitivity, TrainingRecord
from sparsebench.store import Store

T = TypeVar("T")


def build(store: Store, night: str) -> dict[str, bytes]:
    """The files of a night's report: name -> content. Writes nothing.

    Raises:
        BadInput: the night is not a night's name.
        StoreError: the night has no manifest, or the store cannot be read.
    """
    _check(night)
    manifest, hosts, runs = store.manifest(night), store.hosts(night), store.collections(night)
    results = from_trials(store.trials(night), hosts, runs)
    protocol = manifest.protocol
    subtitle = f"Protocol {protocol.name}. {protocol.description} {_lane(results)}"
    report = Report(Page(f"sparsebench, night of {night}", subtitle), protocol)
    report.add_results(results)
    report.add_evidence(results)
    report.add_night(results, manifest, hosts, runs)
    report.add_training(*_studied(store, manifest.models))
    return report.finished()


def publish(store: Store, night: str) -> str:
    """Draw a night's report into the store; the page last, so that it never links to what is not there.

    Returns:
        The page's path in the store.

    Raises:
        BadInput, StoreError: as of build, or the store cannot be written.
    """
    for name, data in build(store, night).items():
        store.put_report(night, name, data)
    return store.report_path(night)


def save(store: Store, night: str, folder: Path) -> Path:
    """Draw a night's report into a folder; returns the page's path. Raises as build, or BadInput."""
    return _save(build(store, night), folder)


def from_csv(csv_path: Path, folder: Path) -> Path:
    """Draw the results in a CSV like the study's into a folder; returns the page's path.

    Raises:
        BadInput: names the line, column and value that are wrong, or why the folder cannot be written.
    """
    results = read_csv(csv_path)
    report = Report(Page(f"sparsebench, {csv_path.name}", f"Drawn from a table of throughputs. {_lane(results)}"))
    report.add_results(results)
    return _save(report.finished(), folder)


def summary(store: Store, night: str) -> RenderableType:
    """A night's comparison for the terminal (rich). Raises as build."""
    _check(night)
    return terminal.render(_results(store, night), store.manifest(night).protocol)


def compare(store: Store, nights: Sequence[str]) -> Pooled:
    """The comparison of one night or of several pooled, from their stored trials; a night named twice counts once.

    Raises:
        BadInput: not a night's name, or nights that did not measure the same.
        StoreError: a night has no manifest, or the store cannot be read.
    """
    for night in nights:
        _check(night)
    return Pooled.of([_night(store, night) for night in dict.fromkeys(nights)])


def _night(store: Store, night: str) -> Night:
    return Night(store.manifest(night), store.trials(night), store.hosts(night), store.collections(night))


def _results(store: Store, night: str) -> Results:
    return from_trials(store.trials(night), store.hosts(night), store.collections(night))


def _studied(store: Store, cards: Sequence[ModelCard]) -> tuple[list[TrainingRecord], list[Sensitivity]]:
    """What the cards' trainings and analyses found, each once. What is not in the store any more is left out: it adds
    to the report, which does not stand on it."""
    named = [(card.network, card.variant, card.training, card.sensitivity) for card in cards]
    frame = ordered(pd.DataFrame(named, columns=["network", "variant", "training", "sensitivity"]))
    return _found(store.training, frame["training"]), _found(store.sensitivity, frame["sensitivity"])


def _found(load: Callable[[str], T | None], keys: Iterable[str | None]) -> list[T]:
    found = []
    for key in dict.fromkeys(filter(None, keys)):
        with suppress(StoreError):
            found.append(load(key))
    return list(filter(None, found))


def _check(night: str) -> None:
    if not re.fullmatch(NIGHT_PATTERN, night):
        raise BadInput(f"night is {night!r}; expected a date, or a date and a number: 2026-11-24 or 2026-11-24.2")


def _lane(results: Results) -> str:
    return words.LANES[results.lanes[0]] if results.lanes else ""


def _save(content: dict[str, bytes], folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in content.items():
            (folder / name).write_bytes(data)
    except OSError as error:
        raise BadInput(f"{folder}: cannot be written: {error.strerror}") from error
    return folder / "index.html"
