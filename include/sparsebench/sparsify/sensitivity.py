"""How much accuracy each layer costs when it alone is pruned."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from sparsebench.contracts import LayerSize, Mask, Sensitivity, SensitivityPoint
from sparsebench.errors import BadInput
from sparsebench.sparsify.build import prunable_layers
from sparsebench.sparsify.evaluate import Batch, of_model

SPARSITIES = tuple(tenth / 10 for tenth in range(1, 10))
LARGEST = 10
"""Layers that are tried, as the study did."""

SEEDS = (0, 1, 2)
"""Of random masks."""

SETTINGS = (SPARSITIES, SEEDS)


def analyse(
    model: nn.Module,
    images: Iterable[Batch],
    *,
    network: str,
    dataset: str,
    layers: int | None = LARGEST,
    sparsities: Sequence[float] = SPARSITIES,
    seeds: Sequence[int] = SEEDS,
    before: Sensitivity | None = None,
    on_point: Callable[[SensitivityPoint], None] = lambda _: None,
    on_layer: Callable[[Sensitivity], None] = lambda _: None,
) -> Sensitivity:
    """Prune each layer alone, to each sparsity, by magnitude and by chance, and count correct images.

    Costs layers × sparsities × (1 + seeds) evaluations. The network's weights are exactly as before afterwards, also
    after an exception.

    Args:
        model: a trained network; it is in eval mode afterwards.
        images: to validate with. They are kept in memory: 1,000 of 224 pixels take 600 MB.
        network, dataset: their names, for the result.
        layers: so many, the largest by parameters; None: all.
        sparsities: each within (0, 1).
        seeds: of random masks, one for each.
        before: how far an analysis with the same arguments came; its layers are not tried again.
        on_point: is told each result as it comes.
        on_layer: is given, after each layer, all that was found up to it.

    Raises:
        BadInput: a sparsity or a number of layers that makes no sense.
    """
    if layers is not None and layers < 1:
        raise BadInput(f"layers is {layers}: expected 1 at least, or nothing for all")
    wrong = [sparsity for sparsity in sparsities if not 0 < sparsity < 1]
    if wrong or not sparsities:
        raise BadInput(f"sparsities is {list(sparsities)}: expected numbers within (0, 1)")

    sizes = sorted(prunable_layers(model).items(), key=lambda layer: -layer[1])[:layers]
    kept = list(images)
    analysis = before or Sensitivity(
        network=network,
        dataset=dataset,
        layers=tuple(LayerSize(name=layer, parameters=size) for layer, size in sizes),
        dense=of_model(model, kept),
        points=(),
    )
    tried = {point.layer for point in analysis.points}
    for layer, size in sizes:
        if layer in tried:
            continue
        points = list(analysis.points)
        weight = model.get_submodule(layer).weight
        with _restored(weight) as whole:
            for mask, seed, order in _orders(whole, seeds):
                for sparsity in sparsities:
                    _zero(weight, whole, order[: round(sparsity * size)])
                    score = of_model(model, kept)
                    points.append(SensitivityPoint(layer=layer, mask=mask, seed=seed, sparsity=sparsity, score=score))
                    on_point(points[-1])
        analysis = analysis.model_copy(update={"points": tuple(points)})
        on_layer(analysis)
    return analysis


@contextmanager
def _restored(weight: Tensor) -> Iterator[Tensor]:
    """A copy of the weight, which it is restored from in the end."""
    whole = weight.detach().clone()
    try:
        yield whole
    finally:
        with torch.no_grad():
            weight.copy_(whole)


def _orders(weight: Tensor, seeds: Sequence[int]) -> Iterator[tuple[Mask, int | None, Tensor]]:
    """The orders in which values are set to zero: a higher sparsity has all the zeros of a lower one."""
    yield "magnitude", None, weight.abs().flatten().argsort(stable=True)
    for seed in seeds:
        yield "random", seed, torch.randperm(weight.numel(), generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def _zero(weight: Tensor, whole: Tensor, indices: Tensor) -> None:
    values = whole.flatten().clone()
    values[indices] = 0
    weight.copy_(values.view_as(whole))
