"""The numbers of formats: what lets code of any age read what it can, and refuse the rest by name.

Format 1 is what there was before formats had numbers, and an object of it carries none. A field that is added has a
default, which means what its absence meant before, and is marked with the number of the format it came with, the one
after the newest of all objects that hold it: ``Field(default=…, json_schema_extra=since(2))``. A choice that gets
another value is marked too: ``json_schema_extra=values_since({"int4": 3})``. Nothing else of a format ever changes.

An object is written in the lowest format that can hold it: fields that came later and have their default are left out.
So code that does not know a field reads every object that does not use it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo


def since(number: int) -> JsonDict:
    """The mark of a field that came with a format."""
    return {"since": number}


def values_since(numbers: Mapping[str, int]) -> JsonDict:
    """The mark of a field some of whose values came with a format."""
    return {"values_since": dict(numbers)}


class LaterPart(NamedTuple):
    """A part of an object that format 1 cannot hold."""

    path: str
    value: Any
    number: int


def later_parts(contract: BaseModel, path: tuple[object, ...] = ()) -> Iterator[LaterPart]:
    """All parts of an object, nested ones too, that came with a later format and are in use."""
    for field in _marked(type(contract)):
        value, here = getattr(contract, field.name), (*path, field.name)
        where = ".".join(map(str, here))
        if field.since > 1 and value != field.default:
            yield LaterPart(where, value, field.since)
        for choice in value if isinstance(value, tuple) else (value,):
            if isinstance(choice, str) and choice in field.values_since:
                yield LaterPart(where, choice, field.values_since[choice])
        for below, nested in _nested(value):
            yield from later_parts(nested, (*here, *below))


def content_of(contract: BaseModel) -> dict[str, Any]:
    """An object as JSON has it, without the fields of later formats that have their default."""
    content = contract.model_dump(mode="json")
    _leave_out(contract, content)
    return content


@cache
def format_numbers(contract: type[BaseModel]) -> frozenset[int]:
    """The formats that a kind of object has had: 1, and those of its fields and of all that is nested in it."""
    numbers = {1}
    for field in contract.model_fields.values():
        numbers |= {_mark(field, "since", 1), *_mark(field, "values_since", {}).values()}
        for nested in _contracts(field.annotation):
            numbers |= format_numbers(nested)
    return frozenset(numbers)


def newest_format(contract: type[BaseModel]) -> int:
    """The newest format of a kind of object that this version knows."""
    return max(format_numbers(contract))


class _Marked(NamedTuple):
    """A field that not every format can hold as it is."""

    name: str
    since: int
    default: Any
    values_since: dict[str, int]


@cache
def _marked(contract: type[BaseModel]) -> tuple[_Marked, ...]:
    """The fields of a contract that are marked themselves, or hold contracts with such fields."""
    return tuple(
        _Marked(
            name,
            since=_mark(field, "since", 1),
            default=field.get_default(call_default_factory=True),
            values_since=_mark(field, "values_since", {}),
        )
        for name, field in contract.model_fields.items()
        if _mark(field, "since", 1) > 1
        or _mark(field, "values_since", {})
        or any(newest_format(nested) > 1 for nested in _contracts(field.annotation))
    )


def _mark(field: FieldInfo, name: str, default: Any) -> Any:
    marks = field.json_schema_extra
    return marks.get(name, default) if isinstance(marks, dict) else default


def _leave_out(contract: BaseModel, content: dict[str, Any]) -> None:
    for field in _marked(type(contract)):
        value = getattr(contract, field.name)
        if field.since > 1 and value == field.default:
            del content[field.name]
            continue
        for below, nested in _nested(value):
            place = content[field.name]
            for key in below:
                place = place[key]
            _leave_out(nested, place)


def _nested(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], BaseModel]]:
    """The contracts in a field's value, with their places in it."""
    if isinstance(value, BaseModel):
        yield path, value
    elif isinstance(value, tuple | list | dict):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _nested(item, (*path, key))


def _contracts(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _contracts(argument)
