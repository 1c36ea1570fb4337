"""Learning curves and sensitivity, as tables. Accuracies and sparsities are fractions; intervals are Wilson's, 95 %."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import yaml

from sparsebench.contracts import Mask, Score, Sensitivity, TrainingRecord

MASKS: tuple[Mask, ...] = ("magnitude", "random")
"""In the order in which they are shown: first as the pruner prunes, then as the study's graphs did."""


_GRADUAL = ("!GMPruningModifier", "!MagnitudePruningModifier")
"""The tags of SparseML's modifiers that prune step by step."""


@dataclass(frozen=True)
class Phase:
    """A part of a training, in epochs from its start."""

    name: str
    start: float
    end: float


def phases(record: TrainingRecord) -> tuple[Phase, ...]:
    """What a training did when, by its recipe: one phase where it prunes nothing, three where it prunes gradually."""
    end = float(record.curve[-1].total)
    try:
        pruning = _gradual_pruning(record.recipe)
        first = min((float(fields.get("start_epoch", 0)) for fields in pruning), default=0.0)
        last = max((float(fields.get("end_epoch", end)) for fields in pruning), default=end)
    except (yaml.YAMLError, ValueError):  # a curve can be drawn all the same
        return ()
    if not pruning:
        return (Phase("train", 0, end),)
    every = (Phase("stabilise", 0, first), Phase("prune", first, last), Phase("fine-tune", last, end))
    return tuple(phase for phase in every if phase.end > phase.start)


def _gradual_pruning(recipe: str) -> list[dict[str, str]]:
    """The fields, as text, of each modifier of a recipe that prunes step by step. Nothing in it is constructed.

    Raises:
        YAMLError, ValueError: text that is no recipe.
    """
    modifiers = _mapping(yaml.compose(recipe, Loader=yaml.SafeLoader)).get("modifiers")
    if not isinstance(modifiers, yaml.SequenceNode):
        raise ValueError("a recipe is a list of modifiers")
    return [
        {name: node.value for name, node in _mapping(modifier).items() if isinstance(node, yaml.ScalarNode)}
        for modifier in modifiers.value
        if modifier.tag in _GRADUAL
    ]


def _mapping(node: Any) -> dict[str, Any]:
    return {key.value: value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}


def curve(record: TrainingRecord) -> pd.DataFrame:
    """One row an epoch: network, variant, dataset, epoch, phase (at its end), accuracy, low, high, images, sparsity,
    loss, learning_rate, seconds."""
    spans = phases(record)
    rows = []
    for epoch in record.curve:
        low, high = epoch.validation.interval
        rows.append(
            {
                "network": record.network,
                "variant": record.variant,
                "dataset": record.dataset.name,
                "epoch": epoch.number,
                "phase": next((phase.name for phase in spans if phase.start < epoch.number <= phase.end), ""),
                "accuracy": epoch.validation.accuracy,
                "low": low,
                "high": high,
                "images": epoch.validation.images,
                "sparsity": epoch.sparsity,
                "loss": epoch.loss,
                "learning_rate": epoch.learning_rate,
                "seconds": epoch.seconds,
            }
        )
    return pd.DataFrame(rows)


def points(analysis: Sensitivity) -> pd.DataFrame:
    """Every evaluation of an analysis, the dense network's first: network, dataset, layer, parameters, mask, seed (of a
    random mask), sparsity, accuracy, low, high, images."""
    sizes = {layer.name: layer.parameters for layer in analysis.layers}
    rows = [{"layer": "", "parameters": None, "mask": "", "seed": None, "sparsity": 0.0, **_score(analysis.dense)}]
    for point in analysis.points:
        where = point.model_dump(include={"layer", "mask", "seed", "sparsity"})
        rows.append({**where, "parameters": sizes.get(point.layer), **_score(point.score)})
    frame = pd.DataFrame(rows).astype({"parameters": "Int64", "seed": "Int64"})
    frame.insert(0, "network", analysis.network)
    frame.insert(1, "dataset", analysis.dataset)
    return frame


def _score(score: Score) -> dict[str, Any]:
    low, high = score.interval
    return {"accuracy": score.accuracy, "low": low, "high": high, "images": score.images}


def ranking(analysis: Sensitivity) -> pd.DataFrame:
    """One row a layer, the most sensitive to magnitude pruning first: network, layer, parameters, and what it costs on
    average over all sparsities, in points of accuracy: points_magnitude, points_random (NaN where not tried)."""
    sizes = {layer.name: layer.parameters for layer in analysis.layers}
    costs = {mask: analysis.ranking(mask) for mask in masks(analysis)}
    first = next(iter(costs.values()), {})
    return pd.DataFrame(
        [
            {
                "network": analysis.network,
                "layer": layer,
                "parameters": sizes[layer],
                "points_magnitude": costs.get("magnitude", {}).get(layer),
                "points_random": costs.get("random", {}).get(layer),
            }
            for layer in first
        ],
        columns=["network", "layer", "parameters", "points_magnitude", "points_random"],
    ).astype({"points_magnitude": "float64", "points_random": "float64"})


def masks(analysis: Sensitivity) -> list[Mask]:
    """How the weights were chosen that were set to zero: of the two ways, those that were tried."""
    tried = {point.mask for point in analysis.points}
    return [mask for mask in MASKS if mask in tried]
