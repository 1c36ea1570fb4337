"""Building networks needs the sparsify environment, so these tests start it as what it is: a program."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sparsebench.contracts import BuiltVariant, ModelCard, SparsifyRequest
from sparsebench.store import Store

ROOT = Path(__file__).parents[3]
NO_HUB = "http://127.0.0.1:1"


class Sparsify:
    """The command line, on one store."""

    def __init__(self, store: Store, python: str, environment: dict[str, str]):
        self.store = store
        self._python = python
        self.environment = environment
        self._requests = 0
        self.options: tuple[str, ...] = ()

    def command(self, network: str, *variants: BuiltVariant, **how: Any) -> list[str]:
        """Of one request. how: its other fields."""
        self._requests += 1
        path = self.store.put_sparsify_request(
            SparsifyRequest(job=f"job-{self._requests}", network=network, variants=variants, **how)
        )
        module = [self._python, "-m", "sparsebench.sparsify"]
        return [*module, "run", "--store", self.store.uri, "--request", path, *self.options]

    def run(self, network: str, *variants: BuiltVariant, **variables: str) -> subprocess.CompletedProcess[str]:
        """With these environment variables on top."""
        return self.carry_out(self.command(network, *variants), **variables)

    def carry_out(self, command: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=self.environment | variables, capture_output=True, text=True)

    def card(self, variant: BuiltVariant) -> ModelCard:
        (only_card,) = (card for card in self.store.model_cards() if card.variant == variant)
        return only_card


@pytest.fixture(scope="session")
def python() -> str:
    return str(ROOT / ".envs" / "sparsify" / "bin" / "python")


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Nothing in the cache of weights, and nobody at the addresses of the hub and of the metadata service."""
    return os.environ | {
        "PYTHONPATH": str(ROOT / "include"),
        "HF_HOME": str(tmp_path_factory.mktemp("hub-cache")),
        "HF_ENDPOINT": NO_HUB,
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1",
    }


@pytest.fixture(scope="session")
def sparsify(
    tmp_path_factory: pytest.TempPathFactory, python: str, environment: dict[str, str]
) -> Callable[[], Sparsify]:
    """The command line on a new, empty store."""
    return lambda: Sparsify(Store((tmp_path_factory.mktemp("store")).as_uri()), python, environment)
