"""Sizes, sparsity and accuracy of the networks, with the study's beside them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sparsebench.analysis import models
from sparsebench.report.tables.form import Table, fraction, network, number, rows_of, text, variant


def sizes(frame: pd.DataFrame, study: pd.DataFrame) -> Table:
    """frame, study: as of analysis.models.sizes; the study's published numbers stand beside ours."""
    published = study.set_index(["network", "variant"])["ratio"].to_dict()
    keys = zip(frame["network"], frame["variant"], strict=True)
    beside = frame.assign(study=np.array([published.get(key) for key in keys], dtype=float))
    mean, study_mean = models.mean_ratio(frame), models.mean_ratio(study)
    said = "" if mean is None else f" On average a pruned network is {mean:.3f} times smaller"
    said += "" if mean is None else f" (in the study: {study_mean:.3f}), INT8 left out."
    return Table(
        title="Sizes after gzip −9",
        csv="sizes.csv",
        note=f"MB of 10⁶ bytes, base → pruned.{said}",
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
    """frame: as of analysis.models.sparsities. study: network, variant, sparsity, top1."""
    published = study.set_index(["network", "variant"]).to_dict("index")
    empty = {"sparsity": None, "top1": None}
    beside = [published.get(key, empty) for key in zip(frame["network"], frame["variant"], strict=True)]
    shown = frame.assign(
        study_sparsity=np.array([row["sparsity"] for row in beside], dtype=float),
        study_top1=np.array([row["top1"] for row in beside], dtype=float),
        measured_on=[
            "" if pd.isna(row["images"]) else f"{row['dataset']}, {row['images']} images"
            for row in frame.to_dict("records")
        ],
    )
    return Table(
        title="Sparsity and accuracy",
        csv="sparsity.csv",
        note="Sparsity: achieved, over all prunable weights. Accuracy is blank where it was not measured; random "
        "weights have none. The study's numbers are of ImageNet-1k.",
        columns=(
            "network",
            "variant",
            "weights",
            "origin of the weights",
            "sparsity",
            "study's",
            "top-1",
            "study's",
            "top-5",
            "measured on",
        ),
        rows=rows_of(
            shown,
            network=network,
            variant=variant,
            weights=text,
            origin=text,
            sparsity=fraction(2),
            study_sparsity=fraction(0),
            top1=fraction(2),
            study_top1=fraction(2),
            top5=fraction(2),
            measured_on=text,
        ),
    )
