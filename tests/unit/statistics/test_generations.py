"""What all treatments of a host have in common in one generation and not in another, against nested regressions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from sparsebench.statistics.generations import compare
from sparsebench.statistics.pairs import Logs, Treatment, Unit
from sparsebench.statistics.scatter import scatter

ENGINES = ("onnxruntime", "openvino", "deepsparse")


def treatments(effects: list[float], noise: float = 0.0, seed: int = 0) -> dict[Treatment, Logs]:
    """Two files by three engines, each with a speed of its own; effects: of each generation, on all alike."""
    rng = np.random.default_rng(seed)
    return {
        Treatment(variant, engine, "f32"): {
            Unit("i-1", "job", generation): [float(number + effect + noise * rng.standard_normal())]
            for generation, effect in enumerate(effects)
        }
        for number, (variant, engine) in enumerate((v, e) for v in ("base", "pruned") for e in ENGINES)
    }


def test_what_is_common_to_all_is_the_hosts_whatever_their_own_speeds() -> None:
    number, slowest, p = compare([treatments([0.0, 0.0, math.log(0.75), 0.0], noise=0.01)])
    assert number == 4
    assert slowest == pytest.approx(0.75, abs=0.02)
    assert p < 1e-6


def test_the_test_is_the_two_way_analysis_of_variance() -> None:
    """The F test of nested regressions."""
    one = treatments([0.0, 0.02, -0.01, 0.03, 0.0, 0.01], noise=0.02, seed=3)
    cells = [(t, unit, logs[0]) for t, of_treatment in one.items() for unit, logs in of_treatment.items()]
    y = np.array([log for _, _, log in cells])
    engine = np.array([[t == other for other in one] for t, _, _ in cells], float)
    generation = np.array([[unit.generation == g for g in range(1, 6)] for _, unit, _ in cells], float)
    both = np.hstack([engine, generation])
    rest = [float(((y - x @ np.linalg.lstsq(x, y, rcond=None)[0]) ** 2).sum()) for x in (engine, both)]
    freedom = len(y) - 6 - 5
    known = stats.f.sf((rest[0] - rest[1]) / 5 / (rest[1] / freedom), 5, freedom)
    assert compare([one]).p == pytest.approx(known, rel=1e-6)


def test_a_treatment_that_a_generation_lacks_makes_nothing_of_nothing() -> None:
    one = treatments([0.0] * 6, noise=0.02, seed=5)
    del next(iter(one.values()))[Unit("i-1", "job", 2)]
    number, slowest, p = compare([one])
    assert number == 6
    assert slowest > 0.95
    assert p > 0.01


def test_equals_are_hardly_ever_said_to_differ() -> None:
    said = sum(compare([treatments([0.0] * 6, noise=0.05, seed=seed)]).p < 0.05 for seed in range(400))
    assert 8 <= said <= 34  # 5 % of 400, and what chance adds


def test_networks_that_were_measured_at_other_times_are_compared_within_themselves() -> None:
    slow = {
        treatment: {unit: [log[0] - 1] for unit, log in logs.items()}
        for treatment, logs in treatments([0.0] * 3).items()
    }
    number, slowest, _ = compare([treatments([0.0] * 3), slow])
    assert number == 6
    assert slowest == pytest.approx(1)


def test_a_single_generation_says_nothing() -> None:
    number, slowest, p = compare([treatments([0.0])])
    assert number == 0
    assert math.isnan(slowest)
    assert math.isnan(p)


def test_two_generations_of_one_treatment_have_nothing_to_be_tested_by() -> None:
    one = dict([next(iter(treatments([0.0, -0.5]).items()))])
    number, slowest, p = compare([one])
    assert number == 2
    assert slowest == pytest.approx(math.exp(-0.5))
    assert math.isnan(p)


def test_the_scatter_is_the_standard_deviation_within_processes() -> None:
    rng = np.random.default_rng(1)
    logs = {Unit("i-1", "job", g): [g + 0.05 * float(x) for x in rng.standard_normal(6)] for g in range(200)}
    assert scatter(logs) == pytest.approx(0.05, rel=0.06)
    logs[Unit("i-1", "job", 0)][0] += 100  # a single outlier is not how it scatters
    assert scatter(logs) == pytest.approx(0.05, rel=0.06)
    assert math.isnan(scatter({Unit("i-1", "job", 0): [1.0]}))
