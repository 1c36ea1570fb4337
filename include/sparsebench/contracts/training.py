"""What training, the analysis of sensitivity and evaluation find."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean
from typing import Literal

from pydantic import Field

from sparsebench.contracts.base import BuiltVariant, Contract, Fraction, Name, Sha256, Stored
from sparsebench.contracts.models import Accuracy, DatasetRef
from sparsebench.errors import BadInput

Mask = Literal["random", "magnitude"]
"""How the weights that are set to zero are chosen: by chance, as the study did, or the smallest, as the pruner does."""


class Score(Contract):
    """How many of some labelled images a network classifies correctly."""

    images: int = Field(gt=0)
    top1: int = Field(ge=0, description="images whose class comes first")
    top5: int | None = Field(
        ge=0, description="images whose class is among the first five; None: five classes or fewer"
    )

    @property
    def accuracy(self) -> float:
        """Top-1, a fraction."""
        return self.top1 / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's, of the top-1 accuracy, at 95 %: it holds near 0 and 1 too, and with few images."""
        from scipy.stats import binomtest  # takes most of a second to import

        ends = binomtest(self.top1, self.images).proportion_ci(0.95, method="wilson")
        return float(ends.low), float(ends.high)

    def as_accuracy(self, dataset: str) -> Accuracy:
        """The score as a model card has it."""
        top5 = None if self.top5 is None else self.top5 / self.images
        return Accuracy(dataset=dataset, images=self.images, top1=self.accuracy, top5=top5)


class Epoch(Contract):
    """A point of a learning curve: one epoch that was trained."""

    number: int = Field(ge=1)
    total: int = Field(ge=1, description="epochs that the recipe has")
    learning_rate: float = Field(description="of the last step")
    loss: float = Field(description="mean over the epoch's steps, each before it was taken")
    validation: Score
    sparsity: Fraction = Field(description="zeros over parameters, of all prunable weights together")
    seconds: float = Field(ge=0, description="training and validation")
    left_s: float = Field(ge=0, description="that the other epochs will take, if they take as long as those so far")


class TrainingRecord(Stored):
    """trainings/<sha256>.json: a training that is done."""

    network: Name
    variant: BuiltVariant = Field(description="that it made: base of a dense training")
    dataset: DatasetRef
    recipe: str = Field(description="SparseML's YAML that was carried out")
    began_with: Sha256 = Field(description="digest of the weights")
    curve: tuple[Epoch, ...] = Field(min_length=1)


class LayerSize(Contract):
    name: str
    parameters: int = Field(gt=0)


class SensitivityPoint(Contract):
    """The network with one layer at this sparsity, and all others dense."""

    layer: str
    mask: Mask
    seed: int | None = Field(description="of a random mask")
    sparsity: float = Field(gt=0, lt=1)
    score: Score


class Sensitivity(Stored):
    """How much accuracy each layer costs when it alone is pruned, without any training."""

    network: Name
    dataset: Name
    layers: tuple[LayerSize, ...] = Field(min_length=1, description="that were tried, the largest first")
    dense: Score
    points: tuple[SensitivityPoint, ...]

    def curve(self, layer: str, mask: Mask) -> dict[float, float]:
        """Accuracy by sparsity, from 0 on; of random masks, the mean over the seeds."""
        by_sparsity: dict[float, list[float]] = {0.0: [self.dense.accuracy]}
        for point in self.points:
            if (point.layer, point.mask) == (layer, mask):
                by_sparsity.setdefault(point.sparsity, []).append(point.score.accuracy)
        return {sparsity: fmean(accuracies) for sparsity, accuracies in sorted(by_sparsity.items())}

    def ranking(self, mask: Mask = "magnitude") -> dict[str, float]:
        """Accuracy (points) that each layer costs, the mean over all sparsities; the most sensitive layer first."""
        costs = {
            layer.name: 100 * (self.dense.accuracy - fmean(list(self.curve(layer.name, mask).values())[1:]))
            for layer in self.layers
        }
        return dict(sorted(costs.items(), key=lambda cost: -cost[1]))

    def targets(self, budget: float) -> dict[str, float]:
        """The highest sparsity of each layer up to which it costs at most ``budget`` points when pruned by magnitude.

        A layer that keeps the budget at no sparsity is left out: it stays dense. One that keeps it again at a higher
        sparsity, after it has not, owes that to chance.

        Raises:
            BadInput: a negative budget.
        """
        if not budget >= 0:
            raise BadInput(f"budget is {budget}: expected points of accuracy that may be lost, 0 or more")
        least = self.dense.accuracy - budget / 100 - 1e-9
        highest = {layer.name: _last_above(least, self.curve(layer.name, "magnitude").items()) for layer in self.layers}
        return {layer: sparsity for layer, sparsity in highest.items() if sparsity > 0}


def _last_above(least: float, curve: Iterable[tuple[float, float]]) -> float:
    last = 0.0
    for sparsity, accuracy in curve:
        if accuracy < least:
            break
        last = sparsity
    return last
