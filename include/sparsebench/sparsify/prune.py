"""Pruning with SparseML, in one shot."""

from __future__ import annotations

from torch import nn


def prune(model: nn.Module, recipe: str) -> None:
    """Carry out a recipe on the model, in place. Its masks are gone afterwards: training would lose the zeros."""
    # SparseML takes many seconds to import: only when there is something to prune.
    from sparseml.pytorch.optim import ScheduledModifierManager
    from sparseml.pytorch.utils import LambdaLogger, LoggerManager

    # Without a logger of ours it writes a folder of logs wherever it runs.
    quiet = LoggerManager([LambdaLogger(lambda_func=lambda *_, **__: True)], log_python=False)
    ScheduledModifierManager.from_yaml(recipe).apply(model, loggers=quiet)
