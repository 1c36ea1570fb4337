"""What is otherwise than on the night before. One night alone is no change: changes.py says what stays so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, hypot
from typing import NamedTuple

import pandas as pd

from sparsebench.analysis.difference import Change, inputs
from sparsebench.analysis.order import ordered
from sparsebench.analysis.pooling import Night
from sparsebench.contracts import NightRatio, NightRatios
from sparsebench.errors import StoreError
from sparsebench.statistics.intervals import LEVEL, Estimate
from sparsebench.store import Store

FAR_BACK = 31
"""Nights, at most, among which the one before is looked for."""


class Watched(NamedTuple):
    """What a ratio of a night is of: A's throughput over B's, by their variants and engines."""

    instance_type: str
    network: str
    precision: str
    variant_a: str
    engine_a: str
    variant_b: str
    engine_b: str


class Measured(NamedTuple):
    """What is in some ratio of a night."""

    instance_type: str
    network: str
    variant: str
    engine: str
    precision: str


SINCE: dict[str, str] = {
    **dict.fromkeys(Watched._fields, "str"),
    **dict.fromkeys(["before", "now", "times", "low", "high", "p"], "float64"),
    "moved": "bool",
}
"""Columns of ``Since.ratios``: one row a ratio that both nights have. before, now: the ratio on each. times: now over
before, with its 95 % interval. p: of no difference, by Student's test of the two nights. moved: whether p is below 5 %
when all rows have to hold together (Bonferroni)."""


@dataclass(frozen=True)
class Since:
    """before: the night before. inputs: what differs on the instance types that both nights measured. new, gone: what
    only one of the nights has. ratios: of both (columns: SINCE)."""

    before: str
    inputs: tuple[Change, ...]
    new: tuple[Measured, ...]
    gone: tuple[Measured, ...]
    ratios: pd.DataFrame

    @property
    def moved(self) -> pd.DataFrame:
        return self.ratios[self.ratios["moved"]]


def since(store: Store, night: Night, ratios: NightRatios) -> Since | None:
    """A night against the last one before it that has a ratio in common with it; None where there is none.

    ratios: the night's.
    """
    names = store.nights()
    earlier = names[: names.index(night.name)] if night.name in names else []
    for name in reversed(earlier[-FAR_BACK:]):
        try:
            older = store.night_ratios(name)
            if (
                older
                and older.scenario == ratios.scenario
                and {*map(_watched, older.ratios)} & {*map(_watched, ratios.ratios)}
            ):
                return compare(Night(store.manifest(name), (), store.hosts(name)), older, night, ratios)
        except StoreError:  # a night that cannot be read is named where the history is
            continue
    return None


def compare(before: Night, older: NightRatios, night: Night, ratios: NightRatios) -> Since:
    """What is otherwise between two nights with a ratio in common."""
    old = {_watched(ratio): ratio for ratio in older.ratios}
    new = {_watched(ratio): ratio for ratio in ratios.ratios}
    both = [watched for watched in new if watched in old]
    freedom = max(1, min(compared.manifest.protocol.min_processes for compared in (before, night)) - 1)
    level = (1 - LEVEL) / len(both)
    rows = [{**watched._asdict(), **_row(old[watched], new[watched], freedom, level)} for watched in both]
    measured_before, measured_now = _measured(older.ratios), _measured(ratios.ratios)
    types = {watched.instance_type for watched in both}
    networks = {ratio.network for ratio in (*older.ratios, *ratios.ratios)}
    return Since(
        before=before.name,
        inputs=tuple(inputs(*(_of_both(compared, types, networks) for compared in (before, night)))),
        new=tuple(cell for cell in measured_now if cell not in measured_before),
        gone=tuple(cell for cell in measured_before if cell not in measured_now),
        ratios=ordered(pd.DataFrame(rows, columns=list(SINCE)).astype(SINCE)),
    )


def _watched(ratio: NightRatio) -> Watched:
    return Watched(*(str(getattr(ratio, name)) for name in Watched._fields))


def _row(before: NightRatio, now: NightRatio, freedom: float, level: float) -> dict[str, object]:
    """freedom: of either night's error, at least; the least that the difference can have."""
    change = Estimate(now.log_ratio - before.log_ratio, hypot(before.error, now.error), freedom)
    low, high = change.interval()
    p = change.p_value()
    return {
        "before": exp(before.log_ratio),
        "now": exp(now.log_ratio),
        "times": exp(change.mean),
        "low": exp(low),
        "high": exp(high),
        "p": p,
        "moved": p <= level,
    }


def _measured(ratios: Sequence[NightRatio]) -> dict[Measured, None]:
    """The cells that are in some ratio, in the order in which they come."""
    sides = (
        Measured(ratio.instance_type, ratio.network, variant, engine, ratio.precision)
        for ratio in ratios
        for variant, engine in ((ratio.variant_a, ratio.engine_a), (ratio.variant_b, ratio.engine_b))
    )
    return dict.fromkeys(sides)


def _of_both(night: Night, types: set[str], networks: set[str]) -> Night:
    """The night with just the instance types and networks that are compared."""
    models = tuple(card for card in night.manifest.models if card.network in networks)
    hosts = [host for host in night.hosts if host.instance_type in types]
    return Night(night.manifest.model_copy(update={"models": models}), (), hosts)
