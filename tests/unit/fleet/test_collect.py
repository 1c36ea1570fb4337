"""Each cell of a run has a number, or a reason why not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sparsebench import catalog
from sparsebench.contracts import ArtifactRef, BenchRequest, Job, Trial
from sparsebench.fleet.collect import collect, unexpected
from sparsebench.store import Store

NIGHT = "2026-11-24"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path.as_uri())


@pytest.fixture
def job(store: Store, make_job: Callable[..., Job]) -> Job:
    request = BenchRequest(
        job="job-a",
        night=NIGHT,
        manifest="0" * 64,
        instance_type="m5.xlarge",
        protocol=catalog.protocols()["quick"],
        models=(ArtifactRef(network="vgg19", variant="base", artifact="1" * 64, input_shape=(3, 224, 224)),),
        engines=catalog.engines(),
        seed=1,
    )
    return make_job(job="job-a", request=store.put_bench_request(request))


def test_what_is_missing_is_listed_with_its_reason(store: Store, job: Job, make_trial: Callable[..., Trial]) -> None:
    store.put_trial(make_trial(engine="onnxruntime"))
    store.put_trial(make_trial(engine="openvino", status="invalid"))
    store.put_trial(make_trial(engine="deepsparse", status="absent"))
    store.put_trial(make_trial(engine="deepsparse.benchmark", status="failed", error="Traceback\nno memory"))
    found = collect(store, [job], {})
    assert (found.planned, found.measured) == (4, 1)
    assert {cell.cell.engine: (cell.reason, cell.detail) for cell in found.missing} == {
        "openvino": ("invalid", "relative difference 0.2 from ONNX Runtime's output"),
        "deepsparse": ("absent", "needs avx2"),
        "deepsparse.benchmark": ("failed", "no memory"),
    }
    assert store.collections(NIGHT) == [found]


def test_an_engine_that_cannot_run_there_is_no_failure(
    store: Store, job: Job, make_trial: Callable[..., Trial]
) -> None:
    for engine in catalog.engines():
        store.put_trial(make_trial(engine=engine, status="absent" if engine.startswith("deepsparse") else "measured"))
    assert unexpected(collect(store, [job], {})) == []


def test_a_cell_that_was_measured_once_is_there_though_another_trial_failed(
    store: Store, job: Job, make_trial: Callable[..., Trial]
) -> None:
    store.put_trial(make_trial(engine="openvino", generation=0))
    store.put_trial(make_trial(engine="openvino", generation=1, status="failed"))
    assert "openvino" not in {cell.cell.engine for cell in collect(store, [job], {}).missing}


def test_the_step_that_failed_is_the_reason_for_what_it_prevented(store: Store, job: Job) -> None:
    found = collect(store, [job], {"job-a": "launch"})
    assert {cell.reason for cell in unexpected(found)} == {"launch"}


def test_another_jobs_trials_do_not_count(store: Store, job: Job, make_trial: Callable[..., Trial]) -> None:
    store.put_trial(make_trial(engine="openvino", job="job-b"))
    assert collect(store, [job], {}).measured == 0
