"""A realistic night in a store: two instance types (one emulated), the study's seven networks, all variants, four
engines, two lanes; some cells are invalid, absent, failed, disturbed, unconverged, or were never begun."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from sparsebench import catalog
from sparsebench.contracts import (
    Block,
    Cell,
    Collection,
    Execution,
    HostFacts,
    Kernel,
    Manifest,
    MissingCell,
    ModelCard,
    Trial,
    Weights,
    sha256,
)
from sparsebench.store import Store

SPEED = {  # img/s of the dense network, and by how much pruned and fake networks are faster
    "vgg19": (8, 1.5),
    "resnet50": (25, 2.0),
    "mobilevit_xs": (60, 1.1),
    "mobilenetv1": (130, 1.5),
    "inception_v3": (20, 1.6),
    "efficientnet_b0": (90, 1.0),
    "efficientnet_b2": (55, 1.0),
}
MEGABYTES = {  # after gzip -9, dense and pruned, as the study has them
    "mobilevit_xs": (8.62, 4.24),
    "efficientnet_b0": (19.59, 8.60),
    "efficientnet_b2": (33.76, 17.82),
    "resnet50": (95.16, 30.1),
    "mobilenetv1": (16.26, 4.70),
    "vgg19": (533.10, 110.34),
    "inception_v3": (88.63, 25.37),
}
ENGINES = {"onnxruntime": 0.75, "openvino": 0.95, "deepsparse": 1.0, "deepsparse.benchmark": 1.0}
GAIN = {"base": 0.0, "pruned": 1.0, "pruned_int8": 2.0, "fake85": 1.2, "fake99": 2.5}
MACHINES = {"m5.xlarge": ("Intel(R) Xeon(R) Platinum 8175M CPU @ 2.50GHz", False),
            "m7i.xlarge": ("AMD EPYC 9R14 96-Core Processor", True)}  # fmt: skip


PROCESSES = 6
UNCONVERGED = "efficientnet_b0"

BF16 = Execution(
    source="runtime model and performance counters",
    kernels=(
        Kernel(name="brgemm_avx512_bf16", precision="bf16", isa="avx512_bf16", count=40, time_share=0.9),
        Kernel(name="jit_avx512_f32", precision="f32", isa="avx512", count=9, time_share=0.1),
    ),
)
F32 = Execution(
    source="profile and the types of tensors",
    kernels=(Kernel(name="nchwc.Conv", precision="f32", isa="unknown", count=50, time_share=1.0),),
)


@dataclass
class ANight:
    """What an instance and the control plane put into the store; ``write`` puts it there."""

    night: str
    manifest: Manifest
    hosts: list[HostFacts]
    trials: list[Trial] = field(default_factory=list)
    collections: list[Collection] = field(default_factory=list)

    def write(self, store: Store) -> None:
        store.freeze(self.manifest)
        for host in self.hosts:
            store.put_host(self.night, host)
        for trial in self.trials:
            store.put_trial(trial)
        for index, collection in enumerate(self.collections):
            store.put_collection(f"job-{index}", collection)


def manifest(night: str, cards: list[ModelCard], frozen_at: datetime, protocol: str = "standard") -> Manifest:
    return Manifest.freeze(
        night=night,
        frozen_at=frozen_at,
        protocol=catalog.protocols()[protocol],
        models=tuple(cards),
        image="ami-1",
        payload=sha256(b"payload"),
        bench_lock=sha256(b"lock"),
    )


@pytest.fixture(scope="session")
def empty_night() -> ANight:
    """Frozen later than its date, and nothing was measured."""
    return ANight("2026-11-20", manifest("2026-11-20", [], datetime(2026, 11, 24, 9, tzinfo=UTC)), [])


@pytest.fixture(scope="session")
def make_night() -> Callable[..., ANight]:
    """A night of these cards, hosts and trials."""
    name, at = "2026-11-24", datetime(2026, 11, 24, 2, tzinfo=UTC)
    return lambda cards, hosts, trials: ANight(name, manifest(name, cards, at), hosts, trials)


@pytest.fixture(scope="session")
def night(
    make_host: Callable[..., HostFacts],
    make_trial: Callable[..., Trial],
    make_block: Callable[..., Block],
    make_card: Callable[..., ModelCard],
) -> ANight:
    cards, trials = [], []
    for network, variant in ((name, variant) for name in MEGABYTES for variant in catalog.networks()[name].variants):
        dense, pruned = (round(size * 1e6) for size in MEGABYTES[network])
        size = {"base": dense, "pruned_int8": dense // 9}.get(variant, pruned)
        if network.startswith("efficientnet"):
            cards.append(make_card(network, variant, size))
        else:
            weights = Weights(kind="random", origin="no hub in reach", seed=0)
            cards.append(make_card(network, variant, size, weights=weights, accuracy=None))
        for machine, engine, lane in itertools.product(MACHINES, ENGINES, ("f32", "native")):
            if lane == "f32" or variant in ("base", "pruned"):
                outcome = status(machine, engine, network, variant, lane)
                for generation, speed in enumerate(speeds(machine, engine, network, variant, lane)):
                    changes: dict[str, Any] = {"engine_facts": facts(engine, network)}
                    if outcome == "measured":
                        busy = interference(machine, engine, network, variant)
                        changes |= {
                            "blocks": tuple(make_block(speed, round, **busy(generation, round)) for round in range(6)),
                            "load_s": 0.5,
                            "peak_memory_bytes": 300_000_000,
                        }
                        if generation == 0:
                            changes["execution"] = BF16 if (engine, lane) == ("openvino", "native") else F32
                    trials.append(
                        make_trial(
                            speed,
                            engine=engine,
                            network=network,
                            variant=variant,
                            precision=lane,
                            instance_type=machine,
                            generation=generation,
                            status=outcome,
                            variants=("base",) if variant == "base" else ("base", variant),
                            **changes,
                        )
                    )
    never = Cell(instance_type="c4.xlarge", network="vgg19", variant="base", engine="openvino", precision="f32")
    launch = MissingCell(cell=never, reason="capacity", detail="InsufficientInstanceCapacity in us-east-1a")
    return ANight(
        night="2026-11-24",
        manifest=manifest("2026-11-24", cards, datetime(2026, 11, 24, 2, tzinfo=UTC)),
        hosts=[make_host(machine, cpu, emulated=emulated) for machine, (cpu, emulated) in MACHINES.items()],
        trials=trials,
        collections=[
            Collection(run_id="scheduled", night="2026-11-24", planned=1, measured=0, missing=(launch,), cost_usd=0.125)
        ],
    )


def speeds(machine: str, engine: str, network: str, variant: str, lane: str) -> list[float]:
    """img/s of processes: what all of a generation have in common differs by some percent, the rest by one."""
    dense, gain = SPEED[network]
    speed = dense * ENGINES[engine] * (1.4 if machine == "m7i.xlarge" else 1.0)
    if engine.startswith("deepsparse"):
        speed *= 1 + (gain - 1) * GAIN[variant]
    if engine == "openvino" and lane == "native":
        speed *= 1.6
    common = np.random.default_rng(zlib.crc32(f"{machine} {network} {variant}".encode()))
    own = np.random.default_rng(zlib.crc32(f"{machine} {engine} {network} {variant} {lane}".encode()))
    spread = 0.08 if (network, machine) == (UNCONVERGED, "m5.xlarge") else 0.005
    return [speed * common.uniform(0.94, 1.06) * own.uniform(1 - spread, 1 + spread) for _ in range(PROCESSES)]


def facts(engine: str, network: str) -> dict[str, float]:
    if not engine.startswith("deepsparse"):
        return {}
    return {"fraction_of_supported_ops": 0.946 if network == "mobilevit_xs" else 1.0}


def interference(machine: str, engine: str, network: str, variant: str) -> Callable[[int, int], dict[str, float]]:
    """Of a block, by generation and round: one cell is disturbed all the time, and the whole of m7i now and then."""
    always = (machine, engine, network, variant) == ("m5.xlarge", "onnxruntime", "resnet50", "pruned_int8")

    def ratios_of(generation: int, round: int) -> dict[str, float]:
        now_and_then = machine == "m7i.xlarge" and engine == "onnxruntime" and (generation, round) == (2, 3)
        return {"foreign_cores": 0.9 if always or now_and_then else 0.0, "pressure": 0.01}

    return ratios_of


def status(machine: str, engine: str, network: str, variant: str, lane: str) -> str:
    if engine == "deepsparse.benchmark" and lane == "native":
        return "absent"
    if (engine, network, variant) == ("openvino", "mobilevit_xs", "pruned"):
        return "invalid"
    if (machine, engine, network, variant) == ("m7i.xlarge", "deepsparse", "vgg19", "fake99"):
        return "failed"
    return "measured"


@pytest.fixture(scope="session")
def two_nights(
    tmp_path_factory: pytest.TempPathFactory,
    make_host: Callable[..., HostFacts],
    make_trial: Callable[..., Trial],
    make_card: Callable[..., ModelCard],
) -> Store:
    """Two nights of three processes each that measured the same, and a third that did not."""
    store = Store(tmp_path_factory.mktemp("nights").as_uri())
    for night, protocol, artifact in [
        ("2026-11-24", "standard", "a"),
        ("2026-11-25", "standard", "a"),
        ("2026-11-26", "quick", "b"),
    ]:
        cards = [make_card(artifact=sha256(artifact.encode()))]
        frozen = manifest(night, cards, datetime(2026, 11, 24, tzinfo=UTC), protocol)
        trials = [
            make_trial(speed, engine=engine, generation=index, night=night, artifact=sha256(artifact.encode()))
            for engine, seconds in {"deepsparse": (20.0, 20.4, 19.8), "openvino": (10.0, 10.0, 10.1)}.items()
            for index, speed in enumerate(seconds)
        ]
        ANight(night, frozen, [make_host()], trials).write(store)
    return store


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory, night: ANight, empty_night: ANight) -> Store:
    """Both nights in a folder. Tests that write take a store of their own."""
    store = Store(tmp_path_factory.mktemp("store").as_uri())
    night.write(store)
    empty_night.write(store)
    return store
