"""The pipelines' parameters as the UI's widgets; a value that is not in the catalog is refused by the API."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow.sdk import Param

from sparsebench import catalog


def choice(default: Iterable[str] | None, known: Iterable[str], title: str, description: str) -> Any:
    """A multi-select over what is known. With None as default it may be left, or made, empty.

    The UI sends null for a selection that was emptied, not an empty list.
    """
    known = list(known)
    return Param(
        None if default is None else list(default),
        type=["null", "array"] if default is None else "array",
        items={"type": "string", "enum": known},
        examples=known,
        uniqueItems=True,
        minItems=0 if default is None else 1,
        title=title,
        description=description,
    )


def instance_type(default: str) -> Any:
    known = list(catalog.instance_types())
    return Param(default, type="string", enum=known, title="Instance type", description="Where the work is done.")
