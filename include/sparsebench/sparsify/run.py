"""Carry out a request: train, analyse, prune, quantise, export, evaluate and register the variants of one network."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import chdir
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from sparsebench.bench.engines import INTEGER_ENGINES
from sparsebench.bench.images import fixed_images, photographs
from sparsebench.catalog import Network
from sparsebench.contracts import BuiltVariant, DatasetRef, ModelCard, Sensitivity, SparsifyRequest, Weights
from sparsebench.errors import SparsebenchError
from sparsebench.instance.exits import Interrupted
from sparsebench.instance.heartbeat import Heartbeat, no_heartbeat
from sparsebench.instance.progress import ProgressReport
from sparsebench.sparsify import build, data, evaluate, gmp, weights
from sparsebench.sparsify.dataset_cache import local
from sparsebench.sparsify.export import to_onnx, to_onnx_int8
from sparsebench.sparsify.prune import prune
from sparsebench.sparsify.quantise import RECIPE, quantise
from sparsebench.sparsify.recipe import one_shot, variant_targets
from sparsebench.sparsify.sensitivity import LARGEST
from sparsebench.sparsify.shipping import Files, Shipping
from sparsebench.sparsify.stages import Stages
from sparsebench.store import Store

CACHE = Path("~/.cache/sparsebench/datasets")
"""Of images that are kept elsewhere."""

CALIBRATION_IMAGES = 256
"""Of those to train on, for the ranges of an INT8 network's activations."""


def run(store: Store, network: Network, request: SparsifyRequest, heartbeat: Heartbeat = no_heartbeat) -> None:
    """Build the variants that the request names, except those that the store has already.

    Raises:
        BadInput: a layer group of the catalog or a recipe without a layer, weights of another network, images of other
            classes; before anything is built.
        SparsebenchError: trained weights would be replaced by random ones, or the export lost a layer or computes
            otherwise than torch.
        StoreError: the store cannot be written.
        Interrupted: by ``heartbeat``, between two steps; the variants that were done by then are in the store, and so
            is all that a training takes to go on.
    """
    store.check_writable()
    report = ProgressReport(store, request.job, network.name, len(request.variants), heartbeat)
    try:
        with TemporaryDirectory() as scratch, chdir(scratch):  # SparseML writes into the working folder
            _Builder(store, network, request, report).build()
    except Interrupted as notice:
        report.interrupted(notice)
        raise
    except Exception as error:
        report.failed(error)
        raise
    report.finished()


@dataclass(frozen=True)
class _Wanted:
    """What a variant is made from and by; where a card says the same, the variant is there already.

    recipe: of the pruning. training, sensitivity: keys, of what was trained, analysed here.
    """

    recipe: str
    weights: Weights
    training: str | None
    sensitivity: str | None


