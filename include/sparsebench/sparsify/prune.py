"""Pruning with SparseML, in one shot."""

from __future__ import annotations

from torch import nn

from sparsebench.sparsify import gmp
from sparsebench.sparsify.quietly import loggers, manager


def prune(model: nn.Module, recipe: str) -> None:
    """Carry out a recipe on the model, in place. Its masks are gone afterwards: training would lose the zeros."""
    manager(gmp.parse(recipe)).apply(model, loggers=loggers())
