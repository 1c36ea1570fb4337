"""Estimates and their intervals, against values worked out by hand and against SciPy's tests."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tests.support.synthetic import student

from sparsebench.statistics.intervals import Estimate, combined, estimate, half_width


def test_the_interval_of_three_processes_by_hand() -> None:
    result = estimate([[1.0], [2.0], [3.0]])

    # The standard deviation is 1, its error 1/sqrt(3); Student's factor for 2 degrees of freedom is 4.303.
    assert (result.mean, result.freedom) == (2, 2)
    assert result.error == pytest.approx(0.57735, rel=1e-5)
    assert result.interval() == pytest.approx((2 - 2.48414, 2 + 2.48414), rel=1e-5)
    assert result.interval(0.9) == pytest.approx((2 - 1.685854, 2 + 1.685854), rel=1e-5)
    assert result.p_value() == pytest.approx(0.0741799, rel=1e-5)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=20).filter(lambda x: np.std(x) > 1e-3), st.floats(-1, 1))
def test_the_interval_and_the_p_value_are_scipys(values: list[float], truth: float) -> None:
    result = estimate([[value] for value in values])
    known = stats.ttest_1samp(values, truth)

    low, high = result.interval()
    assert (low, high) == pytest.approx(tuple(known.confidence_interval(0.95)), abs=1e-9)
    assert result.p_value(truth) == pytest.approx(known.pvalue, rel=1e-6, abs=1e-12)
    assert (result.p_value(truth) < 0.05) == (not low <= truth <= high) or result.p_value(truth) == pytest.approx(0.05)


def test_a_process_counts_the_same_however_many_rounds_it_has() -> None:
    assert estimate([[1.0] * 50, [2.0, 4.0], [5.0]]) == estimate([[1.0], [3.0], [5.0]])


def test_a_single_process_says_nothing_of_the_others() -> None:
    result = estimate([[1.0, 1.1, 0.9]])

    assert result.mean == pytest.approx(1)
    assert result.interval() == (-math.inf, math.inf)
    assert half_width(result) == math.inf
    assert result.p_value() == 1


def test_without_any_spread_the_interval_is_a_point() -> None:
    result = estimate([[0.5], [0.5], [0.5]])

    assert result.interval() == (0.5, 0.5)
    assert half_width(result) == 0
    assert (result.p_value(0.5), result.p_value(0)) == (1, 0)


def test_the_half_width_is_of_the_ratio_and_of_its_larger_side() -> None:
    result = Estimate(mean=math.log(2), error=0.1, freedom=1e9)

    assert half_width(result) == pytest.approx(math.exp(1.959964 * 0.1) - 1, rel=1e-5)
    assert half_width(result) > 1 - math.exp(-1.959964 * 0.1)


def test_a_difference_of_two_networks_has_the_freedom_of_welchs_test() -> None:
    a, b = [27.5, 21.0, 19.0, 23.6, 17.0, 17.9], [27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8]
    welch = stats.ttest_ind(a, b, equal_var=False)

    result = combined([estimate([[x] for x in a]), estimate([[-x] for x in b])])

    assert result.mean == pytest.approx((np.mean(a) - np.mean(b)) / 2)
    assert result.freedom == pytest.approx(welch.df)
    assert result.p_value() == pytest.approx(welch.pvalue)


def test_networks_that_are_known_equally_well_share_their_freedom() -> None:
    single = Estimate(mean=0.1, error=0.02, freedom=5)

    result = combined([single] * 4)

    assert (result.mean, result.error, result.freedom) == pytest.approx((0.1, 0.02 / 2, 4 * 5))


def test_the_network_that_is_known_worst_lends_its_freedom() -> None:
    result = combined([Estimate(0, 1.0, 5), Estimate(0, 1e-6, 50)])

    assert result.freedom == pytest.approx(5)
    assert result.error == pytest.approx(0.5)


def test_a_network_with_a_single_process_leaves_the_mean_unknown() -> None:
    result = combined([Estimate(0.2, 0.01, 5), Estimate(0.4, math.inf, 0)])

    assert result.mean == pytest.approx(0.3)
    assert result.interval() == (-math.inf, math.inf)


def test_networks_without_any_spread() -> None:
    assert combined([Estimate(0.2, 0, 2), Estimate(0.4, 0, 2)]).interval() == pytest.approx((0.3, 0.3))


def test_the_intervals_of_benchmarks_coverage_are_these() -> None:
    units = np.random.default_rng(0).standard_normal((7, 4, 5))

    mean, error, half = student(units.mean(-1))

    for run, unit in enumerate(units):
        result = estimate(unit.tolist())
        assert (mean[run], error[run]) == pytest.approx((result.mean, result.error))
        assert result.interval() == pytest.approx((mean[run] - half[run], mean[run] + half[run]))
