"""Training by a recipe: dense, or with gradual pruning. It can be interrupted after any step and gone on with."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from sparsebench.contracts import Contract, Epoch, sha256
from sparsebench.errors import BadInput, SparsebenchError
from sparsebench.instance.heartbeat import Heartbeat, no_heartbeat, with_heartbeat
from sparsebench.sparsify import checkpoint as checkpoints
from sparsebench.sparsify import gmp, quietly
from sparsebench.sparsify.build import prunable_layers
from sparsebench.sparsify.data import Split, batches
from sparsebench.sparsify.evaluate import of_model

LEARNING_RATE = 0.01
"""Where the recipe has none."""


class Training(Contract):
    """What a recipe does not say."""

    batch: int = Field(default=64, ge=2)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=1e-4, ge=0)
    seed: int = Field(default=0, ge=0, description="of the images' order and of their augmentation")
    workers: int = Field(
        default=0, ge=0, description="processes that read images; augmentation depends on their number"
    )


def train(
    model: nn.Module,
    recipe: str,
    split: Split,
    training: Training | None = None,
    *,
    checkpoint: Path | None = None,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
    heartbeat: Heartbeat = no_heartbeat,
) -> tuple[Epoch, ...]:
    """Train a network in place, on a GPU with mixed precision where there is one, and return its learning curve.

    After every epoch the checkpoint is replaced, atomically, and then ``on_epoch`` is told: it may copy the file
    elsewhere, or raise to end the training there. Where the checkpoint is there already, training goes on after its
    last epoch. On a CPU, the weights come out the same to the last bit, however often it was interrupted, as long as
    the number of threads is the same.

    Args:
        model: the network to begin with, also when training goes on. In the end it is on the CPU, in eval mode, and
            its masks are gone (another training would lose the zeros). After an exception it is of no use any more.
        recipe: SparseML's YAML, see ``gmp``. It is checked.
        split: the images.
        training: batch, momentum, seed and so on.
        checkpoint: where to keep it; None: nowhere.
        on_epoch: see above.
        heartbeat: is called before each step.

    Raises:
        BadInput: a recipe that cannot be carried out on this network, a batch larger than the dataset, a checkpoint
            that is damaged or of a training with any other input.
        SparsebenchError: the loss is not finite any more.
    """
    training = training or Training()
    run = _Run(model, gmp.check(recipe, prunable_layers(model)), split, training, heartbeat)
    curve: tuple[Epoch, ...] = ()
    if checkpoint and checkpoint.exists():
        curve = run.restore(checkpoint)
    run.begin(len(curve))
    while len(curve) < run.epochs:
        curve = (*curve, run.epoch(curve))
        if checkpoint:
            run.save(checkpoint, curve)
        on_epoch(curve[-1])
    run.finish()
    return curve


class _Run:
    """A training under way: the network, SparseML's manager of its recipe, and the optimiser.

    Nothing in it is drawn from a generator that runs on: each epoch begins with seeds of its own. And SparseML's
    modifiers depend on nothing but the number of steps, except for their masks.
    """

    def __init__(self, model: nn.Module, recipe: str, split: Split, training: Training, heartbeat: Heartbeat):
        self._heartbeat = heartbeat
        self.epochs = gmp.epochs(recipe)
        self._model = model
        self._split = split
        self._training = training
        self._steps = len(split.train) // training.batch
        if not self._steps:
            raise BadInput(f"batch is {training.batch}: expected at most the {len(split.train)} images to train on")
        self._key = training_key(model, recipe, split, training)

        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        mixed = self._device.type == "cuda"
        model.to(self._device)
        self._optimizer = torch.optim.SGD(
            model.parameters(), LEARNING_RATE, momentum=training.momentum, weight_decay=training.weight_decay
        )
        self._scaler = torch.cuda.amp.GradScaler(enabled=mixed)
        self._autocast = torch.autocast(self._device.type, enabled=mixed)
        self._manager = quietly.manager(gmp.parse(recipe))
        self._manager.initialize(model, epoch=0.0, loggers=quietly.loggers())
        self._stepper: Any = None

    def restore(self, checkpoint: Path) -> tuple[Epoch, ...]:
        """The learning curve up to the checkpoint, after everything is as it was then."""
        progress, groups = checkpoints.load(checkpoint)
        if progress.key != self._key:
            raise BadInput(
                f"checkpoint is {checkpoint}: it is of another training (recipe, images, settings or weights to begin "
                "with); expected one of this training, or none"
            )
        # Take SparseML to the same step: its schedules follow; its masks come from the checkpoint, as the weights do.
        for step in range(len(progress.curve) * self._steps):
            epoch = step // self._steps + step % self._steps / self._steps
            self._manager.update(self._model, self._optimizer, epoch, self._steps, log_updates=False)
        masks: dict[str, dict[str, Tensor]] = {modifier: {} for modifier in self._manager.state_dict()}
        for full, mask in groups.get("masks", {}).items():
            modifier, _, name = full.partition("/")
            masks.setdefault(modifier, {})[name] = mask.float()
        momenta = {int(number): {"momentum_buffer": momentum} for number, momentum in groups.get("momenta", {}).items()}
        try:
            self._manager.load_state_dict(masks)
            self._model.load_state_dict(groups["model"])
            self._optimizer.load_state_dict({"state": momenta, "param_groups": list(progress.groups)})
            self._scaler.load_state_dict(progress.scaler)
        except (LookupError, ValueError, RuntimeError) as error:
            raise BadInput(
                f"checkpoint is {checkpoint}: it is damaged; expected one of this training, or none"
            ) from error
        return progress.curve

    def save(self, checkpoint: Path, curve: tuple[Epoch, ...]) -> None:
        masks = {
            f"{modifier}/{name}": mask.bool()
            for modifier, state in self._manager.state_dict().items()
            for name, mask in state.items()
        }
        optimizer = self._optimizer.state_dict()
        momenta = checkpoints.momenta(optimizer)
        progress = checkpoints.Progress(
            key=self._key, curve=curve, groups=optimizer["param_groups"], scaler=self._scaler.state_dict()
        )
        checkpoints.save(checkpoint, progress, {"model": self._model.state_dict(), "masks": masks, "momenta": momenta})

    def begin(self, epoch: int) -> None:
        """Wrap the optimiser in SparseML's, at the beginning of this epoch."""
        self._stepper = self._manager.modify(
            self._model, self._optimizer, self._steps, wrap_optim=self._scaler, epoch=float(epoch)
        )

    def epoch(self, before: tuple[Epoch, ...]) -> Epoch:
        """Train for one epoch and validate."""
        number = len(before) + 1
        began = time.monotonic()
        loss = self._train(number)
        validation = batches(self._split.validation, self._training.batch, self._training.workers)
        score = of_model(self._model, with_heartbeat(validation, self._heartbeat))
        seconds = time.monotonic() - began
        mean_s = (sum(epoch.seconds for epoch in before) + seconds) / number
        return Epoch(
            number=number,
            total=self.epochs,
            learning_rate=self._optimizer.param_groups[0]["lr"],
            loss=loss,
            validation=score,
            sparsity=sparsity(self._model),
            seconds=seconds,
            left_s=mean_s * (self.epochs - number),
        )

    def _train(self, number: int) -> float:
        """The mean loss of an epoch. Images that are left over after whole batches wait for another epoch's order."""
        _seed(self._training.seed, number)
        loader = DataLoader(
            self._split.train,
            self._training.batch,
            shuffle=True,
            drop_last=True,
            num_workers=self._training.workers,
        )
        self._model.train()
        total = torch.zeros((), device=self._device)
        for images, labels in with_heartbeat(loader, self._heartbeat):
            with self._autocast:
                loss = cross_entropy(self._model(images.to(self._device)), labels.to(self._device))
            self._optimizer.zero_grad()
            self._scaler.scale(loss).backward()
            self._stepper.step(self._optimizer)
            self._scaler.update()
            total += loss.detach()
        if not total.isfinite():
            raise SparsebenchError(f"training: the loss is not finite in epoch {number}; try a lower learning rate")
        return float(total) / self._steps

    def finish(self) -> None:
        self._manager.finalize(self._model)
        self._model.cpu().eval()


def sparsity(model: nn.Module) -> float:
    """Zeros over parameters, of all prunable weights together."""
    weights = [model.get_submodule(layer).weight for layer in prunable_layers(model)]
    return sum(int((weight == 0).sum()) for weight in weights) / sum(weight.numel() for weight in weights)


def _seed(seed: int, epoch: int) -> None:
    """Seed all that the order of the images, their augmentation and dropout are drawn from."""
    derived = int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
    random.seed(derived)
    np.random.seed(derived)
    torch.manual_seed(derived)


def training_key(model: nn.Module, recipe: str, split: Split, training: Training) -> str:
    """A digest of all that a training's result depends on."""
    parts = (
        recipe,
        training.to_json().decode(),
        split.dataset.to_json().decode(),
        f"{len(split.train)} {len(split.validation)}",
        weights_digest(model),
    )
    return sha256("\0".join(parts).encode())


def weights_digest(model: nn.Module) -> str:
    """A digest of a network's names and values."""
    weights = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        weights.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return weights.hexdigest()
