"""A comparison of two nights' inputs: each side has its night's, in a night of today that nothing else joins."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sparsebench.contracts import ModelCard
from sparsebench.errors import BadInput
from sparsebench.fleet.bisection import plan_bisection
from sparsebench.fleet.nights import Sweep
from sparsebench.fleet.plan import Plan, Run, plan_sweep
from sparsebench.store import Store

NOW = datetime(2026, 5, 9, 12, tzinfo=UTC)
BEFORE, AFTER = "2026-05-04", "2026-05-05"


@pytest.fixture
def store(tmp_path: Path, make_card: Callable[..., ModelCard]) -> Store:
    """With two nights, between which vgg19 was trained again."""
    store = Store((tmp_path / "store").as_uri())
    for night, content in ((BEFORE, b"one network"), (AFTER, b"retrained")):
        for network in ("vgg19", "resnet50"):
            artifact = store.put_artifact(content if network == "vgg19" else b"another")
            store.put_model_card(make_card(network, artifact=artifact))
        sweep = Sweep(instance_types=("localhost",))
        plan_sweep(store, sweep, night, Run("benchmark_sweep", night, f"ami-{night}"), NOW, "quick")
    return store


def compared(store: Store, each: int = 2, networks: tuple[str, ...] = (), **nights: str) -> Plan:
    pair = (nights.get("before", BEFORE), nights.get("after", AFTER))
    return plan_bisection(store, pair, "localhost", networks, each, Run("bisect", "r1", "ami-today"), NOW)


def test_either_side_has_its_nights_inputs_and_they_take_turns(store: Store) -> None:
    plan = compared(store, each=3)
    assert [job.label for job in plan.jobs] == [
        f"{night}-{number}" for number in (1, 2, 3) for night in (BEFORE, AFTER)
    ]
    assert len({job.job for job in plan.jobs}) == 6
    for job in plan.jobs:
        request = store.bench_request(job.request)
        manifest = store.manifest(request.night)
        original = store.manifest(manifest.repeats or "")
        assert job.label.startswith(original.night)
        assert (job.image, job.payload, job.lock) == (original.image, original.payload, original.bench_lock)
        assert manifest.models == original.models
        assert {model.artifact for model in request.models} == {card.artifact for card in original.models}
    assert [store.bench_request(job.request).night for job in plan.jobs[:2]] == ["2026-05-09.2", "2026-05-09.3"]


def test_only_the_networks_that_are_asked_for_are_measured(store: Store) -> None:
    plan = compared(store, networks=("vgg19",))
    assert {model.network for request in plan.requests for model in request.models} == {"vgg19"}


def test_no_sweep_joins_a_side(store: Store) -> None:
    compared(store)
    for number in (1, 2):
        run = Run("benchmark_sweep", f"by-hand-{number}", f"ami-{AFTER}")
        (job,) = plan_sweep(store, Sweep(instance_types=("localhost",)), None, run, NOW, "quick").jobs
        assert store.bench_request(job.request).night == "2026-05-09"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"each": 1}, "each is 1; expected 2 to 10"),
        ({"after": BEFORE}, "after is 2026-05-04, as before is; expected two nights"),
        ({"before": "2026-05-01"}, "before is '2026-05-01', which has no manifest in the store"),
        ({"after": "../manifest"}, "after is '../manifest', which has no manifest"),
        ({"networks": ("alexnet",)}, "networks: 'alexnet' is not one of"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(
    store: Store, changes: dict[str, object], message: str
) -> None:
    before = sorted(store.paths("nights"))
    with pytest.raises(BadInput, match=message):
        compared(store, **changes)  # type: ignore[arg-type]
    assert sorted(store.paths("nights")) == before
