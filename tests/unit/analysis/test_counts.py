"""What was planned is counted, whether or not anything came of it."""

from __future__ import annotations

from collections.abc import Callable

from sparsebench import catalog
from sparsebench.analysis.counts import Counts, counts, of_run
from sparsebench.analysis.trials import from_trials
from sparsebench.contracts import ArtifactRef, BenchRequest, Block, Collection, HostFacts, MissingCell, Trial, sha256
from sparsebench.report import labels

ENGINES = ("onnxruntime", "openvino", "deepsparse")


def request(job: str = "job-a", instance_type: str = "m5.xlarge") -> BenchRequest:
    """Two files, three engines, one lane: six cells."""
    return BenchRequest(
        job=job,
        night="2026-11-24",
        manifest=sha256(b"manifest"),
        instance_type=instance_type,
        protocol=catalog.protocols()["quick"],
        models=tuple(
            ArtifactRef(network="vgg19", variant=variant, artifact=sha256(variant.encode()), input_shape=(3, 8, 8))
            for variant in ("base", "pruned")
        ),
        engines=ENGINES,
        seed=0,
    )


def test_every_planned_cell_has_a_number_or_a_reason(
    make_trial: Callable[..., Trial], make_block: Callable[..., Block], make_host: Callable[..., HostFacts]
) -> None:
    trials = [
        make_trial(),
        make_trial(engine="openvino", status="absent"),
        make_trial(engine="onnxruntime", blocks=(make_block(5, foreign_cores=0.9),)),
    ]
    never = MissingCell(cell=make_trial(variant="pruned").cell, reason="capacity", detail="no zone")
    run = Collection(run_id="r", night="2026-11-24", planned=6, measured=1, missing=(never,))
    counted = counts(from_trials(trials, [make_host()], [run], [request()]))
    assert counted == Counts(6, 1, {"absent": 1, "disturbed": 1, "capacity": 1, "not_begun": 2})
    assert list(counted.without) == ["absent", "disturbed", "capacity", "not_begun"]
    assert (counted.expected, counted.unexpected) == (5, 4)
    assert labels.counts(counted).startswith("6 cells planned, 1 with a number, 5 without: 1 absent (the engine cannot")


def test_a_cell_that_one_host_measured_has_a_number_though_another_did_not(
    make_trial: Callable[..., Trial], make_host: Callable[..., HostFacts]
) -> None:
    hosts = [make_host(), make_host(cpu_model="AMD EPYC 7R13", instance_id="i-2")]
    trials = [make_trial(), make_trial(instance_id="i-2", job="job-b", status="failed")]
    assert counts(from_trials(trials, hosts)) == Counts(1, 1, {})


def test_a_run_counts_its_own_cells_alone(
    make_trial: Callable[..., Trial], make_host: Callable[..., HostFacts]
) -> None:
    trials = [make_trial(), make_trial(network="resnet50"), make_trial(instance_type="t3.xlarge")]
    counted = of_run([request()], trials, [make_host(), make_host("t3.xlarge")])
    assert counted == Counts(6, 1, {"not_begun": 5})


def test_nothing_planned_is_said_to_be_so() -> None:
    assert labels.counts(counts(from_trials([], []))) == "No run was to measure anything."
