"""What takes long, training and the analysis of sensitivity: done once for the same inputs, and gone on with.

The store keeps both under a key, a digest of all that their result depends on.
"""

from __future__ import annotations

from pathlib import Path

from torch import nn

from sparsebench.catalog import Network
from sparsebench.contracts import (
    BuiltVariant,
    Epoch,
    Sensitivity,
    SensitivityPoint,
    SparsifyRequest,
    TrainingRecord,
    sha256,
)
from sparsebench.instance.progress import ProgressReport
from sparsebench.sparsify import gmp, sensitivity
from sparsebench.sparsify.build import prunable_layers
from sparsebench.sparsify.data import Split, batches, sample
from sparsebench.sparsify.train import Training, train, training_key, weights_digest
from sparsebench.store import Store

ANALYSED_IMAGES = 1000
"""Of the validation images, for the analysis of sensitivity: an interval of ± 3 points at most."""


class Stages:
    """The stages of one network, on one dataset."""

    def __init__(self, store: Store, network: Network, split: Split, request: SparsifyRequest, report: ProgressReport):
        self._store = store
        self._network = network
        self._split = split
        self._training = Training(batch=request.batch, seed=request.seed)
        self._report = report

    def key(self, model: nn.Module, recipe: str) -> str:
        """The key of the training of this network by this recipe."""
        return training_key(model, gmp.check(recipe, prunable_layers(model)), self._split, self._training)

    def train(self, model: nn.Module, variant: BuiltVariant, recipe: str) -> str:
        """Train a network in place, and return the training's key. After each epoch the store has all it takes to go
        on, with the same result.

        Raises:
            BadInput, SparsebenchError: as ``train`` does.
            Interrupted: between two steps.
        """
        recipe = gmp.check(recipe, prunable_layers(model))
        key = training_key(model, recipe, self._split, self._training)
        began_with = weights_digest(model)
        path, local = self._store.checkpoint_path(key), Path(f"{key}.pt")
        if self._store.exists(path):
            self._report.step(f"{variant}: going on with training {key[:12]}")
            local.write_bytes(self._store.read(path))

        def keep(epoch: Epoch) -> None:
            self._store.write(path, local.read_bytes())
            self._report.step(f"{variant}: {_said(epoch)}", left_s=epoch.left_s)

        curve = train(
            model,
            recipe,
            self._split,
            self._training,
            checkpoint=local,
            on_epoch=keep,
            heartbeat=self._report.heartbeat,
        )
        local.unlink()
        self._store.put_training(
            key,
            TrainingRecord(
                network=self._network.name,
                variant=variant,
                dataset=self._split.dataset,
                recipe=recipe,
                began_with=began_with,
                curve=curve,
            ),
        )
        return key

    def analyse(self, model: nn.Module, layers: int | None) -> tuple[str, Sensitivity]:
        """How sensitive a dense network's largest layers are, or all, and the analysis' key. It goes on after the last
        layer that was tried whole.

        Raises:
            Interrupted: between two masks.
        """
        settings = (
            weights_digest(model),
            self._split.dataset.to_json().decode(),
            sensitivity.SETTINGS,
            layers,
            ANALYSED_IMAGES,
        )
        key = sha256(repr(settings).encode())
        analysis = self._store.sensitivity(key)
        if analysis is None:
            before = self._store.sensitivity_so_far(key)
            tried = {point.layer for point in before.points} if before else set[str]()
            total = len(list(prunable_layers(model))[:layers])
            self._report.step(f"sensitivity: {len(tried)} of {total} layers are there already")

            def tell(point: SensitivityPoint) -> None:
                self._report.heartbeat()
                if point.layer not in tried:
                    tried.add(point.layer)
                    self._report.step(f"sensitivity: layer {len(tried)} of {total}, {point.layer}")

            analysis = sensitivity.analyse(
                model,
                batches(sample(self._split.validation, ANALYSED_IMAGES)),
                network=self._network.name,
                dataset=self._split.dataset.name,
                layers=layers,
                before=before,
                on_point=tell,
                on_layer=lambda so_far: self._store.put_sensitivity_so_far(key, so_far),
            )
            self._store.put_sensitivity(key, analysis)
        costs = ", ".join(f"{layer} {points:.1f}" for layer, points in list(analysis.ranking().items())[:3])
        self._report.step(f"sensitivity: most points are lost by {costs}")
        return key, analysis


def _said(epoch: Epoch) -> str:
    low, high = epoch.validation.interval
    return (
        f"epoch {epoch.number} of {epoch.total}: loss {epoch.loss:.3f}, accuracy {epoch.validation.accuracy:.1%} "
        f"({low:.1%} to {high:.1%}), sparsity {epoch.sparsity:.3f}, learning rate {epoch.learning_rate:.2g}, "
        f"{epoch.seconds:.0f} s; {epoch.left_s:.0f} s left"
    )
