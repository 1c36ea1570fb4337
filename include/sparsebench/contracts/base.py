"""What all contracts have in common, and the kinds of names and numbers that they share."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import date
from typing import Annotated, Any, Literal, NoReturn, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from sparsebench.contracts.formats import content_of, later_parts, newest_format, values_since
from sparsebench.errors import BadInput

BuiltVariant = Literal["base", "pruned", "pruned_int8", "fake85", "fake99"]
"""What is made here of a network of the catalog."""

Variant = Literal[BuiltVariant, "int8"]
"""int8: of a network of one's own, quantised by whoever made it."""

VARIANTS_SINCE = values_since({"int8": 4})
"""The mark of every field that holds a variant."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""A name that is safe as one component of a path: no slash, no leading dot."""

NIGHT_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(\.[0-9]{1,3})?$"


def is_night(name: str) -> bool:
    """Whether it is a night's name: a calendar day, and perhaps a number, all in ASCII digits."""
    if not re.match(NIGHT_PATTERN, name) or name.endswith("\n"):
        return False
    try:
        date.fromisoformat(name[:10])
    except ValueError:
        return False
    return True


def in_order(night: str) -> tuple[str, int]:
    """What nights are ordered by: as text, 2026-11-24.10 stood before 2026-11-24.2."""
    return night[:10], int(night[11:] or 0)


def _night(name: str) -> str:
    if not is_night(name):
        raise ValueError("expected a day of the calendar, or a day and a number: 2026-11-24 or 2026-11-24.2")
    return name


Night = Annotated[str, StringConstraints(pattern=NIGHT_PATTERN), AfterValidator(_night)]
"""A partition: an ISO date, or a date and a number for further sets of inputs on that date (2026-11-24.2)."""

Fraction = Annotated[float, Field(ge=0, le=1)]


def sha256(data: bytes) -> str:
    """The digest by which the store names what is immutable."""
    return hashlib.sha256(data).hexdigest()


class Contract(BaseModel):
    """Frozen, and closed: an unknown field is an error, since it is a typo or a newer writer."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def checked(cls, **fields: Any) -> Self:
        """The contract of what a person gave.

        Raises:
            BadInput: names the field, the value and what is wrong.
        """
        try:
            return cls(**fields)
        except ValidationError as error:
            raise BadInput(explained(error)) from error

    def to_json(self, format: int | None = None) -> bytes:
        """UTF-8 JSON with sorted keys, in the lowest format that can hold it: the same content is the same bytes.

        Args:
            format: the newest that the reader knows; None: as new as this version's.

        Raises:
            BadInput: names a field that the reader's format cannot hold.
        """
        content, number = content_of(self), 1
        for part in later_parts(self):
            if format is not None and part.number > format:
                raise BadInput(
                    f"{part.path} is {part.value!r}, which came with format {part.number} of a "
                    f"{type(self).__name__}; its reader knows formats up to {format}"
                )
            number = max(number, part.number)
        if number > 1:
            content["format"] = number
        return json.dumps(content, sort_keys=True, indent=1, allow_nan=False).encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """What ``to_json`` wrote, in this format or an older one.

        Raises:
            ValueError: one line that says what is wrong.
        """
        large: list[int] = []

        def whole(digits: str) -> int:
            number = int(digits)
            if not -1 << 63 <= number < 1 << 64:
                large.append(number)
            return number

        try:
            content = json.loads(data, parse_constant=_refuse, parse_int=whole)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        if not isinstance(content, dict):
            raise ValueError(f"it is a {type(content).__name__}, not an object")
        if large:
            raise ValueError(f"{_place_of(content, large[0])} is {large[0]}"[:200] + "…: expected a number of 64 bits")
        number, newest = content.pop("format", 1), newest_format(cls)
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise ValueError(f"format is {number!r}: expected a whole number from 1")
        if number > newest:
            raise ValueError(
                f"it has format {number}, and this sparsebench reads formats up to {newest} of a {cls.__name__}: "
                "upgrade sparsebench"
            )
        try:
            contract = cls.model_validate_json(json.dumps(content), strict=True)
        except ValidationError as error:
            raise ValueError(explained(error)) from error
        for part in later_parts(contract):
            if part.number > number:
                raise ValueError(f"{part.path} is {part.value!r}: format {number} of a {cls.__name__} does not have it")
        return contract


class Stored(Contract):
    """A contract that is an object of the store by itself. Each has golden files, by its formats: see tests/golden."""


def explained(error: ValidationError) -> str:
    """The first thing that is wrong, in one line: the field, its value and what is expected."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if not where:
        return str(first["msg"])
    value = repr(first["input"])
    return f"{where} is {value if len(value) < 200 else value[:200] + '…'}: {first['msg']}"


def _place_of(content: Any, number: int) -> str | None:
    """Where in an object this number is, as field.0.field."""
    if isinstance(content, dict | list):
        for key, value in content.items() if isinstance(content, dict) else enumerate(content):
            if value is number:
                return str(key)
            if below := _place_of(value, number):
                return f"{key}.{below}"
    return None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"it has a number that is not finite: {constant}")
