"""What to take for a network of a person's own: the answer, what is measured again, and what was not tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sparsebench import catalog, report
from sparsebench.analysis.choice import Bounds
from sparsebench.contracts import (
    ArtifactRef,
    BenchRequest,
    BesideBase,
    Failure,
    HostFacts,
    Job,
    Manifest,
    ModelCard,
    Trial,
    Variant,
)
from sparsebench.fleet.collect import collect
from sparsebench.report.recommendation import answer, further
from sparsebench.report.sentences import beside_base
from sparsebench.store import Store

NIGHT = "2026-11-24"
NOW = datetime(2026, 11, 24, 4, tzinfo=UTC)
OWN = "my-own"
ENGINES = ("openvino", "deepsparse")
TYPES = ("m5.xlarge", "m6a.xlarge", "m7i.xlarge")


class Run:
    """Of three types and two engines, by the speed of each type; None: it was never launched."""

    def __init__(self, store: Store, jobs: list[Job], make_trial: Callable[..., Trial]):
        self.store, self.jobs, self.make_trial = store, jobs, make_trial

    def measure(self, speeds: Mapping[str, float | None], suffix: str = "") -> None:
        for job in self.jobs:
            speed = speeds.get(job.instance_type)
            for generation in range(6 if speed else 0):
                for engine in ENGINES:
                    at = (speed or 0) * (1 if engine == "openvino" else 0.5) * (1 + 0.01 * (generation % 2))
                    given = {"network": OWN, "engine": engine, "instance_type": job.instance_type}
                    self.store.put_trial(self.make_trial(at, generation=generation, job=job.job + suffix, **given))

    def again(self, **bounds: object) -> list[Job]:
        return further(self.store, self.jobs, Bounds(**bounds))  # type: ignore[arg-type]

    def says(self, **bounds: object) -> str:
        collection = collect(self.store, self.jobs, {}, NOW)
        sentences = answer(self.store, self.jobs, collection, Bounds(**bounds))  # type: ignore[arg-type]
        return "\n".join(sentences).replace("\u00a0", " ")


@pytest.fixture
def variants() -> tuple[Variant, ...]:
    """That are asked for."""
    return ("base",)


@pytest.fixture
def run(
    tmp_path: Path,
    variants: tuple[Variant, ...],
    make_job: Callable[..., Job],
    make_host: Callable[..., HostFacts],
    make_trial: Callable[..., Trial],
    make_card: Callable[..., ModelCard],
    make_manifest: Callable[..., Manifest],
) -> Run:
    store = Store(tmp_path.as_uri())
    of_own = {"input_shape": (0, 0, 0), "layers": (), "sparsity": 0.0, "accuracy": None}
    cards = tuple(make_card(OWN, variant=variant, **of_own) for variant in variants)
    store.freeze(make_manifest(models=cards))
    jobs = []
    for name in TYPES:
        store.put_host(NIGHT, make_host(name))
        request = BenchRequest(
            job=f"{name}-a",
            night=NIGHT,
            manifest=store.manifest(NIGHT).digest,
            instance_type=name,
            protocol=catalog.protocols()["quick"],
            models=tuple(
                ArtifactRef(network=OWN, variant=card.variant, artifact=card.artifact, input_shape=(0, 0, 0))
                for card in cards
            ),
            engines=ENGINES,
            seed=1,
        )
        jobs.append(make_job(job=request.job, instance_type=name, request=store.put_bench_request(request)))
    return Run(store, jobs, make_trial)


def test_only_what_does_not_clearly_lose_is_measured_again(run: Run) -> None:
    run.measure({"m5.xlarge": 20.0, "m6a.xlarge": 18.0, "m7i.xlarge": 5.0})
    again = run.again()
    assert [(job.job, job.instance_type) for job in again] == [
        ("m5.xlarge-a.2", "m5.xlarge"),
        ("m6a.xlarge-a.2", "m6a.xlarge"),
    ]
    assert [run.store.bench_request(job.request).job for job in again] == [job.job for job in again]


@pytest.mark.parametrize("speeds", [{"m5.xlarge": 20.0, "m7i.xlarge": 5.0}, {"m5.xlarge": 20.0}, {}], ids=str)
def test_nothing_is_measured_again_where_the_machine_is_known(run: Run, speeds: dict[str, float | None]) -> None:
    run.measure(speeds)
    assert run.again() == []


def test_the_answer_names_what_to_take_the_next_and_what_was_not_tried(run: Run) -> None:
    run.measure({"m5.xlarge": 20.0, "m7i.xlarge": 5.0})
    run.store.put_failure(
        Failure(job="m6a.xlarge-a", step="launch", reason="capacity", detail="no zone has one", at=NOW)
    )
    sentences = run.says()
    assert sentences.startswith("my-own: take m5.xlarge with OpenVINO, base, ")
    assert "USD a million inferences" in sentences
    assert "m5.xlarge with DeepSparse, base costs 100.0 % more" in sentences
    assert "Measured once: m5.xlarge and m7i.xlarge." in sentences
    assert "twice" not in sentences
    assert "No number: OpenVINO and DeepSparse on m6a.xlarge, capacity: launch: no zone has one." in sentences
    assert (
        "Not tried: a pruned file, as none was given; an INT8 file, as none was given; t3.xlarge, c4.xlarge and "
        "m5n.xlarge, and every type" in sentences
    )


@pytest.mark.parametrize("variants", [("base", "int8")])
def test_an_engine_that_has_no_number_with_one_file_is_named_with_that(run: Run) -> None:
    run.measure({"m5.xlarge": 20.0, "m6a.xlarge": 18.0, "m7i.xlarge": 5.0})
    sentences = run.says()
    assert "No number: OpenVINO (INT8) and DeepSparse (INT8) on m5.xlarge, " in sentences
    assert "Not tried: a pruned file, as none was given; t3.xlarge, " in sentences
    assert "my-own, INT8: its outputs were not held to its base's" in sentences


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (None, "its outputs were not held to its base's, for which sample inputs are needed that both files take."),
        (BesideBase(samples=1, relative=0, same_largest=None), "on 1 sample its outputs are the base's."),
        (
            BesideBase(samples=16, relative=0.034, same_largest=0.9375),
            "on 16 samples its outputs are off the base's by 0.034 at most, relative to the largest number; the top "
            "class is the base's in 93.8 % of all places.",
        ),
    ],
)
def test_what_a_sibling_computes_is_said_beside_its_speed(
    make_card: Callable[..., ModelCard], seen: BesideBase | None, said: str
) -> None:
    cards = [make_card(OWN), make_card(OWN, variant="int8", beside_base=seen), make_card("vgg19", variant="pruned")]
    assert beside_base(cards) == [f"my-own, INT8: {said}"]


def test_the_answer_says_what_was_measured_again(run: Run) -> None:
    speeds = {"m5.xlarge": 20.0, "m6a.xlarge": 18.0, "m7i.xlarge": 5.0}
    run.measure(speeds)
    again = run.again()
    run.measure({job.instance_type: speeds[job.instance_type] for job in again}, ".2")
    sentences = run.says()
    assert "on another instance each time, as none clearly lost: m5.xlarge and m6a.xlarge." in sentences
    assert "Measured once: m7i.xlarge." in sentences


def test_the_answer_says_what_could_not_be_measured_again(run: Run) -> None:
    run.measure({"m5.xlarge": 20.0, "m6a.xlarge": 18.0})
    run.store.put_failure(
        Failure(job="m6a.xlarge-a.2", step="launch", reason="over_budget", detail="0.10 USD are left", at=NOW)
    )
    assert "The second time, m6a.xlarge failed: over budget: 0.10 USD are left." in run.says()


def test_bounds_that_nothing_meets_name_the_nearest(run: Run) -> None:
    run.measure({"m5.xlarge": 20.0, "m7i.xlarge": 5.0})
    assert run.again(latency_ms=1.0, percentile=50) == []
    sentences = run.says(latency_ms=1.0, percentile=50)
    assert "nothing surely meets the bounds (p50 of at most 1 ms). The nearest is m5.xlarge with OpenVINO" in sentences


def test_a_run_in_which_nothing_has_a_number_names_no_machine(run: Run) -> None:
    assert run.says().startswith("my-own: no machine can be named, as nothing has a number.")


@pytest.mark.slow
def test_the_report_of_its_night_shows_it_by_its_name(run: Run) -> None:
    run.measure({"m5.xlarge": 20.0, "m7i.xlarge": 5.0})
    files = report.build(run.store, NIGHT)
    assert OWN in files["index.html"].decode()
    assert files["throughput.csv"].decode().count(OWN) >= 4
    assert OWN in files["choices.csv"].decode()
