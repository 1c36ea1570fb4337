"""Objects of a night, made up but whole, for tests that read what instances write."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from sparsebench import catalog
from sparsebench.contracts import (
    Absence,
    Accuracy,
    Block,
    Cell,
    HostFacts,
    Interference,
    Job,
    LayerSparsity,
    Manifest,
    ModelCard,
    Parity,
    Precision,
    Protocol,
    Trial,
    Variant,
    Weights,
    sha256,
)
from sparsebench.store import Store

NIGHT = "2026-11-24"
START = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


def make_host(instance_type: str = "m5.xlarge", cpu_model: str = "Intel Xeon 8175M", **changes: Any) -> HostFacts:
    fields = {
        "instance_id": f"i-{instance_type}",
        "instance_type": instance_type,
        "emulated": False,
        "cpu_model": cpu_model,
        "cpu_flags": ("avx2", "avx512f"),
        "caches": {"L1d": 32768, "L2": 1048576, "L3": 34603008},
        "physical_cores": 2,
        "logical_cores": 4,
        "frequency_mhz": 2500.0,
        "memory_bytes": 16 * 2**30,
        "kernel": "6.1.112",
        "os": "Amazon Linux 2023",
        "python": "3.11.9",
        "versions": {"deepsparse": "1.8.0", "onnxruntime": "1.32.0", "openvino": "2026.4.1"},
    }
    return HostFacts(**{**fields, **changes})


def make_block(throughput: float = 50.0, round: int = 0, **interference: float | int | None) -> Block:
    """A block of ten images at this throughput; undisturbed unless ``interference`` says otherwise."""
    quiet: dict[str, Any] = dict.fromkeys(Interference.model_fields)
    return Block(
        round=round,
        position=0,
        started_at=START + timedelta(seconds=round),
        images=10,
        seconds=10 / throughput,
        latencies_ms=(1000 / throughput,) * 10,
        interference=Interference(**{**quiet, **interference}),
    )


def make_trial(
    throughput: float = 50.0,
    *,
    engine: str = "deepsparse",
    network: str = "vgg19",
    variant: Variant = "base",
    precision: Precision = "f32",
    instance_type: str = "m5.xlarge",
    status: str = "measured",
    generation: int = 0,
    **changes: Any,
) -> Trial:
    """A trial of this status with its evidence: a measured one has six blocks of this throughput."""
    evidence: dict[str, dict[str, Any]] = {
        "measured": {
            "parity": make_parity(relative=1e-6, same_top1=8),
            "blocks": tuple(make_block(throughput, round) for round in range(6)),
        },
        "invalid": {"parity": make_parity(relative=0.2, same_top1=3)},
        "absent": {"absence": Absence(reason="cpu_feature", detail="needs avx2")},
        "failed": {"error": "Segmentation fault"},
    }
    fields = {
        "cell": Cell(instance_type=instance_type, network=network, variant=variant, engine=engine, precision=precision),
        "night": NIGHT,
        "job": "job-a",
        "generation": generation,
        "interleaved": True,
        "instance_id": f"i-{instance_type}",
        "artifact": sha256(f"{network} {variant}".encode()),
        "threads": 2,
        "status": status,
        "started_at": START + timedelta(seconds=10 * generation),
        "ended_at": START + timedelta(seconds=10 * generation + 9),
        **evidence[status],
    }
    return Trial(**{**fields, **changes})


def make_parity(relative: float | None, same_top1: int) -> Parity:
    """Of eight images, in the lane f32."""
    return Parity(
        images=8,
        max_abs=relative,
        relative=relative,
        same_top1=same_top1,
        tolerance=1e-3,
        least_top1=1,
    )


def make_card(network: str = "vgg19", variant: str = "base", gzip_bytes: int = 8_620_000, **changes: Any) -> ModelCard:
    fields = {
        "network": network,
        "variant": variant,
        "artifact": sha256(f"{network} {variant}".encode()),
        "artifact_bytes": 2 * gzip_bytes,
        "gzip_bytes": gzip_bytes,
        "input_shape": (3, 224, 224),
        "parameters": 1000,
        "sparsity": 0.0 if variant == "base" else 0.85,
        "layers": (LayerSparsity(name="conv", parameters=1000, sparsity=0.0 if variant == "base" else 0.85),),
        "recipe": "",
        "weights": Weights(kind="pretrained", origin="timm/vgg19.tv_in1k"),
        "accuracy": Accuracy(dataset="imagenet-1k", images=50_000, top1=0.7424, top5=0.9185),
        "versions": {"torch": "2.1.2"},
    }
    return ModelCard(**{**fields, **changes})


def make_manifest(protocol: str | Protocol = "quick", **changes: Any) -> Manifest:
    fields = {
        "night": NIGHT,
        "frozen_at": datetime(2026, 11, 24, tzinfo=UTC),
        "protocol": catalog.protocols()[protocol] if isinstance(protocol, str) else protocol,
        "models": (),
        "image": "ami-1",
        "payload": sha256(b"payload"),
        "bench_lock": sha256(b"lock"),
    }
    return Manifest.freeze(**{**fields, **changes})


def make_job(**changes: Any) -> Job:
    fields = {
        "job": "m5.xlarge-0123456789",
        "dag_id": "benchmark_sweep",
        "run_id": "r1",
        "label": "m5.xlarge",
        "instance_type": "m5.xlarge",
        "image": "ami-1",
        "module": "bench",
        "lock": "0" * 64,
        "payload": "1" * 64,
        "request": "nights/2026-11-24/jobs/x.json",
        "max_minutes": 60,
    }
    return Job(**{**fields, **changes})


@pytest.fixture(scope="session", name="make_manifest")
def _make_manifest() -> Callable[..., Manifest]:
    return make_manifest


@pytest.fixture(scope="session", name="make_job")
def _make_job() -> Callable[..., Job]:
    return make_job


@pytest.fixture(scope="session", name="make_host")
def _make_host() -> Callable[..., HostFacts]:
    return make_host


@pytest.fixture(scope="session", name="make_block")
def _make_block() -> Callable[..., Block]:
    return make_block


@pytest.fixture(scope="session", name="make_parity")
def _make_parity() -> Callable[..., Parity]:
    return make_parity


@pytest.fixture(scope="session", name="make_trial")
def _make_trial() -> Callable[..., Trial]:
    return make_trial


@pytest.fixture(scope="session", name="make_card")
def _make_card() -> Callable[..., ModelCard]:
    return make_card


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def moto_bucket(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URI of an empty store in an emulated S3."""
    for name, value in {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test", "ENDPOINT_URL": moto_url}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="nights")
    yield "s3://nights/prefix"
    urllib.request.urlopen(urllib.request.Request(f"{moto_url}/moto-api/reset", method="POST")).close()


ENGINE_SPEEDS = {"openvino": (10.0, 10.1, 10.0, 9.9, 10.0, 10.1), "deepsparse": (20.0, 20.1, 19.9, 20.0, 20.1, 20.0)}
"""img/s of the base network, a process each."""

AddNight = Callable[..., Store]


@pytest.fixture
def add_night(tmp_path: Path) -> AddNight:
    """Put a night of one network, two variants and two engines into the store."""
    store = Store(tmp_path.as_uri())
    cards = [make_card(variant=variant) for variant in ("base", "pruned")]

    def add(
        night: str,
        protocol: str = "quick",
        cpu: str = "Xeon",
        processes: int = 6,
        together: bool = True,
        engines: Mapping[str, Sequence[float]] = ENGINE_SPEEDS,
    ) -> Store:
        store.freeze(make_manifest(protocol, night=night, models=tuple(cards)))
        store.put_host(night, make_host(cpu_model=cpu))
        for card in cards:
            for engine, speeds in engines.items():
                for index, speed in enumerate(speeds[:processes]):
                    store.put_trial(
                        make_trial(
                            speed * (1.5 if card.variant == "pruned" else 1),
                            engine=engine,
                            variant=card.variant,
                            generation=index,
                            night=night,
                            artifact=card.artifact,
                            variants=("base", "pruned") if together else (),
                        )
                    )
        return store

    return add
