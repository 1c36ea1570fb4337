"""Sizes, sparsity and accuracy of the networks, from the model cards of a night's manifest."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from sparsebench import catalog
from sparsebench.analysis.order import ordered
from sparsebench.analysis.worth import FAKES
from sparsebench.contracts import Accuracy, ModelCard, Score
from sparsebench.statistics.pairs import BASE

MB = 1e6
"""Sizes are shown in MB of 10^6 bytes, as the study has them."""


def sizes(cards: Sequence[ModelCard]) -> pd.DataFrame:
    """Columns: network, variant, base_mb, pruned_mb (after gzip -9), ratio (base over pruned).

    One row a network and pruned or quantised variant, of networks that have a base; none of those pruned without
    regard to accuracy.
    """
    base = {card.network: card.gzip_bytes for card in cards if card.variant == "base"}
    rows = [
        {
            "network": card.network,
            "variant": card.variant,
            "base_mb": base[card.network] / MB,
            "pruned_mb": card.gzip_bytes / MB,
            "ratio": base[card.network] / card.gzip_bytes,
        }
        for card in cards
        if card.variant not in (BASE, *FAKES) and card.network in base
    ]
    return ordered(pd.DataFrame(rows, columns=["network", "variant", "base_mb", "pruned_mb", "ratio"]))


def mean_ratio(table: pd.DataFrame) -> float | None:
    """Arithmetic mean of the ratios that come of pruning alone: an INT8 network is smaller for another reason. Networks
    of digits, which have other classifiers, do not count.

    None where there is no such network.
    """
    counted = (table["variant"] == "pruned") & table["network"].isin(list(catalog.networks()))
    pruned = table.loc[counted, "ratio"]
    return float(pruned.mean()) if len(pruned) else None


def sparsities(cards: Sequence[ModelCard]) -> pd.DataFrame:
    """One row a network and variant: network, variant, parameters, sparsity (achieved), top1 with its 95 % interval
    (low, high) and top5 (fractions), change (top1 minus base's, of the same images), same_top1 (of INT8: images whose
    class is its fp32 parent's), dataset, images; weights (kind), origin, digest. NaN where nothing was measured."""
    base = {card.network: card.accuracy for card in cards if card.variant == "base"}
    rows = [
        {
            "network": card.network,
            "variant": card.variant,
            "parameters": card.parameters,
            "sparsity": card.sparsity,
            **_accuracy(card.accuracy),
            "change": None if card.variant == "base" else _change(card.accuracy, base.get(card.network)),
            "same_top1": card.same_top1,
            "weights": card.weights.kind,
            "origin": card.weights.origin,
            "digest": card.weights.digest,
        }
        for card in cards
    ]
    columns = ["network", "variant", "parameters", "sparsity", *_accuracy(None), "change", "same_top1"]
    typed = dict.fromkeys(("top1", "low", "high", "top5", "change", "same_top1"), "float64") | {"images": "Int64"}
    return ordered(pd.DataFrame(rows, columns=[*columns, "weights", "origin", "digest"]).astype(typed))


def _accuracy(accuracy: Accuracy | None) -> dict[str, float | int | str | None]:
    if accuracy is None:
        return dict.fromkeys(("top1", "low", "high", "top5", "dataset", "images"))
    low, high = Score(images=accuracy.images, top1=round(accuracy.top1 * accuracy.images), top5=None).interval
    measured = {"top1": accuracy.top1, "low": low, "high": high, "top5": accuracy.top5}
    return {**measured, "dataset": accuracy.dataset, "images": accuracy.images}


def _change(accuracy: Accuracy | None, base: Accuracy | None) -> float | None:
    if accuracy is None or base is None or (accuracy.dataset, accuracy.images) != (base.dataset, base.images):
        return None
    return accuracy.top1 - base.top1


def encodings(cards: Sequence[ModelCard], engines: Sequence[str]) -> pd.DataFrame:
    """One row an INT8 network and engine: network, variant, engine, encoding (QDQ, or the engine's own), artifact."""
    rows = [
        {
            "network": card.network,
            "variant": card.variant,
            "engine": engine,
            "encoding": "own" if engine in card.encodings else "QDQ",
            "artifact": card.encodings.get(engine, card.artifact),
        }
        for card in cards
        if card.parent or card.encodings
        for engine in engines
    ]
    return ordered(pd.DataFrame(rows, columns=["network", "variant", "engine", "encoding", "artifact"]))
