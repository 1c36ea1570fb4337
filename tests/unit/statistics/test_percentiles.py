"""Percentiles of latencies that are alike within a block and a process, and when too few are known for an interval."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support.values import there

from sparsebench.statistics.pairs import Unit
from sparsebench.statistics.percentiles import (
    DESIGN_EFFECT,
    PERCENTILES,
    Percentile,
    independent_latencies,
    percentile_ratios,
    percentiles,
)

Floats = NDArray[np.float64]


def cell(processes: Floats, host: str = "i-0") -> dict[Unit, list[float]]:
    """processes: on the first axis, their latencies on the others."""
    return {Unit(host, "job", number): latencies.ravel().tolist() for number, latencies in enumerate(processes)}


def alike(rng: np.random.Generator, processes: int, blocks: int = 6, latencies: int = 15) -> Floats:
    """Logs whose intraclass correlation within a block is 0.5."""
    shape = (processes, blocks, latencies)
    return 0.1 * rng.standard_normal(shape) + 0.1 * rng.standard_normal((*shape[:2], 1))


def test_so_many_independent_latencies_has_an_interval() -> None:
    """Of the smallest n for which 0.5^n, 0.9^n, 0.95^n, 0.99^n is no more than 0.025."""
    assert [independent_latencies(percentile) for percentile in PERCENTILES] == [6, 36, 72, 368]


def test_the_values_are_order_statistics() -> None:
    results = percentiles(cell(np.arange(1.0, 1201.0).reshape(100, 12).T))

    assert [result.value for result in results] == [600, 1080, 1140, 1188]
    known = [result for result in results if not result.too_few]
    assert [result.percentile for result in known] == [50, 90, 95]
    assert all(there(result.low) <= result.value <= there(result.high) for result in known)


def test_fewer_than_six_processes_are_too_few() -> None:
    results = percentiles(cell(np.exp(alike(np.random.default_rng(1), 5, 40))))

    assert {(result.low, result.high, result.too_few) for result in results} == {(None, None, "5 of 6 processes")}
    assert all(result.value > 0 for result in results)


def test_a_tail_wants_more_latencies_than_a_middle() -> None:
    results = {result.percentile: result for result in percentiles(cell(np.exp(alike(np.random.default_rng(1), 6))))}

    assert [results[percentile].too_few for percentile in (50, 90, 95)] == ["", "", ""]
    assert results[99] == Percentile(99, results[99].value, None, None, f"540 of {DESIGN_EFFECT * 368} latencies")


def test_each_process_counts_the_same_however_many_latencies_it_has() -> None:
    few = {Unit("i-0", "job", number): [float(number)] * 10 for number in range(6)}
    many = few | {Unit("i-0", "job", 5): [5.0] * 1000}

    assert [result.value for result in percentiles(many)] == [result.value for result in percentiles(few)]


def test_each_host_counts_the_same_however_many_processes_it_has() -> None:
    rng = np.random.default_rng(2)
    results = percentiles(cell(np.exp(alike(rng, 20, 12)), "i-0") | cell(10 * np.exp(alike(rng, 6, 12)), "i-1"))

    # Half of all latencies lie below the other half, which is tenfold: its p80 is the p90 of all.
    assert results[1].value == pytest.approx(10 * np.exp(0.1 * np.sqrt(2) * 0.8416), rel=0.1)


def test_the_ratio_is_of_processes_that_took_turns() -> None:
    """What is common to a generation cancels, though it is ten times what either varies by."""
    rng = np.random.default_rng(3)
    common = rng.standard_normal((6, 1, 1))
    a, b = (cell(np.exp(alike(rng, 6) + common + shift)) for shift in (np.log(1.2), 0))

    first, *_, last = percentile_ratios(a, b)

    assert first.value == pytest.approx(1.2, abs=0.1)
    assert first.low is not None
    assert first.high is not None
    assert 1 < first.low < 1.2 < first.high < 1.5
    assert last.too_few


def test_the_ratio_of_a_tail_wants_enough_latencies_of_each_process() -> None:
    rng = np.random.default_rng(6)
    a, b = (cell(np.exp(alike(rng, 12, 20))) for _ in "ab")

    *_, p95, p99 = percentile_ratios(a, b)

    assert p95.too_few == ""
    assert (p99.low, p99.too_few) == (None, "300 of 500 latencies of a process")


def test_engines_that_never_took_turns_have_no_ratio() -> None:
    a, b = cell(np.ones((6, 90))), {Unit("i-0", "other", number): [1.0] * 90 for number in range(6)}

    assert percentile_ratios(a, b) == []
    assert percentiles({}) == []


@pytest.mark.parametrize("blocks", [6, 10])
def test_the_intervals_cover(blocks: int) -> None:
    """Order statistics as if latencies were independent cover the median in 45 %, t over processes p95 in 83 %."""
    runs, rng = 600, np.random.default_rng(4)
    truth = np.exp(np.sqrt(2) * 0.1 * np.array([0, 1.2816, 1.6449]))
    held = np.zeros(3)
    for _ in range(runs):
        results = percentiles(cell(np.exp(alike(rng, 6, blocks))))
        held += [there(result.low) <= true <= there(result.high) for result, true in zip(results, truth, strict=False)]

    assert held / runs == pytest.approx(0.95, abs=0.025)


def test_the_intervals_of_ratios_cover() -> None:
    runs, rng = 600, np.random.default_rng(5)
    held = np.zeros(3)
    for _ in range(runs):
        common = 0.2 * rng.standard_normal((6, 1, 1))
        results = percentile_ratios(*(cell(np.exp(alike(rng, 6, 7) + common)) for _ in "ab"))
        held += [there(result.low) <= 1 <= there(result.high) for result in results[:3]]

    assert held / runs == pytest.approx(0.95, abs=0.025)
