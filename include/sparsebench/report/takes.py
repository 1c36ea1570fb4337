"""What accuracy and size a variant takes, in sentences: the same on every machine, so that it is said once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from sparsebench.analysis.models import MB
from sparsebench.analysis.worth import FAKES, UNKNOWN
from sparsebench.report import labels
from sparsebench.report.tables.worth import CSV


def takes(worth: pd.DataFrame) -> list[str]:
    """Accuracy, then size, of each variant instead of its base; sizes of fakes are in the table alone. worth: as of
    analysis.worth.worth."""
    files = worth.drop_duplicates(["network", "variant"])
    if files.empty:
        return []
    of_variants = {str(variant): rows.to_dict("records") for variant, rows in files.groupby("variant", sort=False)}
    sizes = [_sizes(variant, rows) for variant, rows in of_variants.items() if variant not in FAKES]
    return [*_accuracies(of_variants), *filter(None, sizes)]


def _accuracies(of_variants: dict[str, list[Any]]) -> list[str]:
    """One sentence a variant; those of which nothing is known for the same reason share one."""
    sentences, unknown = [], dict[str, list[str]]()
    for variant, rows in of_variants.items():
        known = [row for row in rows if not row["accuracy_because"]]
        reasons = _by_reason(rows)
        if known:
            text = f"Accuracy (top-1), {_label(variant)} instead of base: {labels.some([*map(_accuracy, known)], CSV)}."
            others = "; ".join(f"of {_networks(names)}, because {UNKNOWN[name]}" for name, names in reasons.items())
            sentences.append(f"{text} Not known {others}." if others else text)
        else:
            both = [
                UNKNOWN[name] if len(reasons) == 1 else f"of {_networks(names)}: {UNKNOWN[name]}"
                for name, names in reasons.items()
            ]
            unknown.setdefault("; ".join(both), []).append(_label(variant))
    for because, variants in unknown.items():
        what = f"What accuracy {labels.listed(variants)} instead of base takes"
        sentences.append(f"{what} cannot be said, because {because}.")
    return sentences


def _by_reason(rows: Sequence[Any]) -> dict[str, list[str]]:
    """Networks of which it is not known, in the order of the reasons."""
    reasons: dict[str, list[str]] = {}
    for name in UNKNOWN:
        if networks := [row["network"] for row in rows if row["accuracy_because"] == name]:
            reasons[name] = networks
    return reasons


def _accuracy(row: Any) -> str:
    """ResNet-50 75.9 % instead of 76.1 % (−0.2 points, 95 % interval −0.7 to +0.3; 50,000 images of imagenet-1k)."""
    interval = f"{labels.points(row['change_low'])} to {labels.points(row['change_high'])}"
    change = f"{labels.points(row['change'])} points, 95 % interval {interval}"
    both = f"{labels.top1(row['top1'])} instead of {labels.top1(row['top1_base'])}"
    return f"{labels.network(row['network'])} {both} ({change}; {row['images']:,} images of {row['dataset']})"


def _sizes(variant: str, rows: Sequence[Any]) -> str:
    known = [row for row in rows if not pd.isna(row["bytes"]) and not pd.isna(row["bytes_base"])]
    if not known:
        return ""
    sizes = [
        f"{labels.network(row['network'])} {row['bytes'] / MB:.1f} instead of {row['bytes_base'] / MB:.1f} MB "
        f"({row['bytes_base'] / row['bytes']:.1f} times smaller)"
        for row in known
    ]
    return f"Size after gzip −9, {_label(variant)} instead of base: {labels.some(sizes, CSV)}."


def _label(variant: str) -> str:
    return labels.VARIANT_LABELS[variant]


def _networks(names: Sequence[str]) -> str:
    return labels.listed(labels.first_of(list(map(labels.network, names)), labels.MOST_NAMED))
