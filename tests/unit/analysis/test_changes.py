"""Changes of a series: what holds is found, and one night is none. How often: benchmarks/synthetic_histories.py."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sparsebench.analysis.changes import BEFORE, HOLD, MIN_SIZE, changes

NIGHTS, AT = 60, 30
ERRORS = np.full(NIGHTS, 0.004)


@pytest.fixture
def quiet() -> NDArray[np.float64]:
    """A ratio that stays as it is."""
    return 0.7 + np.random.default_rng(5).normal(0, 0.005, NIGHTS)


@pytest.mark.parametrize("size", [0.05, -0.05])
def test_a_step_is_found_with_its_first_night_its_size_and_when_it_had_held(
    quiet: NDArray[np.float64], size: float
) -> None:
    quiet[AT:] += size
    (change,) = changes(quiet, ERRORS)
    assert change.first == AT
    assert change.earliest <= AT <= change.latest
    assert AT + HOLD - 1 <= change.told <= AT + HOLD + 1
    assert change.low < size < change.high
    assert change.high - change.low < 0.02
    assert change.p < 1e-6


def test_nothing_is_no_change(quiet: NDArray[np.float64]) -> None:
    assert changes(quiet, ERRORS) == []


@pytest.mark.parametrize("nights", [slice(AT, AT + 1), slice(AT, AT + HOLD - 1), slice(NIGHTS - HOLD + 1, NIGHTS)])
def test_what_did_not_hold_is_no_change(quiet: NDArray[np.float64], nights: slice) -> None:
    quiet[nights] -= 0.2
    assert changes(quiet, ERRORS) == []


def test_a_night_far_out_before_a_step_does_not_hide_it(quiet: NDArray[np.float64]) -> None:
    quiet[AT - 5] -= 0.5
    quiet[AT:] += 0.05
    assert [change.first for change in changes(quiet, ERRORS)] == [AT]


def test_a_first_night_between_what_was_and_what_is_belongs_to_the_change() -> None:
    """Nights of one machine, whose ninth to tenth were the last before and the first after ONNX Runtime got one thread
    instead of two; the hosts' neighbours made the difference of the tenth a smaller one."""
    before = [0.90, 0.91, 0.92, 0.97, 1.00, 0.99, 1.00, 0.99, 1.01]
    logs = np.log([*before, 0.64, 0.56, 0.51, 0.52, 0.52])
    errors = np.array([5, 14, 15, 9, 12, 7, 4, 10, 7, 5, 24, 10, 8, 7]) / 1000
    assert [(change.first, change.earliest, change.latest) for change in changes(logs, errors)] == [(9, 9, 9)]


def test_there_and_back_are_two_changes(quiet: NDArray[np.float64]) -> None:
    quiet[20:40] += 0.05
    assert [(change.first, change.size > 0) for change in changes(quiet, ERRORS)] == [(20, True), (40, False)]


def test_what_was_told_is_the_same_however_many_nights_follow(quiet: NDArray[np.float64]) -> None:
    quiet[20:] += 0.04
    quiet[40:] -= 0.03
    whole = changes(quiet, ERRORS)
    assert len(whole) == 2
    for nights in range(NIGHTS):
        known = changes(quiet[:nights], ERRORS[:nights])
        assert known == [change for change in whole if change.told < nights]


def test_a_change_that_is_smaller_than_anybody_minds_is_not_told() -> None:
    logs = np.where(np.arange(NIGHTS) < AT, 0.0, MIN_SIZE * 0.9) + 1e-6 * (-1.0) ** np.arange(NIGHTS)
    assert changes(logs, np.full(NIGHTS, 1e-6)) == []
    assert len(changes(logs * 2, np.full(NIGHTS, 1e-6))) == 1


def test_nights_that_are_hardly_known_weigh_little(quiet: NDArray[np.float64]) -> None:
    quiet[AT:] += 0.05
    errors = ERRORS.copy()
    errors[AT:] = 0.5
    assert changes(quiet, errors) == []


def test_one_night_that_is_known_better_than_the_others_is_no_change(quiet: NDArray[np.float64]) -> None:
    quiet[AT] += 0.05
    errors = np.full(NIGHTS, 0.02)
    errors[AT] = 0.0003
    assert changes(quiet, errors) == []


def test_too_few_nights_say_nothing() -> None:
    few = BEFORE + HOLD - 1
    logs = np.where(np.arange(few) < few - HOLD, 0.0, 1.0)
    assert changes(logs, np.full(few, 0.001)) == []
    assert changes(np.array([]), np.array([])) == []


@pytest.mark.filterwarnings("error")
def test_nights_that_are_all_alike_are_no_trouble() -> None:
    assert changes(np.zeros(NIGHTS), np.zeros(NIGHTS)) == []
