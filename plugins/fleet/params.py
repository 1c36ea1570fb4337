"""The pipelines' parameters as the UI's widgets; a value that is not in the catalog is refused by the API."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow.sdk import Param

from sparsebench import catalog


def choice(default: Iterable[str], known: Iterable[str], title: str, description: str, at_least: int = 0) -> Any:
    """A multi-select over what is known."""
    known = list(known)
    return Param(
        list(default),
        type="array",
        items={"type": "string", "enum": known},
        examples=known,
        uniqueItems=True,
        minItems=at_least,
        title=title,
        description=description,
    )


def instance_type(default: str) -> Any:
    known = list(catalog.instance_types())
    return Param(default, type="string", enum=known, title="Instance type", description="Where the work is done.")
