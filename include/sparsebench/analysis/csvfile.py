"""A CSV like the study's published numbers -> the same table as a night's trials.

Columns: instance_type, cpu_model, model, variant, engine, throughput_img_s, and where the file has them
precision (f32 or native), emulated (true or false) and repeat (whole number), which tells the repeats of one
cell apart. How spreadsheets write such a table is in ``csvtext``.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sparsebench.analysis.csvtext import decimal_points, read_fields
from sparsebench.analysis.order import UNSTATED, VARIANTS
from sparsebench.analysis.results import MISSING, REPEATS, Results, table
from sparsebench.contracts import Precision, Variant
from sparsebench.errors import BadInput

PRECISIONS: tuple[str, ...] = Precision.__args__  # type: ignore[attr-defined]


class CsvRow(BaseModel):
    """A line of the file. A field's description says what is expected of it."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    instance_type: str
    cpu_model: str
    model: str
    variant: Variant = Field(description=f"one of {', '.join(VARIANTS)}")
    engine: str
    throughput_img_s: float = Field(gt=0, allow_inf_nan=False, description="a number above 0, in images per second")
    precision: Precision | None = Field(default=None, description=f"one of {', '.join(PRECISIONS)}")
    emulated: bool = Field(default=False, description="one of true, false")
    repeat: int = Field(default=0, ge=0, lt=10**9, description="a whole number from 0")


COLUMNS = tuple(CsvRow.model_fields)
REQUIRED = tuple(name for name, field in CsvRow.model_fields.items() if field.is_required())


SPELLINGS = {
    "emulated": {"wahr": "true", "falsch": "false", "vrai": "true", "faux": "false"},
    "precision": {"fp32": "f32", "float32": "f32"},
}
"""Other words for a value, by column: what spreadsheets of other languages make of TRUE, and what others call f32."""


def read_csv(path: Path) -> Results:
    """The results in a CSV file, and notes of what is unusual about how it is written.

    Raises:
        BadInput: names the line, the column, the value and what would be right.
    """
    table_ = read_fields(path, REQUIRED, COLUMNS)
    if not table_.rows:
        raise BadInput(f"{path}:2: no rows below the header; expected one throughput a line")
    decimal_points(path, table_, "throughput_img_s")
    repeats = [_row(f"{path}:{line}", table_.header, fields) for line, fields in table_.rows]
    _check_unique(repeats)
    return Results(table(repeats, REPEATS), table([], MISSING), notes=tuple(table_.notes))


def _row(where: str, header: list[str], fields: list[str]) -> dict[str, object]:
    given = {name: unquoted(field.strip()) for name, field in zip(header, fields, strict=True)}
    for name, value in given.items():
        if not value:
            raise BadInput(f"{where}: {name} is empty")
    try:
        row = CsvRow.model_validate({name: _spelt(name, value) for name, value in given.items()})
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        expected = CsvRow.model_fields[name].description
        raise BadInput(f"{where}: {name} is {given[name]!r}; expected {expected}") from error
    return {
        "where": where,
        **row.model_dump(exclude={"model", "precision"}),
        "network": row.model,
        "precision": row.precision or UNSTATED,
    }


def _spelt(column: str, value: str) -> str:
    if column not in ("emulated", "precision", "variant"):
        return value
    return SPELLINGS.get(column, {}).get(value.lower(), value.lower())


FORMULA = ("=", "+", "@", "-", "\t", "\r", "\n", "＝", "＋", "＠", "－")
"""What a spreadsheet takes for a formula at the start of a text, or takes away from before one."""


def quoted(value: object) -> object:
    """A text that a spreadsheet shows and does not run: an apostrophe stands before it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def unquoted(text: str) -> str:
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text


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
