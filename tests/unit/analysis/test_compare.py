"""Comparisons are over the cells that both engines have, and say how many entered."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsebench.analysis.compare import compare, headlines, line_points
from sparsebench.analysis.results import CELL, MISSING, REPEATS, Results, from_trials, table
from sparsebench.contracts import HostFacts, Trial

speeds = st.floats(0.5, 5000)


def results(cells: dict[tuple[str, str], float], machine: str = "m5.xlarge") -> Results:
    """One machine; cells by network and engine."""
    rows = [
        {**dict.fromkeys(CELL, ""), "instance_type": machine, "cpu_model": "A", "emulated": False, "variant": "base",
         "network": network, "engine": engine, "precision": "f32", "repeat": 0, "throughput_img_s": speed,
         "supported_ops": None}
        for (network, engine), speed in cells.items()
    ]  # fmt: skip
    return Results(table(rows, REPEATS), table([], MISSING))


def test_only_shared_cells_enter() -> None:
    cells = results({("x", "a"): 20, ("x", "b"): 10, ("y", "a"): 1000, ("z", "b"): 1}).cells
    (machine,) = compare(cells, "a", "b").machines.to_dict("records")
    assert (machine["mean_a"], machine["mean_b"], machine["study"]) == (20, 10, 1)
    assert (machine["cells"], machine["cells_any"]) == (1, 3)


def test_engines_without_a_shared_cell_are_not_compared() -> None:
    cells = results({("x", "deepsparse"): 20, ("y", "openvino"): 10}).cells
    assert compare(cells, "deepsparse", "openvino").machines.empty
    assert headlines(cells) == []


def test_without_deepsparse_the_others_are_compared() -> None:
    cells = results({("x", "onnxruntime"): 10, ("x", "openvino"): 12}).cells
    assert [(one.a, one.b, round(one.study, 4)) for one in headlines(cells)] == [
        ("onnxruntime", "openvino", round(10 / 12 - 1, 4))
    ]


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
    cells = from_trials(trials, [make_host()]).cells
    assert compare(cells, "deepsparse", "openvino").study == 0
    assert set(line_points(cells)["files_any"]) == {1}


def test_a_point_of_the_line_graph_is_over_the_files_that_every_engine_has() -> None:
    points = line_points(results({("x", "a"): 20, ("x", "b"): 10, ("y", "a"): 1000}).cells)
    assert dict(zip(points["engine"], points["mean_img_s"], strict=True)) == {"a": 20, "b": 10}
    assert set(points["files"]) == {1}
    assert set(points["files_any"]) == {2}


def test_the_band_is_the_spread_over_the_repeats(
    make_trial: Callable[..., Trial], make_host: Callable[..., HostFacts]
) -> None:
    trials = [
        make_trial(speed, network=network, round=index)
        for network, repeats in {"vgg19": (8.0, 10.0, 11.0), "resnet50": (20.0, 30.0, 40.0)}.items()
        for index, speed in enumerate(repeats)
    ]
    (point,) = line_points(from_trials(trials, [make_host()]).cells).to_dict("records")
    assert (point["low_img_s"], point["mean_img_s"], point["high_img_s"]) == (14, 20, 25.5)


@given(st.lists(st.tuples(speeds, speeds), min_size=1, max_size=8))
def test_turning_a_pair_around_inverts_its_ratios(pairs: list[tuple[float, float]]) -> None:
    cells = results({(f"n{i}", engine): pair[j] for i, pair in enumerate(pairs) for j, engine in enumerate("ab")}).cells
    there, back = compare(cells, "a", "b"), compare(cells, "b", "a")
    assert (1 + there.geometric) * (1 + back.geometric) == pytest.approx(1)
    assert (1 + there.study) * (1 + back.study) == pytest.approx(1)


@given(st.lists(speeds, min_size=1, max_size=8), st.floats(0.2, 5))
def test_an_engine_that_is_always_k_times_as_fast_is_so_by_either_rule(base: list[float], factor: float) -> None:
    cells = results(
        {(f"n{i}", engine): speed * (factor if engine == "a" else 1) for i, speed in enumerate(base) for engine in "ab"}
    ).cells
    found = compare(cells, "a", "b")
    assert np.allclose([found.study, found.geometric], factor - 1)