class _Builder:
    """Builds variants of one network, all from the same dense one."""

    def __init__(self, store: Store, network: Network, request: SparsifyRequest, report: ProgressReport):
        self._store = store
        self._network = network
        self._request = request
        self._report = report
        self._cards = store.model_cards()
        self._layers = build.prunable_layers(build.architecture(network))
        for variant in request.variants:  # before anything takes long
            variant_targets(network, variant, self._layers)
        if request.recipe:
            gmp.check(request.recipe, self._layers)
        self._split = None
        if request.dataset:
            near = local(request.dataset, store, CACHE.expanduser())
            self._split = replace(data.split(near, network), dataset=request.dataset)
            data.check_images(self._split, report.step)
        self._stages = Stages(store, network, self._split, request, report) if self._split else None
        self._shipping = Shipping(store, network, self._split, self._layers, report)
        report.step(f"looking for weights of {network.timm}: {request.weights}")
        self._source = weights.find(store, network, request.weights, request.seed, Path())
        report.step(f"weights: {self._source.weights.kind}, {self._source.weights.origin}")
        self._refuse_what_is_random()

    def _refuse_what_is_random(self) -> None:
        weights = self._source.weights
        if weights.kind != "random" or self._request.dense_epochs:
            return
        if self._split:
            raise SparsebenchError(
                f"{self._network.name}: its weights are random ({weights.origin}), so there is no accuracy that "
                "pruning could keep; expected weights that were trained, or dense_epochs of training"
            )
        trained = [card.weights for card in self._own_cards() if card.weights.kind != "random"]
        if trained and not all(self._is_current(variant, self._wanted(variant)) for variant in self._request.variants):
            raise SparsebenchError(
                f"{self._network.name}: the store has it with trained weights ({trained[0].origin}), which cannot be "
                f"had now ({weights.origin}); random variants are not put beside them: try again, or use another store"
            )

    def build(self) -> None:
        for variant in self._request.variants:
            wanted = self._wanted(variant)
            if self._is_current(variant, wanted):
                self._report.part_done(f"{variant} is there already: same recipe, weights and versions")
            else:
                self._build(variant, wanted)

    # ----------------------------------------------------------------------------- what is wanted

    @cached_property
    def _dense(self) -> tuple[nn.Module, str | None]:
        """The dense network, and the key of its training where it was trained here."""
        self._report.step("building the dense network")
        model = build.build(self._network, self._source)
        if not (self._stages and self._request.dense_epochs):
            return model, None
        return model, self._stages.train(
            model, "base", gmp.dense(self._request.dense_epochs, self._request.learning_rate)
        )

    @cached_property
    def _sensitivity(self) -> tuple[str, Sensitivity] | None:
        asked = self._request.sensitivity
        if not self._stages or (asked == "none" and self._request.budget_points is None):
            return None
        return self._stages.analyse(self._dense[0], None if asked == "all" else LARGEST)

    def _wanted(self, variant: BuiltVariant) -> _Wanted:
        recipe = self._recipe(variant)
        training = self._dense[1] if self._request.dense_epochs else None
        if self._stages and recipe and self._is_gradual(variant):
            training = self._stages.key(self._dense[0], recipe)
        return _Wanted(recipe, self._weights(), training, self._sensitivity[0] if self._sensitivity else None)

    def _is_gradual(self, variant: BuiltVariant) -> bool:
        """Fake pruning is of one shot always: it isolates speed from accuracy."""
        return variant in ("pruned", "pruned_int8") and bool(self._request.epochs or self._request.recipe)

    def _recipe(self, variant: BuiltVariant) -> str:
        if variant in ("pruned", "pruned_int8") and self._request.recipe:
            return gmp.check(self._request.recipe, self._layers)
        targets = variant_targets(self._network, variant, self._layers)
        if variant in ("pruned", "pruned_int8") and self._request.budget_points is not None and self._sensitivity:
            targets = self._sensitivity[1].targets(self._request.budget_points)
        if self._request.epochs and self._is_gradual(variant):
            return gmp.gradual(targets, gmp.Phases.within(self._request.epochs, self._request.learning_rate))
        return one_shot(targets)

    def _weights(self) -> Weights:
        weights, epochs = self._source.weights, self._request.dense_epochs
        if not (self._split and epochs):
            return weights
        trained = f"trained on {self._split.dataset.name} for {epochs} epochs"
        if weights.kind == "random":
            return Weights(kind="trained", origin=f"{trained} from random weights", seed=weights.seed)
        return weights.model_copy(update={"origin": f"{weights.origin}, then {trained}"})

    def _is_current(self, variant: BuiltVariant, wanted: _Wanted) -> bool:
        return any(
            card.variant == variant
            and card.recipe == _carried_out(variant, wanted.recipe)
            and card.training == wanted.training
            and wanted.sensitivity in (None, card.sensitivity)
            and card.input_shape == self._network.input_shape
            and {layer.name: layer.parameters for layer in card.layers} == self._layers
            and card.versions == self._shipping.versions
            and _serves(card.weights, wanted.weights)
            and (self._split is None or _was_evaluated(card, self._split.dataset))
            and all(
                self._store.exists(self._store.artifact_path(file))
                for file in (card.artifact, *card.encodings.values())
            )
            for card in self._own_cards()
        )

    def _own_cards(self) -> list[ModelCard]:
        return [card for card in self._cards if card.network == self._network.name]

    # ----------------------------------------------------------------------------- making it

    def _build(self, variant: BuiltVariant, wanted: _Wanted) -> None:
        model = deepcopy(self._dense[0])
        if wanted.recipe:
            self._prune(model, variant, wanted)
        shape = self._network.input_shape
        if variant == "pruned_int8":
            parent = self._exported(model, variant)
            self._report.step(f"{variant}: quantising")
            quantise(model, self._calibration())
            encodings = to_onnx_int8(model, shape)
            files = Files(encodings.qdq, parent, dict.fromkeys(INTEGER_ENGINES, encodings.integer))
        else:
            files = Files(self._exported(model, variant))
        card = self._shipping.ship(
            variant,
            files,
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            recipe=_carried_out(variant, wanted.recipe),
            weights=wanted.weights,
            training=wanted.training,
            sensitivity=wanted.sensitivity,
        )
        self._report.part_done(f"{variant}: {_said(card)}")

    def _exported(self, model: nn.Module, variant: BuiltVariant) -> bytes:
        """The ONNX file, once it was seen to compute what the network does."""
        self._report.step(f"{variant}: exporting")
        shape = self._network.input_shape
        file = to_onnx(model, shape)
        parity = evaluate.parity(model, file, torch.from_numpy(fixed_images(shape)))
        if not parity.agrees:
            raise SparsebenchError(
                f"{self._network.name} {variant}: the exported file computes otherwise than the network in torch: "
                f"off by {parity.relative} of the largest logit, {parity.same_top1} of {parity.images} images in the "
                f"same class; expected {parity.tolerance} at most"
            )
        self._report.step(f"{variant}: ONNX Runtime is off by {parity.relative:.0e} of torch's largest logit")
        return file

    def _prune(self, model: nn.Module, variant: BuiltVariant, wanted: _Wanted) -> None:
        if self._stages and self._is_gradual(variant):
            self._stages.train(model, "pruned", wanted.recipe)
            return
        self._report.step(f"{variant}: pruning")
        prune(model, wanted.recipe)
        if wanted.weights.kind == "random":
            build.calibrate_batch_norms(model, self._network)

    def _calibration(self) -> Iterable[evaluate.Batch]:
        """Images that the ranges of an INT8 network's activations are taken from."""
        if self._split:
            return data.batches(data.sample(self._split.train, CALIBRATION_IMAGES))
        images = torch.from_numpy(photographs(self._network.input_shape))
        return [(images, torch.zeros(len(images), dtype=torch.long))]


def _carried_out(variant: BuiltVariant, pruning: str) -> str:
    """The recipe as a card has it."""
    return f"{pruning}\n{RECIPE}" if variant == "pruned_int8" else pruning


def _was_evaluated(card: ModelCard, dataset: DatasetRef) -> bool:
    return card.accuracy is not None and card.accuracy.dataset == dataset.name


def _said(card: ModelCard) -> str:
    right = card.accuracy
    counted = f", {right.top1:.1%} of {right.images} images of {right.dataset} are right" if right else ""
    return (
        f"sparsity {card.sparsity:.3f}{counted}, {card.artifact_bytes / 1e6:.2f} MB, "
        f"{card.gzip_bytes / 1e6:.2f} MB after gzip -9"
    )


def _serves(have: Weights, wanted: Weights) -> bool:
    """Whether a variant with these weights need not be built again.

    The reason why weights are random does not change them. Trained weights serve as well where there would
    only be random ones now.
    """
    if wanted.kind == "random":
        return have.kind != "random" or have.seed == wanted.seed
    return have == wanted
