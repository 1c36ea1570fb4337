"""All input is checked before anything is launched, and a night's inputs stay what they were."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sparsebench.contracts import BenchRequest, ModelCard
from sparsebench.errors import BadInput, IntegrityError, StoreError
from sparsebench.fleet.nights import Sweep, freeze, manifest_for
from sparsebench.fleet.plan import Run, max_minutes, plan_sparsify, plan_sweep
from sparsebench.store import Store

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)

Register = Callable[[Store, str, bytes], None]


@pytest.fixture
def register(make_card: Callable[..., ModelCard]) -> Register:
    """Makes a network's base another file."""

    def put(store: Store, network: str, content: bytes) -> None:
        store.put_model_card(make_card(network, artifact=store.put_artifact(content)))

    return put


@pytest.fixture
def store(tmp_path: Path, register: Register) -> Store:
    store = Store((tmp_path / "store").as_uri())
    register(store, "vgg19", b"one network")
    register(store, "resnet50", b"another")
    return store


def plan(store: Store, key: str | None = "2026-05-04", run: str = "r1", **asked: Any) -> BenchRequest:
    """What the one job of a sweep is to measure."""
    sweep = Sweep(**{"instance_types": ("localhost",), **asked})
    (job,) = plan_sweep(store, sweep, key, Run("benchmark_sweep", run, "ami-1"), NOW, "quick")
    return store.bench_request(job.request)


def content(store: Store) -> dict[str, bytes]:
    return {path: store.read(path) for folder in ("nights", "payloads", "locks") for path in store.paths(folder)}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("instance_types", ("z9.huge",)),
        ("networks", ("alexnet",)),
        ("engines", ("tensorrt",)),
        ("protocol", "hasty"),
        ("networks", ("mobilenetv1",)),  # in the catalog, but it has no model
    ],
)
def test_bad_input_names_field_and_value_and_leaves_the_store_as_it_was(
    store: Store, field: str, value: object
) -> None:
    before = content(store)
    named = value if isinstance(value, str) else value[0]  # type: ignore[index]
    with pytest.raises(BadInput, match=f"{field}: '{named}'"):
        plan(store, **{field: value})
    assert content(store) == before


def test_a_store_without_models_says_what_to_do_first(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="run sparsify first"):
        plan(Store(tmp_path.as_uri()))


def test_an_artifact_whose_digest_is_wrong_stops_the_plan(store: Store) -> None:
    (card,) = (card for card in store.model_cards() if card.network == "vgg19")
    store.write(store.artifact_path(card.artifact), b"something else")
    before = content(store)
    with pytest.raises(IntegrityError, match="edited or damaged"):
        plan(store)
    assert content(store) == before


def test_a_store_that_cannot_be_written_stops_the_plan(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError, match="cannot write"):
        plan(Store((tmp_path / "file" / "store").as_uri()))


def test_an_edited_manifest_is_recognised(store: Store) -> None:
    plan(store)
    path = "nights/2026-05-04/manifest.json"
    manifest = json.loads(store.read(path))
    manifest["protocol"]["max_processes"] = 99
    store.write(path, json.dumps(manifest).encode())
    with pytest.raises(IntegrityError, match="was edited"):
        plan(store, run="r2")


def test_a_later_run_of_a_night_measures_that_nights_models(store: Store, register: Register) -> None:
    first = plan(store)
    register(store, "vgg19", b"retrained")
    second = plan(store, run="r2", instance_types=("m5.xlarge",))
    assert first.models == second.models
    assert first.job != second.job


def test_a_retry_has_the_same_job_so_that_it_finds_its_trials(store: Store) -> None:
    assert plan(store) == plan(store)


def test_a_night_keeps_its_protocol(store: Store) -> None:
    plan(store, protocol="study")
    assert plan(store, run="r2").protocol.name == "study"
    with pytest.raises(BadInput, match="protocol: 'quick', but the night 2026-05-04 was frozen with 'study'"):
        plan(store, run="r3", protocol="quick")


def test_without_a_key_a_run_joins_todays_night_while_the_inputs_are_the_same(store: Store, register: Register) -> None:
    assert plan(store, key=None).night == "2026-05-04"
    assert plan(store, key=None, run="r2").night == "2026-05-04"
    register(store, "vgg19", b"retrained")
    assert plan(store, key=None, run="r3").night == "2026-05-04.2"
    assert plan(store, key=None, run="r4", networks=("resnet50",)).night == "2026-05-04"
    assert plan(store, key=None, run="r5", protocol="study").night == "2026-05-04.3"


def test_a_past_night_without_a_manifest_gets_todays_inputs_and_says_so(store: Store) -> None:
    plan(store, key="2026-05-01")
    assert store.manifest("2026-05-01").frozen_late
    plan(store, key="2026-05-04")
    assert not store.manifest("2026-05-04").frozen_late


def test_an_instance_lives_longer_than_what_is_timed(store: Store) -> None:
    timed = timedelta(seconds=2 * 5 * 60)
    request = plan(store, protocol="study", engines=("onnxruntime",))
    assert timedelta(minutes=max_minutes(request)) > timed


def test_sparsify_refuses_a_variant_that_it_cannot_build(store: Store) -> None:
    with pytest.raises(BadInput, match="variants: 'pruned_int8'"):
        plan_sparsify(store, ("resnet50",), ("pruned_int8",), "localhost", 0, Run("sparsify", "r", "ami-1"))


def test_of_two_runs_that_freeze_a_night_at_once_both_measure_the_firsts_inputs(
    store: Store, register: Register
) -> None:
    sweep = Sweep(instance_types=("localhost",))
    first = manifest_for(store, sweep, "2026-05-04", NOW, "quick")
    register(store, "vgg19", b"retrained")
    second = manifest_for(store, sweep, "2026-05-04", NOW, "quick")
    assert second != first
    assert freeze(store, first) == first
    assert freeze(store, second) == first
