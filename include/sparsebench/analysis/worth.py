"""What a variant changes all in all, network by network: cost, latency, size and accuracy beside those of its base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import hypot, nan
from typing import Any

import pandas as pd

from sparsebench.analysis.results import MACHINE, Row, is_tool, table
from sparsebench.contracts import Accuracy, ModelCard, Score
from sparsebench.statistics.pairs import BASE

FAKES = ("fake85", "fake99")
"""Variants that are pruned without regard to accuracy."""

PERCENTILES = (50, 95)
"""Of the latency: what is usual, and what most people bound."""

_BOTH = ["engine", "img_s", "usd_per_million", *(f"p{percentile}_ms" for percentile in PERCENTILES), "bytes", "top1"]
_TEXTS = {"engine": "str", "bytes": "Int64"}

WORTH: dict[str, str] = {
    **dict.fromkeys([*MACHINE, "network", "variant", "precision"], "str"),
    "emulated": "bool",
    **{name: _TEXTS.get(column, "float64") for column in _BOTH for name in (f"{column}_base", column)},
    **dict.fromkeys(["change", "change_low", "change_high"], "float64"),
    "dataset": "str",
    "images": "Int64",
    "accuracy_because": "str",
}
"""Columns of ``worth``: one row a machine, lane, network and variant with a base. engine_base, engine: those in which
base and variant have the most images a second there, by the means; img_s, usd_per_million, p50_ms and p95_ms are theirs
(NaN where there is none; their intervals are in usd.csv and latency.csv). bytes: after gzip -9. top1: a fraction.
change: top1 - top1_base of the same images, with its 95 % interval (Newcombe 1998, of independent samples: that the
images are the same makes it wider than it need be). accuracy_because: why there is no change (a key of UNKNOWN)."""

UNKNOWN: dict[str, str] = {
    "no_card": "the table of throughputs has no accuracies",
    "no_base": "the night has no base of it",
    "fake": "it is pruned without regard to accuracy, for speed alone",
    "random": "random weights have no accuracy",
    "not_evaluated": "its files were not evaluated",
    "other_images": "base and variant were evaluated on other images",
}
"""Why it is not known what accuracy a variant takes."""


def worth(
    speedups: pd.DataFrame,
    costs: pd.DataFrame,
    latencies: pd.DataFrame,
    cells: pd.DataFrame,
    cards: Sequence[ModelCard],
) -> pd.DataFrame:
    """Columns: WORTH. speedups: as of speedups.every. costs, latencies, cells: of all lanes, as of Findings."""
    of_models = models(cards)
    best = _best(cells, costs, latencies)
    rows: list[Row] = []
    keys = [*MACHINE, "network", "variant", "precision"]
    for key in speedups[keys].drop_duplicates().itertuples(index=False, name=None):
        *machine, network, variant, precision = key
        base, own = (best.get((*machine, network, name, precision), {}) for name in (BASE, variant))
        rows.append(
            {
                **dict(zip(keys, key, strict=True)),
                **{f"{name}_base": value for name, value in base.items()},
                **own,
                **of_models.get((network, variant), {"accuracy_because": "no_card"}),
            }
        )
    return table(rows, WORTH)


def models(cards: Sequence[ModelCard]) -> Mapping[tuple[str, str], Row]:
    """Size and accuracy of each network and variant but base, and its base's."""
    base = {card.network: card for card in cards if card.variant == BASE}
    return {
        (card.network, card.variant): _of_card(card, base.get(card.network)) for card in cards if card.variant != BASE
    }


def _of_card(card: ModelCard, base: ModelCard | None) -> Row:
    because = _unknown(card, base)
    row: Row = {
        "bytes_base": base.gzip_bytes if base else None,
        "bytes": card.gzip_bytes,
        "top1_base": base.accuracy.top1 if base and base.accuracy else nan,
        "top1": card.accuracy.top1 if card.accuracy else nan,
        "accuracy_because": because,
    }
    if not because and card.accuracy and base and base.accuracy:
        low, high = difference(card.accuracy, base.accuracy)
        row |= {
            "change": card.accuracy.top1 - base.accuracy.top1,
            "change_low": low,
            "change_high": high,
            "dataset": card.accuracy.dataset,
            "images": card.accuracy.images,
        }
    return row


def _unknown(card: ModelCard, base: ModelCard | None) -> str:
    if base is None:
        return "no_base"
    if card.accuracy is None or base.accuracy is None:
        if card.variant in FAKES and card.accuracy is None:
            return "fake"
        return "random" if "random" in (card.weights.kind, base.weights.kind) else "not_evaluated"
    same = (card.accuracy.dataset, card.accuracy.images) == (base.accuracy.dataset, base.accuracy.images)
    return "" if same else "other_images"


def interval(accuracy: Accuracy) -> tuple[float, float]:
    """The interval of a top-1, at 95 %: Wilson's."""
    return Score(images=accuracy.images, top1=round(accuracy.top1 * accuracy.images), top5=None).interval


def difference(accuracy: Accuracy, base: Accuracy) -> tuple[float, float]:
    """The 95 % interval of top-1 - top-1 of base: Newcombe's hybrid of Wilson's intervals (1998, method 10)."""
    change = accuracy.top1 - base.top1
    (low, high), (base_low, base_high) = interval(accuracy), interval(base)
    below, above = hypot(accuracy.top1 - low, base_high - base.top1), hypot(high - accuracy.top1, base.top1 - base_low)
    return change - below, change + above


def _best(cells: pd.DataFrame, costs: pd.DataFrame, latencies: pd.DataFrame) -> dict[tuple[Any, ...], Row]:
    """The engine with the most images a second of each file on a machine and lane, and its numbers."""
    file = [*MACHINE, "network", "variant", "precision"]
    usd = _by_cell(costs, file, "usd_per_million")
    milliseconds = {
        percentile: _by_cell(latencies[latencies["percentile"] == percentile], file, "value")
        for percentile in PERCENTILES
    }
    best: dict[tuple[Any, ...], Row] = {}
    served = cells[~cells["engine"].map(is_tool).astype(bool)]
    for row in served.sort_values("mean_img_s", ascending=False, kind="stable").to_dict("records"):
        key = tuple(row[name] for name in file)
        cell = (*key, row["engine"])
        numbers = {f"p{percentile}_ms": values.get(cell, nan) for percentile, values in milliseconds.items()}
        own = {"engine": row["engine"], "img_s": row["mean_img_s"], "usd_per_million": usd.get(cell, nan), **numbers}
        best.setdefault(key, own)
    return best


def _by_cell(frame: pd.DataFrame, file: list[str], value: str) -> dict[tuple[Any, ...], float]:
    return dict(zip(frame[[*file, "engine"]].itertuples(index=False, name=None), frame[value], strict=True))
