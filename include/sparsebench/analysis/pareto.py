"""Pareto fronts, network by network: which choices are not beaten in both of two things that one wants at once.

A choice is dominated when another is shown to be better in one of the two, and is shown to be better, or is the same by
construction, in the other: two engines of one file have its size and its accuracy. Cost and latency are shown by their
differences at the level of a choice's ranking (choice.py); accuracies, by intervals that do not overlap. What cannot be
told apart dominates nothing, so that a front may hold more choices than the true one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from math import isnan, nan
from typing import Literal, NamedTuple

import pandas as pd

from sparsebench.analysis.candidates import Candidate, candidates, difference, value
from sparsebench.analysis.order import ordered
from sparsebench.analysis.prices import Types
from sparsebench.analysis.results import MACHINE, Results, Row
from sparsebench.contracts import ModelCard
from sparsebench.statistics.intervals import LEVEL

Quantity = Literal["cost", "latency", "size", "accuracy"]

PERCENTILE = 50
"""Of the latency: the one that the fewest inferences carry."""


class Front(NamedTuple):
    """x and y: less is better, but of an accuracy."""

    x: Quantity
    y: Quantity

    @property
    def name(self) -> str:
        return f"{self.x}_{self.y}"


FRONTS = (Front("cost", "accuracy"), Front("latency", "cost"), Front("size", "accuracy"), Front("size", "latency"))

_NUMBERS = ["x", "x_low", "x_high", "y", "y_low", "y_high"]

PARETO: dict[str, str] = {
    "front": "str",
    "network": "str",
    **dict.fromkeys([*MACHINE, "variant", "engine", "precision"], "str"),
    "emulated": "bool",
    **dict.fromkeys(_NUMBERS, "float64"),
    "dominated_by": "str",
}
"""Columns of ``pareto``: one row a front, network and candidate that has both. front: of FRONTS, by name. cost: USD per
million; latency: ms at PERCENTILE; size: bytes after gzip -9; accuracy: top-1, a fraction. dominated_by: instance type,
engine and variant of what is better; empty on the front."""


def pareto(lane: Results, cards: Sequence[ModelCard], types: Types) -> pd.DataFrame:
    """Columns: PARETO. Of a front only networks with two choices or more that differ in both quantities."""
    rows: list[Row] = []
    listed = candidates(lane, cards, types, "on_demand", None)
    by_network = groupby(
        sorted(listed, key=lambda candidate: candidate.network), key=lambda candidate: candidate.network
    )
    for network, of_network in by_network:
        every = list(of_network)
        for front in FRONTS:
            known = [
                candidate for candidate in every if not any(isnan(_value(candidate, quantity)[0]) for quantity in front)
            ]
            if _says_something(known, front):
                rows += [_row(front, network, candidate, known) for candidate in known]
    frame = pd.DataFrame(rows, columns=list(PARETO)).astype(PARETO)
    place = {front.name: index for index, front in enumerate(FRONTS)}
    return ordered(frame).sort_values("front", key=lambda names: names.map(place), kind="stable", ignore_index=True)


def _says_something(known: Sequence[Candidate], front: Front) -> bool:
    """On machines of one price cost is speed turned round, so that it says nothing beside latency."""
    if set(front) == {"cost", "latency"} and len({candidate.offer.usd_per_hour for candidate in known}) < 2:
        return False
    return all(len({_value(candidate, quantity)[0] for candidate in known}) > 1 for quantity in front)


def _row(front: Front, network: str, candidate: Candidate, known: Sequence[Candidate]) -> Row:
    by = next(
        (other for other in known if other is not candidate and _dominates(other, candidate, front, len(known))), None
    )
    return {
        "front": front.name,
        "network": network,
        **candidate.machine._asdict(),
        **candidate.treatment._asdict(),
        **dict(zip(_NUMBERS, (*_value(candidate, front.x), *_value(candidate, front.y)), strict=True)),
        "dominated_by": f"{by.machine.instance_type} {by.treatment.engine} {by.treatment.variant}" if by else "",
    }


def _dominates(a: Candidate, b: Candidate, front: Front, known: int) -> bool:
    level = 1 - (1 - LEVEL) / (known - 1)
    if not all(_may_be_as_good(a, b, quantity) for quantity in front):
        return False
    held = [_held(a, b, quantity, level) for quantity in front]
    return "better" in held and all(held)


def _may_be_as_good(a: Candidate, b: Candidate, quantity: Quantity) -> bool:
    """Whether it is as good by its mean; what is not so need not be held against it."""
    of_a, of_b = _value(a, quantity)[0], _value(b, quantity)[0]
    return of_a >= of_b if quantity == "accuracy" else of_a <= of_b


def _held(a: Candidate, b: Candidate, quantity: Quantity, level: float) -> Literal["better", "same", ""]:
    """Whether a is shown to be better, or is the same."""
    if quantity == "cost" or quantity == "latency":
        return "better" if difference(a, b, quantity, PERCENTILE).interval(level)[0] > 0 else ""
    of_a, of_b = _value(a, quantity), _value(b, quantity)
    if quantity == "size":
        return "better" if of_a < of_b else "same" if of_a == of_b else ""
    if a.treatment.variant == b.treatment.variant:
        return "same"
    return "better" if of_a[1] > of_b[2] else ""


def _value(candidate: Candidate, quantity: Quantity) -> tuple[float, float, float]:
    """The value with its 95 % interval; NaN where it is not known."""
    if quantity == "size":
        size = nan if candidate.size_bytes is None else float(candidate.size_bytes)
        return size, size, size
    if quantity == "accuracy":
        return (candidate.accuracy.top1, *candidate.accuracy_interval) if candidate.accuracy else (nan, nan, nan)
    return value(candidate, quantity, PERCENTILE)
