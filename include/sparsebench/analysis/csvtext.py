"""The fields of a CSV as spreadsheets write it: their encoding, their delimiter, their decimal mark, their headers.

What is unambiguous is read, and said. What could be meant in two ways is an error that says how to mend it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from sparsebench.errors import BadInput

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}

BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}


@dataclass
class Fields:
    """A table's header, in the names that are expected, and its rows, each with its line; notes: what was seen."""

    header: list[str]
    rows: list[tuple[int, list[str]]]
    notes: list[str] = field(default_factory=list)


def read_fields(path: Path, required: Sequence[str], known: Sequence[str]) -> Fields:
    """The fields of a file whose columns are to be these.

    Raises:
        BadInput: the file, its line, and how to mend it.
    """
    notes: list[str] = []
    text = _decoded(path, notes)
    lines, first = io.StringIO(text, newline="").readlines(), 1
    delimiter = None
    if lines and (named := re.fullmatch(r'"?sep=(.)"?[,;\t]*\s*', lines[0], re.IGNORECASE)):
        delimiter, lines, first = named[1], lines[1:], 2
    delimiter = delimiter or _delimiter(lines[0] if lines else "", required)
    if delimiter != ",":
        notes.append(f"its columns are separated by {DELIMITERS.get(delimiter, repr(delimiter))}")
    try:
        reader = csv.reader(io.StringIO("".join(lines), newline=""), delimiter=delimiter, strict=True)
        raw = next(reader, [])
        rows = [(first - 1 + reader.line_num, fields) for fields in reader if any(text.strip() for text in fields)]
    except csv.Error as error:
        raise BadInput(f"{path}: not a CSV file: {error}") from error
    header = [_column(name, known) for name in raw]
    table = Fields(header, rows, notes)
    _check_header(f"{path}:{first}", table, raw, required, known)
    return table


def _decoded(path: Path, notes: list[str]) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
    encoding = next((name for mark, name in BYTE_ORDER_MARKS.items() if data.startswith(mark)), "utf-8")
    if encoding == "utf-8" and data[1:2] == b"\0":
        encoding = "utf-16-le"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{path}: not a CSV file in UTF-8 or UTF-16: {error}; save it as 'CSV UTF-8' in the spreadsheet"
        ) from error
    if "\0" in text:
        raise BadInput(f"{path}: not a CSV file: it has bytes of 0; save the table as 'CSV UTF-8' in the spreadsheet")
    if encoding.startswith("utf-16"):
        notes.append("it is in UTF-16")
    return text


def _delimiter(line: str, required: Sequence[str]) -> str:
    """The delimiter by which the header has most of the columns that have to be there."""

    def columns(delimiter: str) -> int:
        return len(set(required) & {_plain(name) for name in line.split(delimiter)})

    return max(DELIMITERS, key=columns)  # the first of equals: a comma


def _plain(name: str) -> str:
    """The name without what a spreadsheet or a person changes about a name: capitals, blanks, units in brackets."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _column(name: str, known: Sequence[str]) -> str:
    plain = _plain(name)
    return plain if plain in known else name.strip()


def _check_header(where: str, table: Fields, raw: list[str], required: Sequence[str], known: Sequence[str]) -> None:
    header = table.header
    if not any(header):
        raise BadInput(f"{where}: the file is empty; expected the columns {', '.join(required)}")
    for name in required:
        if name not in header:
            raise BadInput(f"{where}: column {name} is missing; found {', '.join(filter(None, header))}")
    for name in known:
        if header.count(name) > 1:
            raise BadInput(f"{where}: column {name!r} is given twice")
    if any(name in known and name != given.strip() for name, given in zip(header, raw, strict=True)):
        table.notes.append("its columns' names are written otherwise")
    others = [place for place, name in enumerate(header) if name not in known]
    for place in others:
        if close := get_close_matches(_plain(header[place]), known, n=1, cutoff=0.8):
            raise BadInput(f"{where}: column {header[place]!r} is unknown; is it {close[0]}? Rename or delete it")
    for line, fields in table.rows:
        if len(fields) < len(header) or any(text.strip() for text in fields[len(header) :]):
            expected = f"{len(header)}: {', '.join(header)}"
            raise BadInput(f"{where.rpartition(':')[0]}:{line}: has {len(fields)} fields; expected {expected}")
    kept = [place for place, name in enumerate(header) if name in known]
    table.header = [header[place] for place in kept]
    table.rows = [(line, [fields[place] for place in kept]) for line, fields in table.rows]
    if others:
        names = ", ".join(repr(header[place]) if header[place] else "one without a name" for place in others)
        table.notes.append(f"columns that say nothing here are left out: {names}")


def decimal_points(path: Path, table: Fields, column: str) -> None:
    """Numbers with a decimal comma become numbers with a point, in place.

    Raises:
        BadInput: a comma could as well part thousands from hundreds, or some numbers have commas and some points.
    """
    place = table.header.index(column)
    commas = [(line, fields[place].strip()) for line, fields in table.rows if "," in fields[place]]
    if not commas:
        return
    points = [line for line, fields in table.rows if "." in fields[place]]
    decimal = [text for _, text in commas if re.fullmatch(r"[+-]?[0-9]+,[0-9]+", text)]
    line, text = commas[0]
    mend = "write numbers with a decimal point, and nothing between thousands"
    if points or len(decimal) < len(commas):
        raise BadInput(
            f"{path}:{line}: {column} is {text!r}, and other numbers are written otherwise; {mend}"
            if points
            else f"{path}:{line}: {column} is {text!r}; {mend}"
        )
    if all(re.fullmatch(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}", text) for text in decimal):
        raise BadInput(
            f"{path}:{line}: {column} is {text!r}, which may be a thousand or a little more than one; {mend}"
        )
    for _, fields in table.rows:
        fields[place] = fields[place].replace(",", ".")
    table.notes.append("its numbers have decimal commas")
