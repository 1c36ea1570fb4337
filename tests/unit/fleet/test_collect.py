"""Each cell of a run has a number, or a reason why not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sparsebench import catalog
from sparsebench.contracts import ArtifactRef, BenchRequest, Failure, Job, Launch, Parity, Trial
from sparsebench.fleet.collect import collect
from sparsebench.fleet.plan import repeated
from sparsebench.store import Store

NIGHT = "2026-11-24"
NOW = datetime(2026, 11, 24, 4, tzinfo=UTC)


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
    collection = collect(store, [job], {}, NOW)
    assert (collection.planned, collection.measured) == (4, 1)
    assert {cell.cell.engine: (cell.reason, cell.detail) for cell in collection.missing} == {
        "openvino": ("invalid", "relative difference 0.2 from ONNX Runtime's output"),
        "deepsparse": ("absent", "needs avx2"),
        "deepsparse.benchmark": ("failed", "no memory"),
    }
    assert store.collections(NIGHT) == [collection]


def test_an_output_that_is_not_finite_is_called_so(
    store: Store, job: Job, make_trial: Callable[..., Trial], make_parity: Callable[..., Parity]
) -> None:
    store.put_trial(make_trial(engine="openvino", status="invalid", parity=make_parity(relative=None, same_top1=0)))
    store.put_trial(make_trial(engine="deepsparse", status="invalid", parity=make_parity(relative=1 / 7, same_top1=0)))
    details = {cell.cell.engine: cell.detail for cell in collect(store, [job], {}, NOW).missing}
    assert details["openvino"] == "its output is not finite"
    assert details["deepsparse"] == "relative difference 0.14 from ONNX Runtime's output"


def test_a_cell_that_was_measured_once_is_there_though_another_trial_failed(
    store: Store, job: Job, make_trial: Callable[..., Trial]
) -> None:
    store.put_trial(make_trial(engine="openvino", generation=0))
    store.put_trial(make_trial(engine="openvino", generation=1, status="failed"))
    assert "openvino" not in {cell.cell.engine for cell in collect(store, [job], {}, NOW).missing}


@pytest.mark.parametrize(("step", "reason"), [("launch", "failed"), ("ask", "over_budget")])
def test_the_step_that_failed_is_the_reason_for_what_it_prevented(
    store: Store, job: Job, step: str, reason: str
) -> None:
    collection = collect(store, [job], {"job-a": step}, NOW)
    assert {cell.reason for cell in collection.missing} == {reason}


def test_where_a_step_has_said_why_it_failed_that_is_the_reason(store: Store, job: Job) -> None:
    store.put_failure(Failure(job="job-a", step="launch", reason="capacity", detail="none in us-east-1a", at=NOW))
    collection = collect(store, [job], {"job-a": "launch"}, NOW)
    assert {(cell.reason, cell.detail) for cell in collection.missing} == {("capacity", "launch: none in us-east-1a")}


def test_what_was_done_again_counts(store: Store, job: Job, make_trial: Callable[..., Trial]) -> None:
    store.put_trial(make_trial(engine="openvino", status="failed"))
    store.put_trial(make_trial(engine="openvino", job=repeated(store, job, 2).job))
    assert collect(store, [job], {}, NOW).measured == 1


def test_how_long_it_took_and_what_it_cost_is_kept(store: Store, job: Job, make_trial: Callable[..., Trial]) -> None:
    store.put_trial(make_trial(engine="openvino", generation=0))
    store.put_trial(make_trial(engine="openvino", generation=1))
    store.put_launch(
        job.run_key,
        Launch(
            instance_id="i-1",
            instance_type="m5.xlarge",
            job="job-a",
            zone="us-east-1a",
            market="on_demand",
            usd_per_hour=0.2,
            launched_at=NOW - timedelta(hours=2),
            ends_by=NOW,
        ),
    )
    collection = collect(store, [job], {}, NOW)
    assert [(took.network, took.variant, took.machine_s) for took in collection.took] == [("vgg19", "base", 18)]
    assert collection.cost_usd == pytest.approx(0.4)


def test_another_jobs_trials_do_not_count(store: Store, job: Job, make_trial: Callable[..., Trial]) -> None:
    store.put_trial(make_trial(engine="openvino", job="job-b"))
    assert collect(store, [job], {}, NOW).measured == 0
