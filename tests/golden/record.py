"""What each format of each stored kind may hold, as a JSON schema; as a program, it records those of new formats."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sparsebench.contracts  # every stored kind is defined in it
from sparsebench.contracts import Stored
from sparsebench.contracts.formats import format_numbers
from tests.golden import FOLDER

KINDS: list[type[Stored]] = [
    kind for kind in Stored.__subclasses__() if kind.__module__.startswith(sparsebench.contracts.__name__)
]


def object_file(kind: type[Stored], number: int) -> Path:
    return FOLDER / kind.__name__ / f"{number}.json"


def schema_file(kind: type[Stored], number: int) -> Path:
    return FOLDER / kind.__name__ / f"{number}.schema.json"


def schema(kind: type[Stored], number: int) -> dict[str, Any]:
    """What an object of this format may hold: the fields that came later are not in it, nor are any words."""
    whole = _of_format(kind.model_json_schema(), number)
    definitions = whole.pop("$defs", {})
    used: dict[str, Any] = {}
    pending = list(_references(whole))
    while pending:
        name = pending.pop()
        if name not in used:
            used[name] = definitions[name]
            pending += _references(definitions[name])
    return whole | {"$defs": dict(sorted(used.items()))}


def _of_format(part: Any, number: int, later: frozenset[str] = frozenset()) -> Any:
    """later: values that the choices in this part do not have yet."""
    if isinstance(part, list):
        return [_of_format(item, number, later) for item in part]
    if not isinstance(part, dict):
        return part
    later |= {value for value, since in part.get("values_since", {}).items() if since > number}
    kept = {}
    for key, value in part.items():
        if key in ("title", "description") and isinstance(value, str):
            continue
        if key == "values_since":
            continue
        if key == "properties":
            value = {name: field for name, field in value.items() if field.get("since", 1) <= number}
        if key == "enum":
            value = [choice for choice in value if choice not in later]
        kept[key] = _of_format(value, number, later)
    return kept


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(reference := part.get("$ref"), str):
            yield reference.rpartition("/")[2]
        part = list(part.values())
    if isinstance(part, list):
        for item in part:
            yield from _references(item)


def text(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def main() -> None:
    for kind in KINDS:
        for number in sorted(format_numbers(kind)):
            file = schema_file(kind, number)
            if not file.exists():
                file.parent.mkdir(exist_ok=True)
                file.write_text(text(schema(kind, number)))
                print(f"recorded {file.relative_to(FOLDER.parent.parent)}")
            if not object_file(kind, number).exists():
                print(
                    f"missing {object_file(kind, number).relative_to(FOLDER.parent.parent)}: a real object that uses it"
                )


if __name__ == "__main__":
    main()
