"""Airflow's own notifiers, by configuration: Slack, e-mail, SNS, a webhook, or any other."""

from __future__ import annotations

from collections.abc import Mapping
from pkgutil import resolve_name
from typing import Any

from airflow.sdk import BaseNotifier

from sparsebench.errors import BadInput
from sparsebench.settings import PREFIX


def made(notifiers: Mapping[str, Mapping[str, Any]]) -> list[BaseNotifier]:
    """Notifiers by the path of their class, each with its arguments.

    Raises:
        BadInput: names the class that there is not, or the argument that it does not take.
    """
    callbacks = []
    for path, arguments in notifiers.items():
        try:
            callbacks.append(resolve_name(path)(**arguments))
        except (ImportError, AttributeError, ValueError, TypeError) as error:
            raise BadInput(f"{PREFIX}NOTIFIERS: {path}: {error}") from error
        if not isinstance(callbacks[-1], BaseNotifier):
            raise BadInput(f"{PREFIX}NOTIFIERS: {path} is no notifier of Airflow's")
    return callbacks
