"""The pipelines' parameters as the UI's widgets; a value that is not in the catalog is refused by the API."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow.sdk import Param

from sparsebench.settings import Settings


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


def instance_type(default: str, known: Iterable[str]) -> Any:
    return Param(default, type="string", enum=list(known), title="Instance type", description="Where the work is done.")


def budget(settings: Settings) -> Any:
    return Param(
        settings.budget_usd,
        type=["null", "number"],
        minimum=0,
        title="Budget (USD)",
        description="What the run's instances may cost. It does not start if it is expected to cost more. "
        "Empty: without limit.",
    )
