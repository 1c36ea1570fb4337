"""Carry out a request: build, prune, export and register the variants of one network."""

from __future__ import annotations

import subprocess
from contextlib import chdir
from importlib.metadata import version
from tempfile import TemporaryDirectory

import onnx

from sparsebench.catalog import Network
from sparsebench.contracts import ModelCard, SparsifyRequest, Variant, Weights
from sparsebench.errors import SparsebenchError
from sparsebench.sparsify import build
from sparsebench.sparsify.export import to_onnx
from sparsebench.sparsify.inspect_onnx import MAX_IR, layer_sparsities, overall_sparsity
from sparsebench.sparsify.progress import ProgressReport
from sparsebench.sparsify.prune import prune
from sparsebench.sparsify.recipe import one_shot, variant_targets
from sparsebench.store import Store

PACKAGES = ("timm", "torch", "sparseml", "onnx")
"""Those whose version may change the file: with another version a variant is built again."""


def run(store: Store, network: Network, request: SparsifyRequest) -> None:
    """Build the variants that the request names, except those that the store has already.

    Raises:
        BadInput: a layer group of the catalog without a layer; before anything is built.
        SparsebenchError: trained weights would be replaced by random ones, or the export lost a layer.
        StoreError: the store cannot be written.
    """
    store.check_writable()
    report = ProgressReport(store, request)
    try:
        with TemporaryDirectory() as scratch, chdir(scratch):  # SparseML writes into the working folder
            _Builder(store, network, request.seed, report).build(request.variants)
    except Exception as error:
        report.failed(error)
        raise
    report.finished()


def gzip_bytes(data: bytes) -> int:
    """Size after ``gzip -9``, by the tool itself: zlib at level 9 differs by up to 1 %, and with its build."""
    return len(subprocess.run(["gzip", "-9"], input=data, stdout=subprocess.PIPE, check=True).stdout)


class _Builder:
    """Builds variants of one network, all from the same weights."""

    def __init__(self, store: Store, network: Network, seed: int, report: ProgressReport):
        self._store = store
        self._network = network
        self._report = report
        self._cards = store.model_cards()
        self._versions = {package: version(package) for package in PACKAGES}
        self._layers = build.prunable_layers(build.architecture(network))
        report.step(f"looking for trained weights of {network.timm}")
        self._source = build.find_weights(network, seed)
        report.step(f"weights: {self._source.weights.kind}, {self._source.weights.origin}")

    def build(self, variants: tuple[Variant, ...]) -> None:
        recipes = {v: one_shot(variant_targets(self._network, v, self._layers)) for v in variants}
        outdated = {variant for variant, recipe in recipes.items() if not self._is_current(variant, recipe)}
        if outdated:
            self._refuse_random_beside_trained()
        for variant, recipe in recipes.items():
            if variant in outdated:
                self._build(variant, recipe)
            else:
                self._report.variant_done(f"{variant} is there already: same recipe, weights and versions")

    def _is_current(self, variant: Variant, recipe: str) -> bool:
        return any(
            card.variant == variant
            and card.recipe == recipe
            and card.input_shape == self._network.input_shape
            and {layer.name: layer.parameters for layer in card.layers} == self._layers
            and card.versions == self._versions
            and _serves(card.weights, self._source.weights)
            and self._store.exists(self._store.artifact_path(card.artifact))
            for card in self._own_cards()
        )

    def _own_cards(self) -> list[ModelCard]:
        return [card for card in self._cards if card.network == self._network.name]

    def _refuse_random_beside_trained(self) -> None:
        weights = self._source.weights
        trained = [card.weights for card in self._own_cards() if card.weights.kind == "pretrained"]
        if weights.kind == "random" and trained:
            raise SparsebenchError(
                f"{self._network.name}: the store has it with trained weights ({trained[0].origin}), which cannot be "
                f"had now ({weights.origin}); random variants are not put beside them: try again, or use another store"
            )

    def _build(self, variant: Variant, recipe: str) -> None:
        weights, shape = self._source.weights, self._network.input_shape
        self._report.step(f"{variant}: building")
        model = build.build(self._network, self._source)
        if recipe:
            self._report.step(f"{variant}: pruning")
            prune(model, recipe)
            if weights.kind == "random":
                build.calibrate_batch_norms(model, self._network)

        self._report.step(f"{variant}: exporting")
        data = to_onnx(model, shape)
        graph = onnx.load_from_string(data)
        layers = layer_sparsities(graph)
        if {layer.name: layer.parameters for layer in layers} != self._layers or graph.ir_version > MAX_IR:
            raise SparsebenchError(
                f"{self._network.name} {variant}: the ONNX file (IR {graph.ir_version}) has {len(layers)} layers, "
                f"expected the {len(self._layers)} layers of {self._network.timm} and IR {MAX_IR} at most"
            )
        artifact = self._store.put_artifact(data)

        self._report.step(f"{variant}: compressing {len(data) / 1e6:.1f} MB")
        known = {card.artifact: card.gzip_bytes for card in self._cards}  # level 9 takes minutes on a large file
        card = ModelCard(
            network=self._network.name,
            variant=variant,
            artifact=artifact,
            artifact_bytes=len(data),
            gzip_bytes=known.get(artifact) or gzip_bytes(data),
            input_shape=shape,
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            sparsity=overall_sparsity(layers),
            layers=layers,
            recipe=recipe,
            weights=weights,
            versions=self._versions,
        )
        self._store.put_model_card(card)
        self._report.variant_done(
            f"{variant}: sparsity {card.sparsity:.3f}, {card.artifact_bytes / 1e6:.2f} MB, "
            f"{card.gzip_bytes / 1e6:.2f} MB after gzip -9"
        )


def _serves(have: Weights, wanted: Weights) -> bool:
    """Whether a variant with these weights need not be built again.

    The reason why weights are random does not change them. Trained weights serve as well where there would
    only be random ones now.
    """
    if wanted.kind == "pretrained":
        return have.kind == "pretrained" and have.origin == wanted.origin
    return have.kind == "pretrained" or have.seed == wanted.seed
