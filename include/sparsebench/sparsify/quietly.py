"""SparseML without its noise. (That it reports its use over the network is switched off by this package's own
``__init__``, before anything can import it.)"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

from sparsebench.errors import BadInput
from sparsebench.sparsify.modifiers import Modifier


def manager(modifiers: Iterable[Modifier]) -> Any:
    """SparseML's ScheduledModifierManager of modifiers that were checked. SparseML would evaluate what is in a text.

    Raises:
        BadInput: a combination of values that SparseML refuses.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pydantic, imghdr and pkg_resources, which nobody here can act on
        from sparseml.pytorch import sparsification  # takes many seconds: only when it is needed
        from sparseml.pytorch.optim import ScheduledModifierManager
    try:
        return ScheduledModifierManager([getattr(sparsification, each.name)(**each.fields()) for each in modifiers])
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise BadInput(f"recipe: SparseML refuses it: {error}") from error


def manager_of_own(recipe: str) -> Any:
    """SparseML's ScheduledModifierManager of a recipe that is part of this package, as SparseML reads it."""
    manager([])
    from sparseml.pytorch.optim import ScheduledModifierManager

    return ScheduledModifierManager.from_yaml(recipe)


def loggers() -> Any:
    """Loggers that log nothing. With none at all SparseML writes a folder of logs wherever it runs."""
    from sparseml.pytorch.utils import LambdaLogger, LoggerManager

    return LoggerManager([LambdaLogger(lambda_func=lambda *_, **__: True)], log_python=False)
