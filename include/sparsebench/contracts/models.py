"""Networks that are ready to be measured: where their weights come from, and what they get right."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import Field

from sparsebench.contracts.base import VARIANTS_SINCE, Contract, Fraction, Name, Sha256, Stored, Variant
from sparsebench.contracts.formats import since


class LayerSparsity(Contract):
    """One prunable weight of a network (the weight of a Conv or Linear layer)."""

    name: str
    parameters: int = Field(gt=0)
    sparsity: Fraction


class DatasetRef(Contract):
    """Labelled images that a network is trained with or evaluated on."""

    name: Name
    uri: str = Field(min_length=1, description="builtin:digits, or of an ImageNet folder: a path, file:// or s3://")

    @classmethod
    def at(cls, uri: str) -> Self:
        """Named by the last part of its URI."""
        last = re.split(r"[/:]", uri.rstrip("/"))[-1]
        return cls(name=re.sub(r"[^A-Za-z0-9._-]|^[._-]+", "", last)[:64] or "dataset", uri=uri)


DIGITS = DatasetRef(name="digits", uri="builtin:digits")
"""Handwritten digits of 8 × 8 pixels, which scikit-learn has with it: a real task that is small."""


class Weights(Contract):
    """Where a network's weights come from. Random weights have no accuracy, and are named as such.

    ``pretrained``: found ready. ``trained``: by the pipeline, from random ones. ``random``: not trained at all.
    """

    kind: Literal["pretrained", "trained", "random"]
    origin: str = Field(description="where they were found, what they were trained on, or why they are random")
    digest: Sha256 | None = Field(default=None, description="of the file that they were found in")
    seed: int | None = None


class Accuracy(Contract):
    dataset: str
    images: int = Field(gt=0)
    top1: Fraction
    top5: Fraction | None = None


class BesideBase(Contract):
    """What a pruned or quantised file of one's own computes beside its base, both by ONNX Runtime, on sample inputs."""

    samples: int = Field(gt=0)
    relative: float = Field(ge=0, description="the largest difference, relative to the base's largest number")
    same_largest: Fraction | None = Field(
        description="of all places, those whose largest number along the last axis (the top class) is the base's; "
        "None: no output has several numbers there"
    )


class ModelCard(Stored):
    """models/<network>/<variant>.json: one variant of a network, ready to be measured."""

    network: Name
    variant: Variant = Field(json_schema_extra=VARIANTS_SINCE)
    artifact: Sha256 = Field(description="artifacts/<sha256>.onnx")
    encodings: dict[Name, Sha256] = Field(
        default_factory=dict, description="by engine: the artifact of those that need another encoding of the network"
    )
    artifact_bytes: int = Field(gt=0)
    gzip_bytes: int = Field(gt=0, description="size after gzip -9")
    input_shape: tuple[int, int, int] = Field(description="channels, height, width; the batch is dynamic")
    parameters: int = Field(gt=0)
    sparsity: Fraction = Field(description="achieved, over all prunable weights in the ONNX file")
    layers: tuple[LayerSparsity, ...]
    recipe: str = Field(description="the SparseML recipe (YAML) that was carried out; empty for base")
    weights: Weights
    accuracy: Accuracy | None = None
    parent: Sha256 | None = Field(default=None, description="of an INT8 network: the fp32 file that it was made from")
    same_top1: Fraction | None = Field(
        default=None, description="of an INT8 network: images of the dataset whose top class is its fp32 parent's"
    )
    training: Sha256 | None = Field(default=None, description="key of its training in the store")
    sensitivity: Sha256 | None = Field(default=None, description="key of its analysis in the store")
    versions: dict[str, str] = Field(description="of the packages that made it")
    beside_base: BesideBase | None = Field(
        default=None,
        description="of a network of one's own, where there were sample inputs and both files take them",
        json_schema_extra=since(5),
    )
