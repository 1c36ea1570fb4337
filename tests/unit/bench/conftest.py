"""The runner runs in the bench environment, so these tests start it as what it is: a program."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from sparsebench.contracts import ArtifactRef, BenchRequest, Protocol, Variant
from sparsebench.store import Store

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PYTHON = ROOT / ".envs" / "bench" / "bin" / "python"
NIGHT = "2026-11-24"

QUICKEST = Protocol(
    name="test",
    scenario="latency",
    precisions=("f32",),
    order="random",
    interleaved=True,
    min_processes=1,
    max_processes=1,
    min_rounds=2,
    max_rounds=2,
    warmup_s=0,
    max_warmup_s=0,
    settle_s=0,
    block_s=0.02,
    target=None,
    budget_s=600,
    trial_timeout_s=120,
    description="Tiny.",
)


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Of the runner: with the engines for tests, and nobody at the metadata service's address."""
    paths = [str(HERE / "engines_for_tests"), str(ROOT / "include")]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(paths),
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1",
    }


@pytest.fixture(scope="session")
def make_network(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    def make(*options: str) -> Path:
        file = tmp_path_factory.mktemp("network") / "tiny.onnx"
        subprocess.run([PYTHON, ROOT / "tests/support/make_network.py", file, *options], check=True)
        return file

    return make


@pytest.fixture(scope="session")
def network(make_network: Callable[..., Path]) -> Path:
    """A classifier of 32 × 32 images into 10 classes."""
    return make_network()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store((tmp_path / "store").as_uri())


class Bench:
    """The runner's command line, on one store."""

    def __init__(self, store: Store, environment: dict[str, str]):
        self.store = store
        self.environment = environment
        self.options: tuple[str, ...] = ()

    def request(
        self,
        network: Path,
        engines: tuple[str, ...],
        names: tuple[str, ...] = ("tiny",),
        variants: tuple[Variant, ...] = ("base",),
        **changes: Any,
    ) -> str:
        """The path of a request for one network, under these names and as these variants, by the quickest protocol with
        these changes."""
        return self.request_of(dict.fromkeys(names, network), engines, variants, **changes)

    def request_of(
        self,
        files: Mapping[str, Path],
        engines: tuple[str, ...],
        variants: tuple[Variant, ...] = ("base",),
        input_shape: tuple[int, int, int] = (3, 32, 32),
        **changes: Any,
    ) -> str:
        """The path of a request for these networks."""
        artifacts = {name: self.store.put_artifact(file.read_bytes()) for name, file in files.items()}
        return self.store.put_bench_request(
            BenchRequest(
                job="job",
                night=NIGHT,
                manifest="0" * 64,
                instance_type="localhost",
                protocol=QUICKEST.model_copy(update=changes),
                models=tuple(
                    ArtifactRef(network=name, variant=variant, artifact=artifact, input_shape=input_shape)
                    for name, artifact in artifacts.items()
                    for variant in variants
                ),
                engines=engines,
                seed=0,
            )
        )

    def command(self, request: str) -> list[str]:
        command = [str(PYTHON), "-m", "sparsebench.bench", "run", "--store", self.store.uri, "--request", request]
        return [*command, *self.options]

    def run(self, request: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(request), env=self.environment, capture_output=True, text=True)

    def start(self, request: str, **variables: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self.command(request), env=self.environment | variables)


@pytest.fixture
def bench(store: Store, environment: dict[str, str]) -> Bench:
    return Bench(store, environment)
