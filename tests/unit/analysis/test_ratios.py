"""Ratios are paired round by round, stand on processes or hosts, and claim no more than their intervals do."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sparsebench.analysis.csvfile import read_csv
from sparsebench.analysis.ratios import RATIOS, measure, ratios, slower
from sparsebench.analysis.results import Results
from sparsebench.analysis.trials import from_trials
from sparsebench.contracts import Block, HostFacts, Parity, Trial

MakeTrial = Callable[..., Trial]
MakeBlock = Callable[..., Block]
MakeHost = Callable[..., HostFacts]

T_OF_2, T_OF_5 = 4.302653, 2.570582


@pytest.fixture
def night(make_trial: MakeTrial, make_host: MakeHost) -> Callable[..., Results]:
    """A night of these speeds, process by process, of each engine (or engine and precision)."""

    def made(**speeds: list[float]) -> Results:
        trials = []
        for name, of in speeds.items():
            engine, _, precision = name.partition("_")
            changes = {"engine": engine, "precision": precision or "f32"}
            trials += [make_trial(speed, generation=index, **changes) for index, speed in enumerate(of)]
        return from_trials(trials, [make_host()])

    return made


def only(found: Results, target: float | None = None) -> dict[str, Any]:
    (row,) = ratios(measure(found), target).to_dict("records")
    return row


def test_a_ratio_has_students_interval_over_the_processes(night: Callable[..., Results]) -> None:
    """By hand: log ratios 0.10, 0.14, 0.12; mean 0.12, standard deviation 0.02, three processes."""
    found = night(deepsparse=[10 * math.exp(one) for one in (0.10, 0.14, 0.12)], openvino=[10.0, 10.0, 10.0])
    row = only(found, target=0.05)
    half = T_OF_2 * 0.02 / math.sqrt(3)
    assert (row["ratio"], row["low"], row["high"]) == pytest.approx(
        (math.exp(0.12), math.exp(0.12 - half), math.exp(0.12 + half))
    )
    assert row["half_width"] == pytest.approx(math.expm1(half))
    assert (row["engine_a"], row["engine_b"], row["over"]) == ("deepsparse", "openvino", "processes")
    assert (row["hosts"], row["processes"], row["rounds"], row["excluded_rounds"]) == (1, 3, 18, 0)
    assert not row["converged"]
    assert row["verdict"] == "too_few"  # three processes are too few, however alike they are
    assert only(found, target=0.06)["converged"]
    assert list(row) == list(RATIOS)


def test_what_is_common_to_a_generation_cancels(night: Callable[..., Results]) -> None:
    drift = [1.0, 0.5, 2.0, 0.7, 1.4, 1.1]
    row = only(night(deepsparse=[20 * one for one in drift], openvino=[10 * one for one in drift]))
    assert (row["low"], row["high"]) == pytest.approx((2, 2))
    assert row["verdict"] == "faster"


@pytest.mark.parametrize(
    ("logs", "verdict"),
    [
        ((0.10, 0.14, 0.12, 0.10, 0.14, 0.12), "faster"),
        ((-0.10, -0.14, -0.12, -0.10, -0.14, -0.12), "slower"),
        ((0.01, 0.00, -0.01, 0.01, 0.00, -0.01), "equivalent"),
        ((0.10, -0.14, 0.12, -0.10, 0.14, -0.12), "undecided"),
    ],
)
def test_verdicts(night: Callable[..., Results], logs: tuple[float, ...], verdict: str) -> None:
    found = night(deepsparse=[10 * math.exp(one) for one in logs], openvino=[10.0] * 6)
    assert only(found)["verdict"] == verdict


def test_a_round_with_a_disturbed_block_is_left_out_and_counted(
    make_trial: MakeTrial, make_block: MakeBlock, make_host: MakeHost
) -> None:
    quiet = [make_block(20, round) for round in range(6)]
    disturbed = make_block(2, 6, major_faults=3)
    trials = [
        make_trial(engine="deepsparse", blocks=(*quiet, disturbed)),
        make_trial(engine="openvino", blocks=tuple(make_block(10, round) for round in range(8))),
    ]
    row = only(from_trials(trials, [make_host()]))
    assert row["ratio"] == pytest.approx(2)
    assert (row["rounds"], row["excluded_rounds"]) == (6, 1)


def test_a_process_with_disturbed_blocks_alone_counts_as_left_out(
    make_trial: MakeTrial, make_block: MakeBlock, make_host: MakeHost
) -> None:
    trials = [make_trial(engine=engine, generation=index) for engine in ("deepsparse", "openvino") for index in (0, 1)]
    trials += [
        make_trial(engine="deepsparse", generation=2, blocks=(make_block(1, 0, swapped_pages=9),)),
        make_trial(engine="openvino", generation=2),
    ]
    row = only(from_trials(trials, [make_host()]))
    assert (row["processes"], row["rounds"], row["excluded_rounds"]) == (2, 12, 1)


def test_only_cells_with_a_throughput_are_compared(
    make_trial: MakeTrial, make_block: MakeBlock, make_host: MakeHost, make_parity: Callable[..., Parity]
) -> None:
    disturbed = tuple(make_block(5, round, foreign_cores=1.0) for round in range(9))
    trials = [
        make_trial(),
        make_trial(engine="openvino", parity=make_parity(relative=0.5, same_top1=8)),
        make_trial(engine="onnxruntime", blocks=disturbed),
        make_trial(engine="deepsparse.benchmark", status="failed"),
    ]
    assert measure(from_trials(trials, [make_host()])) == {}


def test_engines_of_different_runs_have_no_round_in_common(make_trial: MakeTrial, make_host: MakeHost) -> None:
    trials = [make_trial(), make_trial(engine="openvino", job="job-b")]
    row = only(from_trials(trials, [make_host()]))
    assert math.isnan(row["ratio"])
    assert (row["rounds"], row["verdict"]) == (0, "too_few")


def test_from_six_hosts_on_the_interval_is_over_hosts(make_trial: MakeTrial, make_host: MakeHost) -> None:
    """Two processes on each of six hosts: the hosts' means are the sample, not the twelve processes."""
    logs = (0.10, 0.20, 0.12, 0.18, 0.15, 0.15)
    names = [f"i-{index}" for index in range(6)]
    trials = [
        make_trial(
            10 * math.exp(log + step) if engine == "deepsparse" else 10.0,
            engine=engine,
            generation=generation,
            instance_id=name,
            job=f"job-{name}",
        )
        for name, log in zip(names, logs, strict=True)
        for generation, step in enumerate((-0.01, 0.01))
        for engine in ("deepsparse", "openvino")
    ]
    row = only(from_trials(trials, [make_host(instance_id=name) for name in names]))
    half = T_OF_5 * math.sqrt(sum((log - 0.15) ** 2 for log in logs) / 5 / 6)
    assert (row["over"], row["hosts"], row["processes"]) == ("hosts", 6, 12)
    assert (row["ratio"], row["high"]) == pytest.approx((math.exp(0.15), math.exp(0.15 + half)))
    fewer = only(from_trials(trials[:20], [make_host(instance_id=name) for name in names]))
    assert (fewer["over"], fewer["hosts"]) == ("processes", 5)


