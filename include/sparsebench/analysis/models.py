"""Sizes, sparsity and accuracy of the networks, from the model cards of a night's manifest."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from sparsebench.analysis.order import ordered
from sparsebench.contracts import ModelCard

MB = 1e6
"""Sizes are shown in MB of 10^6 bytes, as the study has them."""


def sizes(cards: Sequence[ModelCard]) -> pd.DataFrame:
    """Columns: network, variant, base_mb, pruned_mb (after gzip -9), ratio (base over pruned).

    One row a network and pruned variant, of networks that have a base.
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
        if card.variant in ("pruned", "pruned_int8") and card.network in base
    ]
    return ordered(pd.DataFrame(rows, columns=["network", "variant", "base_mb", "pruned_mb", "ratio"]))


def mean_ratio(table: pd.DataFrame) -> float | None:
    """Arithmetic mean of the ratios that come of pruning alone (an INT8 network is smaller for another reason).

    None where there is no such network.
    """
    pruned = table.loc[table["variant"] == "pruned", "ratio"]
    return float(pruned.mean()) if len(pruned) else None


def sparsities(cards: Sequence[ModelCard]) -> pd.DataFrame:
    """One row a network and variant: network, variant, weights (pretrained or random), origin, parameters,
    sparsity (achieved), top1 and top5 (fractions; NaN where not measured), dataset, images."""
    rows = [
        {
            "network": card.network,
            "variant": card.variant,
            "weights": card.weights.kind,
            "origin": card.weights.origin,
            "parameters": card.parameters,
            "sparsity": card.sparsity,
            "top1": card.accuracy.top1 if card.accuracy else None,
            "top5": card.accuracy.top5 if card.accuracy else None,
            "dataset": card.accuracy.dataset if card.accuracy else None,
            "images": card.accuracy.images if card.accuracy else None,
        }
        for card in cards
    ]
    columns = ["network", "variant", "weights", "origin", "parameters", "sparsity", "top1", "top5", "dataset", "images"]
    typed = pd.DataFrame(rows, columns=columns).astype({"top1": "float64", "top5": "float64", "images": "Int64"})
    return ordered(typed)
