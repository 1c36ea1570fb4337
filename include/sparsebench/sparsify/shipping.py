"""The end of the line: what was made is checked, evaluated as it is shipped, and registered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import onnx

from sparsebench.catalog import Network
from sparsebench.contracts import Accuracy, BuiltVariant, LayerSparsity, ModelCard
from sparsebench.errors import SparsebenchError
from sparsebench.instance.heartbeat import with_heartbeat
from sparsebench.instance.progress import ProgressReport
from sparsebench.sparsify import data, evaluate
from sparsebench.sparsify.inspect_onnx import MAX_IR, gzip_bytes, layer_sparsities, overall_sparsity
from sparsebench.store import Store

PACKAGES = ("timm", "torch", "sparseml", "onnx")
"""Those whose version may change the file: with another version a variant is built again."""


@dataclass(frozen=True)
class Files:
    """ONNX files of a variant.

    parent: in fp32, of an INT8 network. encodings: by engine, for those that need another one than ``file``.
    """

    file: bytes
    parent: bytes | None = None
    encodings: Mapping[str, bytes] = field(default_factory=dict)


class Shipping:
    """The shipping of the variants of one network. layers: the sizes of its prunable layers, which every file has to
    have."""

    def __init__(
        self,
        store: Store,
        network: Network,
        split: data.Split | None,
        layers: Mapping[str, int],
        report: ProgressReport,
    ):
        self._store = store
        self._network = network
        self._split = split
        self._layers = dict(layers)
        self._report = report
        self.versions = {package: version(package) for package in PACKAGES}

    def ship(self, variant: BuiltVariant, files: Files, **made: Any) -> ModelCard:
        """Register a variant, and return its card. made: the card's fields that say what it was made from.

        Raises:
            SparsebenchError: a file has not the network's layers, or a format that some engine does not read.
        """
        for file in (files.file, *files.encodings.values()):
            layers = self._checked(variant, file)
        accuracy, same_top1 = self._evaluated(variant, files)
        artifact = self._store.put_artifact(files.file)
        self._report.step(f"{variant}: compressing {len(files.file) / 1e6:.1f} MB")
        # Level 9 takes minutes on a large file.
        known = {card.artifact: card.gzip_bytes for card in self._store.model_cards()}
        card = ModelCard(
            network=self._network.name,
            variant=variant,
            artifact=artifact,
            encodings={engine: self._store.put_artifact(file) for engine, file in files.encodings.items()},
            artifact_bytes=len(files.file),
            gzip_bytes=known.get(artifact) or gzip_bytes(files.file),
            input_shape=self._network.input_shape,
            sparsity=overall_sparsity(layers),
            layers=layers,
            accuracy=accuracy,
            parent=self._store.put_artifact(files.parent) if files.parent else None,
            same_top1=same_top1,
            versions=self.versions,
            **made,
        )
        self._store.put_model_card(card)
        return card

    def _checked(self, variant: BuiltVariant, file: bytes) -> tuple[LayerSparsity, ...]:
        graph = onnx.load_from_string(file)
        layers = layer_sparsities(graph)
        if {layer.name: layer.parameters for layer in layers} != self._layers or graph.ir_version > MAX_IR:
            raise SparsebenchError(
                f"{self._network.name} {variant}: the ONNX file (IR {graph.ir_version}) has {len(layers)} layers, "
                f"expected the {len(self._layers)} layers of {self._network.timm} and IR {MAX_IR} at most"
            )
        return layers

    def _evaluated(self, variant: BuiltVariant, files: Files) -> tuple[Accuracy | None, float | None]:
        """The accuracy of what is shipped, and how often an INT8 network's top class is its parent's."""
        if self._split is None:
            return None, None
        self._report.step(f"{variant}: counting what it gets right")
        accuracy = evaluate.of_onnx(files.file, self._validation()).as_accuracy(self._split.dataset.name)
        if files.parent is None:
            return accuracy, None
        return accuracy, evaluate.same_top1(files.parent, files.file, self._validation())

    def _validation(self) -> Iterable[evaluate.Batch]:
        assert self._split
        return with_heartbeat(data.batches(self._split.validation), self._report.heartbeat)
