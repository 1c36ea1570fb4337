"""SparseML without its noise. (That it reports its use over the network is switched off by this package's own
``__init__``, before anything can import it.)"""

from __future__ import annotations

import warnings
from typing import Any

from sparsebench.errors import BadInput


def manager(recipe: str) -> Any:
    """SparseML's ScheduledModifierManager of a recipe that was checked.

    Raises:
        BadInput: a field that SparseML does not know, or a value that it refuses.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pydantic, imghdr and pkg_resources, which nobody here can act on
        from sparseml.pytorch.optim import ScheduledModifierManager  # takes many seconds: only when it is needed
    try:
        return ScheduledModifierManager.from_yaml(recipe)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise BadInput(f"recipe: SparseML refuses it: {error}") from error


def loggers() -> Any:
    """Loggers that log nothing. With none at all SparseML writes a folder of logs wherever it runs."""
    from sparseml.pytorch.utils import LambdaLogger, LoggerManager

    return LoggerManager([LambdaLogger(lambda_func=lambda *_, **__: True)], log_python=False)