def test_the_pairs_of_a_machine_and_lane_are_one_family(night: Callable[..., Results]) -> None:
    steps = (0.01, 0.09, 0.05, 0.00, 0.08, 0.07)
    speeds = {
        "deepsparse": [10 * math.exp(one) for one in steps],
        "openvino": [10.0] * 6,
        "onnxruntime": [9.9, 10.2, 9.8, 10.4, 10.1, 9.7],
        "openvino_native": [30.0, 31.0, 30.5, 30.2, 30.1, 30.9],
    }
    alone = only(night(**{name: speeds[name] for name in ("deepsparse", "openvino")}))
    table = ratios(measure(night(**speeds)))
    among = table[(table["engine_a"] == "deepsparse") & (table["engine_b"] == "openvino")].iloc[0]
    assert (alone["verdict"], among["verdict"]) == ("faster", "undecided")
    assert among["p"] == pytest.approx(3 * alone["p"])  # the smallest of three; the native one is another family
    assert among["low"] == pytest.approx(alone["low"])


def test_an_engine_in_its_native_precision_is_compared_with_itself_in_fp32(night: Callable[..., Results]) -> None:
    found = night(openvino=[10.0] * 6, openvino_native=[16.0] * 6, deepsparse_native=[9.0] * 6)
    pairs = ratios(measure(found))[["engine_a", "precision_a", "engine_b", "precision_b", "ratio"]]
    assert [tuple(row) for row in pairs.round(2).itertuples(index=False)] == [
        ("deepsparse", "native", "openvino", "native", 0.56),
        ("openvino", "native", "openvino", "f32", 1.6),
    ]


def test_repeats_of_a_csv_are_paired_by_their_number(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    rows = [
        f"m5.xlarge,Xeon,vgg19,base,{engine},{speed},{repeat}"
        for engine, of in {"deepsparse": {1: 10, 2: 22, 3: 7}, "openvino": {1: 5, 2: 10}}.items()
        for repeat, speed in of.items()
    ]
    path.write_text("\n".join(["instance_type,cpu_model,model,variant,engine,throughput_img_s,repeat", *rows]))
    row = only(read_csv(path))
    assert row["ratio"] == pytest.approx(math.sqrt(2 * 2.2))
    assert (row["over"], row["processes"], row["rounds"]) == ("repeats", 2, 2)
    path.write_text(
        "\n".join(["instance_type,cpu_model,model,variant,engine,throughput_img_s,repeat", rows[0], rows[3]])
    )
    one = only(read_csv(path))
    assert (one["ratio"], one["verdict"]) == (pytest.approx(2), "too_few")
    assert math.isnan(one["low"])
    assert math.isnan(one["half_width"])


def test_only_what_is_shown_to_be_slower_is(night: Callable[..., Results]) -> None:
    noise = (1.01, 0.99, 1.0, 1.02, 0.98, 1.0)
    found = night(deepsparse=[20 * one for one in noise], onnxruntime=[10.0] * 6, openvino=[20.1] * 6)
    behind = slower(ratios(measure(found)))
    assert behind == {("vgg19", "base", engine): {"onnxruntime"} for engine in ("deepsparse", "openvino")}


def test_the_order_of_the_trials_does_not_matter(make_trial: MakeTrial, make_host: MakeHost) -> None:
    trials = [
        make_trial(speed, engine=engine, generation=index)
        for engine in ("openvino", "deepsparse")
        for index, speed in enumerate((50.0, 60.0, 52.0))
    ]
    here, there = (only(from_trials(order, [make_host()])) for order in (trials, trials[::-1]))
    assert here == there or str(here) == str(there)
