"""What a run says of itself: three counts, and whether it is a success."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sparsebench import catalog
from sparsebench.contracts import ArtifactRef, BenchRequest, Block, HostFacts, Job, Trial
from sparsebench.fleet.collect import collect
from sparsebench.report.outcome import Outcome, outcome
from sparsebench.store import Store

NIGHT = "2026-11-24"
NOISE = 0.9
"""Cores that other processes took: the block is left out."""


@pytest.fixture
def outcome_of(
    tmp_path: Path,
    make_job: Callable[..., Job],
    make_host: Callable[..., HostFacts],
    make_trial: Callable[..., Trial],
    make_block: Callable[..., Block],
) -> Callable[..., Outcome]:
    """Of a run over one file and four engines, of which each has a trial of this status; None: it has none."""

    def outcome_of(**statuses: str | None) -> Outcome:
        store = Store(tmp_path.as_uri())
        request = BenchRequest(
            job="job-a",
            night=NIGHT,
            manifest="0" * 64,
            instance_type="m5.xlarge",
            protocol=catalog.protocols()["quick"],
            models=(ArtifactRef(network="vgg19", variant="base", artifact="1" * 64, input_shape=(3, 224, 224)),),
            engines=tuple(statuses),
            seed=1,
        )
        job = make_job(job="job-a", request=store.put_bench_request(request))
        store.put_host(NIGHT, make_host())
        for engine, status in statuses.items():
            if status == "disturbed":
                store.put_trial(make_trial(engine=engine, blocks=(make_block(5, foreign_cores=NOISE),)))
            elif status:
                store.put_trial(make_trial(engine=engine, status=status))
        return outcome(store, [job], collect(store, [job], {}, datetime(2026, 11, 24, 4, tzinfo=UTC)))

    return outcome_of


def test_a_run_says_how_many_cells_were_planned_have_a_number_and_why_others_have_none(
    outcome_of: Callable[..., Outcome],
) -> None:
    result = outcome_of(onnxruntime="measured", openvino="disturbed", deepsparse="absent")
    assert result.summary.startswith(
        "Night 2026-11-24: 3 cells planned, 1 with a number, 2 without: 1 absent (the engine cannot run this here); "
        "1 disturbed ("
    )
    assert result.problem is None  # one number, and nothing that a person could mend


def test_an_engine_that_gives_other_outputs_is_a_fault_of_a_sweep_but_not_of_a_choice(
    outcome_of: Callable[..., Outcome],
) -> None:
    result = outcome_of(onnxruntime="measured", openvino="invalid")
    assert result.problem == "1 of 2 cells should have a number and have none"
    assert result.problem_of_a_choice is None


@pytest.mark.parametrize("status", ["failed", None])
def test_an_engine_that_failed_is_a_fault_of_a_choice_too(
    outcome_of: Callable[..., Outcome], status: str | None
) -> None:
    result = outcome_of(onnxruntime="measured", openvino=status)
    assert result.problem_of_a_choice == "1 of 2 cells should have a number and have none"


def test_a_run_without_one_number_is_no_success(outcome_of: Callable[..., Outcome]) -> None:
    assert outcome_of(onnxruntime="disturbed", openvino="disturbed").problem == "none of 2 cells has a number"


def test_a_cell_that_should_have_a_number_and_has_none_is_no_success(outcome_of: Callable[..., Outcome]) -> None:
    result = outcome_of(onnxruntime="measured", openvino="invalid", deepsparse=None)
    assert result.problem == "2 of 3 cells should have a number and have none"
    assert {cell.cell.engine: cell.reason for cell in result.missing} == {"openvino": "invalid", "deepsparse": "failed"}
