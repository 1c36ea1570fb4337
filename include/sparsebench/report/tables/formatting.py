"""Tables of the page, and how values become the text of their cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from sparsebench.analysis.csvfile import quoted
from sparsebench.report import labels

Cell = tuple[str, str]
"""Text of a table's cell, and its class on the page: "", "short" (not broken into lines), "number", "number best" (of
its row), "number open" (not known well enough), "number wide" (may be broken into lines), "absent"; with "again" after
it the cell says what the one above says, and is left empty."""


@dataclass(frozen=True)
class Table:
    title: str
    csv: str
    note: str
    columns: tuple[str, ...]
    rows: list[list[Cell]]


def csv(frame: pd.DataFrame, **options: Any) -> bytes:
    """The frame as CSV in UTF-8; floats with every digit that they have, so that they read back the same; a text never
    as something that a spreadsheet would run."""
    texts = {name: frame[name].map(quoted) for name in frame.columns if frame[name].dtype in ("object", "str")}
    return frame.assign(**texts).to_csv(index=False, lineterminator="\n", **options).encode()


def text(value: Any) -> Cell:
    return ("" if pd.isna(value) else str(value)), ""


def short(value: Any) -> Cell:
    return text(value)[0], "short"


def number(pattern: str) -> Callable[[Any], Cell]:
    return lambda value: ("" if pd.isna(value) else pattern.format(value), "number")


def fraction(digits: int) -> Callable[[Any], Cell]:
    return lambda value: ("" if pd.isna(value) else f"{value * 100:.{digits}f} %", "number")


def percent(value: Any) -> Cell:
    return labels.percent(value), "number"


def network(value: Any) -> Cell:
    return labels.network(value), ""


def variant(value: Any) -> Cell:
    return labels.VARIANT_LABELS[value], ""


def engine(value: Any) -> Cell:
    return labels.engine(value), ""


def rows_of(frame: pd.DataFrame, **formats: Callable[[Any], Cell]) -> list[list[Cell]]:
    return [[show(row[name]) for name, show in formats.items()] for row in frame.to_dict("records")]


def without_repetition(rows: Sequence[list[Cell]], leading: int) -> list[list[Cell]]:
    """The first columns are left empty where they say the same as in the row above."""
    kept = []
    for index, row in enumerate(rows):
        same = 0
        while index and same < leading and row[same] == rows[index - 1][same]:
            same += 1
        kept.append([("", f"{kind} again".strip()) for _, kind in row[:same]] + row[same:])
    return kept
