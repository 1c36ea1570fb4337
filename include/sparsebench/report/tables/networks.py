"""Sizes, sparsity and accuracy of the networks, with the study's beside them; their weights, encodings and layers."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan
from typing import Any

import numpy as np
import pandas as pd

from sparsebench.analysis import models
from sparsebench.report import labels
from sparsebench.report.tables.formatting import Cell, Table, fraction, network, number, rows_of, short, text, variant

DIGITS = 12
"""Of a digest, as it is shown."""


def sizes(frame: pd.DataFrame, study: pd.DataFrame) -> Table:
    """frame, study: as of analysis.models.sizes; the study's published numbers stand beside ours."""
    published = study.set_index(["network", "variant"])["ratio"].to_dict()
    keys = zip(frame["network"], frame["variant"], strict=True)
    beside = frame.assign(study=np.array([published.get(key) for key in keys], dtype=float))
    mean, study_mean = models.mean_ratio(frame), models.mean_ratio(study)
    note = "" if mean is None else f" On average a pruned network is {mean:.3f} times smaller"
    note += "" if mean is None else f" (in the study: {study_mean:.3f}), INT8 left out."
    note += " No network of this night has both." if frame.empty else ""
    return Table(
        title="Sizes after gzip −9",
        csv="sizes.csv",
        note=f"MB of 10⁶ bytes, base → pruned.{note}",
        columns=("network", "variant", "base, MB", "pruned, MB", "ratio", "study's ratio"),
        rows=rows_of(
            beside,
            network=network,
            variant=variant,
            base_mb=number("{:.2f}"),
            pruned_mb=number("{:.2f}"),
            ratio=number("{:.2f}"),
            study=number("{:.2f}"),
        ),
    )


def sparsities(frame: pd.DataFrame, study: pd.DataFrame) -> Table:
    """frame: as of analysis.models.sparsities. study: network, variant, sparsity, top1, top1_change."""
    published = study.set_index(["network", "variant"]).to_dict("index")
    return Table(
        title="Sparsity and accuracy",
        csv="sparsity.csv",
        note="Sparsity: achieved, over all prunable weights of the file. Top-1: of the file itself, with its 95 % "
        "interval (Wilson); in points, what it is above or below the base network's on the same images. Blank: not "
        "measured; random weights have no accuracy. The study's numbers are of ImageNet-1k.",
        columns=(
            "network",
            "variant",
            "weights",
            "sparsity",
            "study's",
            "top-1",
            "points to base",
            "study's top-1",
            "study's points",
            "top-5",
            "INT8 agrees with fp32",
            "of images",
        ),
        rows=[_accuracy(row, published.get((row["network"], row["variant"]), {})) for row in frame.to_dict("records")],
    )


def _accuracy(row: Any, study: Mapping[Any, Any]) -> list[Cell]:
    return [
        network(row["network"]),
        short(labels.VARIANT_LABELS[row["variant"]]),
        text(row["weights"]),
        fraction(1)(row["sparsity"]),
        fraction(0)(study.get("sparsity")),
        (labels.accuracy(row), "number"),
        (labels.points(row["change"]), "number"),
        fraction(1)(study.get("top1")),
        (labels.points(study.get("top1_change", nan)), "number"),
        fraction(1)(row["top5"]),
        fraction(1)(row["same_top1"]),
        text("" if pd.isna(row["images"]) else f"{row['images']:,} of {row['dataset']}"),
    ]


def origins(frame: pd.DataFrame) -> Table:
    """Where each network's weights come from, a row for all variants that have the same. frame: as of sparsities."""
    shared: dict[tuple[str, ...], list[str]] = {}
    for row in frame.fillna({"digest": ""}).to_dict("records"):
        shared.setdefault((row["network"], row["weights"], row["origin"], row["digest"]), []).append(row["variant"])
    return Table(
        title="Where the weights come from",
        csv="sparsity.csv",
        note="Pretrained: found ready. Trained: by the pipeline, from random ones. Random: not trained at all, so only "
        "their throughput says something. Digest: the first 12 digits of the SHA-256 of the file that they were in.",
        columns=("network", "variants", "weights", "origin", "digest"),
        rows=[
            [
                network(name),
                text("; ".join(labels.VARIANT_LABELS[variant] for variant in variants)),
                text(kind),
                text(origin),
                short(digest[:DIGITS]),
            ]
            for (name, kind, origin, digest), variants in shared.items()
        ],
    )


def encodings(frame: pd.DataFrame) -> Table:
    """frame: as of analysis.models.encodings; a row for all engines that ran the same file."""
    shared: dict[tuple[str, ...], list[str]] = {}
    for row in frame.to_dict("records"):
        shared.setdefault((row["network"], row["variant"], row["encoding"], row["artifact"]), []).append(row["engine"])
    return Table(
        title="Which encoding of INT8 each engine ran",
        csv="encodings.csv",
        note="The same network and the same quantised values, written in different ways: QDQ, fp32 operators between "
        "QuantizeLinear and DequantizeLinear, which an engine fuses; or in the operators that an engine needs. Sizes "
        "are those of QDQ.",
        columns=("network", "variant", "engines", "encoding", "artifact"),
        rows=[
            [
                network(name),
                short(labels.VARIANT_LABELS[variant]),
                text(", ".join(map(labels.engine, engines))),
                text("QDQ" if encoding == "QDQ" else "their own"),
                short(artifact[:DIGITS]),
            ]
            for (name, variant, encoding, artifact), engines in shared.items()
        ],
    )


def ranking(frame: pd.DataFrame, csv_name: str) -> Table:
    """frame: as of analysis.training.ranking, of one network."""
    return Table(
        title=f"{labels.network(frame['network'].iloc[0])}: what each layer costs",
        csv=csv_name,
        note="Points of accuracy that the network loses when this layer alone is pruned, without training: the mean "
        "over all sparsities that were tried.",
        columns=("layer", "parameters", "points, the smallest weights", "points, at random"),
        rows=rows_of(
            frame,
            layer=text,
            parameters=number("{:,}"),
            points_magnitude=number("{:.2f}"),
            points_random=number("{:.2f}"),
        ),
    )
