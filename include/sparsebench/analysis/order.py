"""The order in which everything is shown: the catalog's, then what the catalog does not know, by name."""

from __future__ import annotations

from collections.abc import Collection
from typing import get_args

import pandas as pd

from sparsebench import catalog
from sparsebench.contracts import Precision, Variant
from sparsebench.statistics.pairs import Treatment

UNSTATED = "unstated"
"""The lane of a CSV that has no precision column: it does not say how the engines were configured."""

VARIANTS: tuple[str, ...] = get_args(Variant)
LANES: tuple[str, ...] = (*get_args(Precision), UNSTATED)


def instance_types() -> tuple[str, ...]:
    """Instance types of a fixed size first; one that stands for this machine (localhost) comes after them."""
    entries = catalog.instance_types().values()
    return tuple(entry.name for entry in entries if entry.vcpus is not None)


def ordered(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows in the order in which they are shown, by whichever of these columns the table has."""
    known = {
        "instance_type": instance_types(),
        "cpu_model": (),
        "emulated": (),
        "network": tuple(catalog.networks()),
        "variant": VARIANTS,
        "engine": catalog.engines(),
        "precision": LANES,
        "repeat": (),
        "reason": (),
    }
    keys = [column for column in known if column in frame.columns]

    def rank(column: pd.Series) -> pd.Series:
        first = known[str(column.name)]
        rest = sorted(set(column.dropna().unique()) - set(first))
        place = {value: index for index, value in enumerate((*first, *rest))}
        return column.map(place)

    if frame.empty or not keys:
        return frame.reset_index(drop=True)
    return frame.sort_values(keys, key=rank, kind="stable").reset_index(drop=True)


def treatments(unordered: Collection[Treatment]) -> list[Treatment]:
    """The order in which they are compared: the last shown against those before it, native against f32."""
    names = [*catalog.engines(), *sorted({treatment.engine for treatment in unordered})]

    def shown(treatment: Treatment) -> tuple[int, int, int]:
        return VARIANTS.index(treatment.variant), names.index(treatment.engine), LANES.index(treatment.precision)

    return sorted(unordered, key=shown, reverse=True)
