"""What an instance is asked to do."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sparsebench.contracts.base import VARIANTS_SINCE, BuiltVariant, Contract, Name, Night, Sha256, Stored, Variant
from sparsebench.contracts.formats import since
from sparsebench.contracts.models import DatasetRef
from sparsebench.contracts.protocol import Protocol

Analysed = Literal["none", "largest", "all"]
"""Layers whose sensitivity is analysed: `largest` are the ten that the study had."""


class ArtifactRef(Contract):
    """One variant of a network, as the runner needs to know it."""

    network: Name
    variant: Variant = Field(json_schema_extra=VARIANTS_SINCE)
    artifact: Sha256
    encodings: dict[Name, Sha256] = Field(default_factory=dict, description="as of the model card")
    input_shape: tuple[int, int, int] = Field(
        description="channels, height, width of its images; zeros of a network that takes something else: what any "
        "takes is read from its file"
    )
    parent: Sha256 | None = Field(default=None, description="of an INT8 network: the fp32 file that it was made from")


class BenchRequest(Stored):
    """nights/<night>/jobs/<job>.json: what one instance is to measure.

    The job's name stays the same over retries, so that a retry finds its own trials and measures only
    what is missing; another run of the same night has another job, and adds its trials to the night.
    """

    job: Name
    night: Night
    manifest: Sha256 = Field(description="digest of the night's manifest")
    instance_type: Name
    protocol: Protocol
    models: tuple[ArtifactRef, ...] = Field(min_length=1)
    engines: tuple[Name, ...] = Field(min_length=1)
    seed: int = Field(description="of the order of the engines within each round")


class SparsifyRequest(Stored):
    """requests/<job>.json: which variants of one network are to be built, and how."""

    job: Name
    network: Name
    variants: tuple[BuiltVariant, ...] = Field(min_length=1)
    seed: int = Field(default=0, ge=0, description="of random weights, the order of images and random masks")
    weights: str = Field(
        default="hub",
        min_length=1,
        description="hub, package, random; or a file: a path, file://, store:<path>, https:// or gdrive:<id>",
    )
    dataset: DatasetRef | None = Field(default=None, description="None: nothing is trained, and nothing evaluated")
    dense_epochs: int = Field(default=0, ge=0, le=1000, description="that the dense network is trained for, first")
    epochs: int | None = Field(
        default=None, ge=1, le=1000, description="of gradual pruning; None: the variant is pruned in one shot"
    )
    batch: int = Field(default=64, ge=2, le=4096, description="images a step of training")
    learning_rate: float | None = Field(
        default=None, gt=0, le=1, description="that training begins with; None: 0.05 dense, and 0.01 as the study's GMP"
    )
    recipe: str = Field(default="", description="SparseML's YAML for `pruned`, instead of the catalog's targets")
    sensitivity: Analysed = Field(default="none", description="layers that are pruned alone, to see what each costs")
    budget_points: float | None = Field(
        default=None, ge=0, le=100, description="of accuracy that a layer may cost: targets come from the analysis"
    )


class ImportRequest(Stored):
    """requests/<job>.json: a ready ONNX file that is to be a variant of a network."""

    job: Name
    network: Name
    variant: Variant = Field(json_schema_extra=VARIANTS_SINCE)
    source: str = Field(
        min_length=1,
        description="a path, file://, store:<path>, https:// or gdrive:<id>; #sha256=<hex> may follow. Of an INT8 "
        "network, its file in QDQ",
    )
    parent: str | None = Field(
        default=None,
        min_length=1,
        description="of an INT8 network: where the fp32 one is that it was made from; of one's own pruned or INT8 file "
        "with samples: where its base is, to hold its outputs to",
    )
    integer: str | None = Field(
        default=None,
        min_length=1,
        description="of an INT8 network: where its file with integer operators is, for DeepSparse",
    )
    axes: tuple[str, ...] | None = Field(
        default=None,
        description="of a network that the catalog does not know: NAME=SIZE for each free axis of its inputs; None: "
        "the catalog knows it",
        json_schema_extra=since(2),
    )
    samples: str | None = Field(
        default=None,
        min_length=1,
        description="where the .npz file is of what a network of one's own is fed",
        json_schema_extra=since(3),
    )
