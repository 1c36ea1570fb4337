"""The order of trials, and what a job still has to measure."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sparsebench.bench.plan import Slot, missing, plan
from sparsebench.catalog import protocols
from sparsebench.contracts import Absence, ArtifactRef, BenchRequest, Trial

ENGINES = ("onnxruntime", "openvino", "deepsparse", "deepsparse.benchmark")


def request(protocol: str = "standard", seed: int = 0) -> BenchRequest:
    return BenchRequest(
        job="job",
        night="2026-11-24",
        manifest="0" * 64,
        instance_type="localhost",
        protocol=protocols()[protocol],
        models=tuple(
            ArtifactRef(network=name, variant="base", artifact="0" * 64, input_shape=(3, 32, 32)) for name in "ab"
        ),
        engines=ENGINES,
        seed=seed,
    )


def lanes(slots: list[Slot], network: str, round_: int) -> list[tuple[str, str]]:
    found = [slot for slot in slots if slot.cell.network == network and slot.round == round_]
    assert [slot.position for slot in found] == list(range(len(found)))
    return [(slot.cell.engine, slot.cell.precision) for slot in found]


def test_every_round_runs_every_engine_and_precision_once():
    slots = plan(request())

    assert len(slots) == 2 * 5 * 4 * 2
    assert sorted(lanes(slots, "b", 4)) == sorted((engine, lane) for engine in ENGINES for lane in ("f32", "native"))


def test_a_random_order_differs_between_rounds_and_networks_and_is_the_same_again():
    slots = plan(request())

    orders = [tuple(lanes(slots, network, round_)) for network in "ab" for round_ in range(5)]
    assert len(set(orders)) > 5
    assert plan(request()) == slots
    assert plan(request(seed=1)) != slots


def test_a_fixed_order_is_the_requests():
    slots = plan(request("study"))

    assert {tuple(lanes(slots, "a", round_)) for round_ in range(5)} == {tuple((name, "native") for name in ENGINES)}


def trial(slot: Slot, **evidence: object) -> Trial:
    now = datetime.now(UTC)
    return Trial(
        cell=slot.cell, night="2026-11-24", job="job", round=slot.round, instance_id="i-1", artifact="0" * 64,
        threads=1, started_at=now, ended_at=now, position=slot.position, **evidence,
    )  # fmt: skip


@pytest.mark.parametrize(
    "evidence", [{"status": "measured", "throughput_img_s": 1}, {"status": "failed", "error": "x"}]
)
def test_a_trial_of_a_job_is_not_repeated_even_if_it_failed(evidence):
    slots = plan(request())

    assert missing(slots, [trial(slots[3], **evidence)]) == slots[:3] + slots[4:]


def test_an_absent_engine_is_not_asked_again_in_later_rounds():
    slots = plan(request())
    absent = trial(slots[0], status="absent", absence=Absence(reason="not_installed", detail="x"))

    assert missing(slots, [absent]) == [slot for slot in slots if slot.cell != slots[0].cell]
