"""A CSV like the study's published numbers -> the same table as a night's trials.

Columns: instance_type, cpu_model, model, variant, engine, throughput_img_s, and where the file has them
precision (f32 or native), emulated (true or false) and repeat (whole number), which tells the repeats of one
cell apart.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path

from sparsebench.analysis.order import UNSTATED, VARIANTS
from sparsebench.analysis.results import MISSING, REPEATS, Results, table
from sparsebench.contracts import Precision
from sparsebench.errors import BadInput

REQUIRED = ("instance_type", "cpu_model", "model", "variant", "engine", "throughput_img_s")
OPTIONAL = ("precision", "emulated", "repeat")
PRECISIONS: tuple[str, ...] = Precision.__args__  # type: ignore[attr-defined]
COLUMNS = (*REQUIRED, *OPTIONAL)


def read_csv(path: Path) -> Results:
    """The results in a CSV file.

    Raises:
        BadInput: names the line, the column, the value and what would be right.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            header = [name.strip() for name in next(rows, [])]
            _check_header(path, header)
            repeats = [_row(f"{path}:{rows.line_num}", header, fields) for fields in rows if fields]
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path}: not a CSV file in UTF-8: {error}") from error
    if not repeats:
        raise BadInput(f"{path}:2: no rows below the header; expected one throughput a line")
    _check_unique(repeats)
    return Results(table(repeats, REPEATS), table([], MISSING))


def _check_header(path: Path, header: list[str]) -> None:
    if not any(header):
        raise BadInput(f"{path}:1: the file is empty; expected the columns {', '.join(REQUIRED)}")
    for name in REQUIRED:
        if name not in header:
            raise BadInput(f"{path}:1: column {name} is missing; found {', '.join(header)}")
    for name in header:
        if name not in COLUMNS or header.count(name) > 1:
            raise BadInput(f"{path}:1: column {name!r} is unknown or given twice; known are {', '.join(COLUMNS)}")


def _row(where: str, header: list[str], fields: list[str]) -> dict[str, object]:
    if len(fields) != len(header):
        raise BadInput(f"{where}: has {len(fields)} fields; expected {len(header)}: {', '.join(header)}")
    row = {name: field.strip() for name, field in zip(header, fields, strict=True)}
    for name, value in row.items():
        if not value:
            raise BadInput(f"{where}: {name} is empty")

    def one_of(name: str, known: tuple[str, ...], default: str) -> str:
        value = row.get(name, default)
        if name in row and value not in known:
            raise BadInput(f"{where}: {name} is {value!r}; expected one of {', '.join(known)}")
        return value

    return {
        "where": where,
        "instance_type": row["instance_type"],
        "cpu_model": row["cpu_model"],
        "emulated": one_of("emulated", ("true", "True", "false", "False"), "false").lower() == "true",
        "network": row["model"],
        "variant": one_of("variant", VARIANTS, ""),
        "engine": row["engine"],
        "precision": one_of("precision", PRECISIONS, UNSTATED),
        "repeat": _repeat(where, row.get("repeat", "0")),
        "throughput_img_s": _throughput(where, row["throughput_img_s"]),
    }


def _repeat(where: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadInput(f"{where}: repeat is {text!r}; expected a whole number from 0")
    return int(text)


def _throughput(where: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadInput(f"{where}: throughput_img_s is {text!r}; expected a number of images per second")
    if value <= 0:
        raise BadInput(f"{where}: throughput_img_s is {text!r}; expected a number above 0")
    return value


def _check_unique(repeats: list[dict[str, object]]) -> None:
    seen: dict[tuple[object, ...], object] = {}
    for row in repeats:
        key = tuple(value for name, value in row.items() if name not in ("where", "throughput_img_s"))
        if key in seen:
            raise BadInput(
                f"{row['where']}: the same cell and repeat as in {seen[key]}, network {row['network']!r}; "
                "number the repeats of a cell in a column repeat"
            )
        seen[key] = row["where"]
