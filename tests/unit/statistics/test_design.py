"""How many rounds a process gets, against Kalibera and Jones' formula by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsebench.statistics.design import ENOUGH_PROCESSES, Cost, Spread, rounds_per_process, spread

COST = Cost(generation=8, round=0.5)
PLENTY = 1e9


def rounds(*spreads: Spread, cost: Cost = COST, budget_s: float = PLENTY, least: int = 1, most: int = 1000) -> int:
    return rounds_per_process(spreads, cost, budget_s, least, most)


def test_variances_by_hand() -> None:
    # Within: (0.5 + 0.5) / 2 degrees of freedom. The means are 1.5 and 4.5: variance 4.5, of which 0.5 / 2 is theirs.
    measured = spread([[1, 2], [4, 5]])
    assert (measured.within, measured.between) == pytest.approx((0.5, 4.25))


def test_processes_of_different_lengths_by_hand() -> None:
    # Within: squares 2 + 0 over 2 degrees of freedom. Means 2 and 5: variance 4.5, less 1 × (1/3 + 1) / 2.
    measured = spread([[1, 2, 3], [5]])
    assert (measured.within, measured.between) == pytest.approx((1, 4.5 - 2 / 3))


def test_processes_whose_rounds_explain_everything_do_not_differ() -> None:
    measured = spread([[0, 1], [0, 1], [1, 0]])
    assert measured.within == pytest.approx(0.5)
    assert measured.between == 0


def test_one_round_a_process_says_nothing_of_rounds() -> None:
    measured = spread([[1], [2], [3]])
    assert measured.within == 0
    assert measured.between == pytest.approx(1)


def test_the_variances_are_right_on_average() -> None:
    rng = np.random.default_rng(0)
    measured = [spread((rng.normal(0, 3, (8, 1)) + rng.normal(0, 2, (8, 5))).tolist()) for _ in range(1000)]

    assert np.mean([spread_.within for spread_ in measured]) == pytest.approx(4, rel=0.03)
    assert np.mean([spread_.between for spread_ in measured]) == pytest.approx(9, rel=0.05)


@pytest.mark.parametrize(
    ("within", "between", "expected"),
    [(1, 1, 4), (4, 1, 8), (1, 4, 2), (2, 1, 6), (1, 100, 1)],  # sqrt(8 / 0.5 × within / between), rounded up
)
def test_rounds_by_hand(within: float, between: float, expected: int) -> None:
    assert rounds(Spread(within, between)) == expected


def test_it_is_the_cheapest_way_to_the_same_interval() -> None:
    spread_ = Spread(within=4, between=0.6)
    best = rounds(spread_)

    def price(count: int) -> float:
        """Of a given variance of the mean: processes that it takes, times what each costs."""
        return (spread_.between + spread_.within / count) * (COST.generation + count * COST.round)

    assert min(price(best), price(best - 1)) <= min(price(count) for count in range(1, 200))


def test_the_pair_that_varies_most_decides() -> None:
    quiet, loud = Spread(within=0.1, between=0.0001), Spread(within=1, between=1)

    assert rounds(quiet, loud) == rounds(loud, quiet) == rounds(loud) == 4


def test_bounds() -> None:
    assert rounds(Spread(1, 100), least=3) == 3
    assert rounds(Spread(100, 1), most=7) == 7


def test_where_processes_do_not_differ_it_is_the_most() -> None:
    assert rounds(Spread(1, 0), most=60) == 60
    assert rounds(Spread(0, 0), most=60) == 60


def test_the_budget_leaves_time_for_enough_processes() -> None:
    # A sixth of 120 s is 20 s: 8 to load, and 24 rounds.
    assert rounds(Spread(1, 0), budget_s=20 * ENOUGH_PROCESSES) == 24
    assert rounds(Spread(4, 1), budget_s=20 * ENOUGH_PROCESSES) == 8


def test_a_budget_that_is_too_small_still_gives_the_least() -> None:
    assert rounds(Spread(1, 0), budget_s=1, least=5) == 5


positive = st.floats(1e-6, 1e6)


@given(st.lists(st.builds(Spread, positive, positive), min_size=1, max_size=6), st.integers(-8, 8))
def test_only_proportions_matter(spreads: list[Spread], power: int) -> None:
    scaled = [
        replace(spread_, within=spread_.within * 4.0**power, between=spread_.between * 4.0**power)
        for spread_ in spreads
    ]

    assert rounds(*scaled) == rounds(*spreads)


@given(st.builds(Spread, st.floats(0, 1e6), st.floats(0, 1e6)), st.integers(1, 50), st.integers(0, 50), positive)
def test_it_is_within_its_bounds(spread_: Spread, least: int, more: int, budget_s: float) -> None:
    assert least <= rounds(spread_, budget_s=budget_s, least=least, most=least + more) <= least + more
