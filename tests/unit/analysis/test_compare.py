"""Comparisons are over the cells that both engines have, say how many entered, and how surely they are known."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsebench.analysis.compare import Comparison, compare, headlines, line_points
from sparsebench.analysis.ratios import measure
from sparsebench.analysis.results import MISSING, REPEATS, Results, table
from sparsebench.analysis.trials import from_trials
from sparsebench.contracts import HostFacts, Trial
from sparsebench.statistics.intervals import combined, estimate

speeds = st.floats(0.5, 5000)


def results(cells: Mapping[tuple[str, str], float | Sequence[float]], machine: str = "m5.xlarge") -> Results:
    """One machine; the repeats of cells by network and engine."""
    rows = [
        {**dict.fromkeys(REPEATS), "instance_type": machine, "cpu_model": "A", "emulated": False, "variant": "base",
         "network": network, "engine": engine, "precision": "f32", "repeat": repeat, "throughput_img_s": speed}
        for (network, engine), values in cells.items()
        for repeat, speed in enumerate(values if isinstance(values, Sequence) else [values])
    ]  # fmt: skip
    return Results(table(rows, REPEATS), table([], MISSING))


def compared(measured: Results, a: str, b: str) -> Comparison:
    (comparison,) = compare(measured, measure(measured), [(a, b)])
    return comparison


def test_only_shared_cells_enter() -> None:
    comparison = compared(results({("x", "a"): 20, ("x", "b"): 10, ("y", "a"): 1000, ("z", "b"): 1}), "a", "b")
    (machine,) = comparison.machines.to_dict("records")
    assert (machine["mean_a"], machine["mean_b"], machine["study"]) == (20, 10, 1)
    assert (machine["entered"], machine["cells"], machine["cells_planned"]) == (1, 1, 3)


def test_engines_without_a_shared_cell_are_not_compared() -> None:
    some = results({("x", "deepsparse"): 20, ("y", "openvino"): 10})
    assert compare(some, measure(some), [("deepsparse", "openvino")]) == []
    assert headlines(some, measure(some)) == []


def test_without_deepsparse_the_others_are_compared() -> None:
    some = results({("x", "onnxruntime"): 10, ("x", "openvino"): 12})
    assert [(headline.a, headline.b, round(headline.study, 4)) for headline in headlines(some, measure(some))] == [
        ("onnxruntime", "openvino", round(10 / 12 - 1, 4))
    ]


def test_the_headline_is_the_mean_of_the_files_with_welchs_interval() -> None:
    logs = {"x": [0.10, 0.14, 0.12, 0.11, 0.13, 0.12], "y": [0.30, 0.36, 0.33, 0.33, 0.31, 0.35]}
    some = results(
        {(network, "a"): [10 * math.exp(value) for value in values] for network, values in logs.items()}
        | {(network, "b"): [10.0] * 6 for network in logs}
    )
    comparison = compared(some, "a", "b")
    expected = combined([estimate([[value] for value in values]) for values in logs.values()])
    assert expected.freedom < 10
    low, high = expected.interval()
    assert (comparison.overall.ratio, comparison.overall.low, comparison.overall.high) == pytest.approx(
        (math.exp(0.225), math.exp(low), math.exp(high))
    )
    assert comparison.overall.kind == "faster"
    (machine,) = comparison.machines.to_dict("records")
    assert (machine["low"], machine["high"]) == pytest.approx((math.exp(low) - 1, math.exp(high) - 1))


def test_a_file_without_an_interval_does_not_take_it_from_the_others() -> None:
    some = results({("x", "a"): [10.0, 11.0], ("x", "b"): [9.0, 9.1], ("y", "a"): 20.0, ("y", "b"): 5.0})
    (machine,) = compared(some, "a", "b").machines.to_dict("records")
    assert (machine["entered"], machine["cells"]) == (1, 2)
    assert not math.isnan(machine["low"])


def test_the_verdicts_of_all_headlines_and_machines_are_one_family() -> None:
    """A p-value that would do alone does not do among three headlines."""
    a = [10 * math.exp(value) for value in (0.01, 0.09, 0.05, 0.00, 0.08, 0.07)]
    cells = {("x", "deepsparse"): a, ("x", "openvino"): [10.0] * 6}
    alone = compared(results(cells), "deepsparse", "openvino").overall
    assert alone.kind == "faster"
    some = results(cells | {("x", "onnxruntime"): [9.9, 10.2, 9.8, 10.4, 10.1, 9.7]})
    pairs = [("deepsparse", "openvino"), ("deepsparse", "onnxruntime"), ("openvino", "onnxruntime")]
    first, *_ = compare(some, measure(some), pairs)
    assert first.overall.p == pytest.approx(3 * alone.p)
    assert first.overall.kind == "undecided"
    assert first.overall.ratio == alone.ratio


def test_fake_pruned_networks_do_not_enter_a_mean(
    make_trial: Callable[..., Trial], make_host: Callable[..., HostFacts]
) -> None:
    trials = [
        make_trial(speed, engine=engine, variant=variant)
        for engine, variant, speed in [
            ("deepsparse", "base", 10.0),
            ("openvino", "base", 10.0),
            ("deepsparse", "fake99", 900.0),
            ("openvino", "fake99", 10.0),
        ]
    ]
    combined_results = from_trials(trials, [make_host()])
    assert compared(combined_results, "deepsparse", "openvino").study == 0
    assert set(line_points(combined_results)["files_planned"]) == {1}


def test_a_point_of_the_line_graph_is_over_the_files_that_every_engine_has() -> None:
    points = line_points(results({("x", "a"): 20, ("x", "b"): 10, ("y", "a"): 1000}))
    assert dict(zip(points["engine"], points["mean_img_s"], strict=True)) == pytest.approx({"a": 20, "b": 10})
    assert set(points["files"]) == {1}
    assert set(points["files_planned"]) == {2}


def test_the_band_is_the_interval_of_the_mean_over_the_files() -> None:
    some = results({("x", "a"): [9.9, 10.0, 10.1], ("y", "a"): [29.0, 30.0, 31.0]})
    (point,) = line_points(some).to_dict("records")
    assert point["mean_img_s"] == pytest.approx(20, rel=1e-3)
    # The wider file's error is ten times the other's, so that its two degrees of freedom count.
    assert point["high_img_s"] - point["mean_img_s"] == pytest.approx(4.303 * 1 / math.sqrt(3) / 2, rel=0.02)


@pytest.mark.slow
@given(st.lists(st.tuples(speeds, speeds), min_size=1, max_size=8))
def test_turning_a_pair_around_inverts_its_ratios(pairs: list[tuple[float, float]]) -> None:
    some = results({(f"n{i}", engine): pair[j] for i, pair in enumerate(pairs) for j, engine in enumerate("ab")})
    there, back = compared(some, "a", "b"), compared(some, "b", "a")
    assert (1 + there.geometric) * (1 + back.geometric) == pytest.approx(1)
    assert (1 + there.study) * (1 + back.study) == pytest.approx(1)


@pytest.mark.slow
@given(st.lists(speeds, min_size=1, max_size=8), st.floats(0.2, 5))
def test_an_engine_that_is_always_k_times_as_fast_is_so_by_either_rule(base: list[float], factor: float) -> None:
    some = results(
        {
            (f"n{i}", engine): speed * (factor if engine == "a" else 1)
            for (i, speed), engine in product(enumerate(base), "ab")
        }
    )
    comparison = compared(some, "a", "b")
    assert np.allclose([comparison.study, comparison.geometric], factor - 1)


def test_a_file_that_no_engine_measured_is_counted_among_the_planned(
    make_trial: Callable[..., Trial], make_host: Callable[..., HostFacts]
) -> None:
    trials = [make_trial(20.0), make_trial(10.0, engine="openvino")]
    trials += [make_trial(network=name, status="failed") for name in ("resnet50", "mobilenetv1")]
    some = from_trials(trials, [make_host()])
    (machine,) = compared(some, "deepsparse", "openvino").machines.to_dict("records")
    assert (machine["cells"], machine["cells_planned"]) == (1, 3)
    assert set(line_points(some)["files_planned"]) == {3}
