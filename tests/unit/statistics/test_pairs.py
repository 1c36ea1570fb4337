"""Which rounds of two engines are compared."""

from __future__ import annotations

import math

import pytest

from sparsebench.statistics.pairs import Lane, Unit, by_lane, log_ratios, logs, pairs

A, B = Lane("a", "f32"), Lane("b", "f32")


@pytest.fixture
def make(make_block, make_trial):
    """A trial of one process, whose blocks have these throughputs by round; disturbed: rounds."""

    def trial(engine: str, throughputs: dict[int, float], disturbed: tuple[int, ...] = (), **changes):
        blocks = tuple(
            make_block(speed, round_, foreign_cores=1.0 if round_ in disturbed else 0.0)
            for round_, speed in throughputs.items()
        )
        return make_trial(engine=engine, blocks=blocks, **changes)

    return trial


def ratios(trials) -> dict[Unit, list[float]]:
    """Ratios of A to B, as they are and not their logs."""
    blocks = by_lane(trials)
    return {
        unit: [pytest.approx(math.exp(log)) for log in found]
        for unit, found in log_ratios(blocks.get(A, {}), blocks.get(B, {})).items()
    }


def test_only_rounds_that_both_have_are_compared(make):
    found = ratios([make("a", {0: 10, 1: 20, 3: 40}), make("b", {0: 5, 2: 5, 3: 5})])

    assert list(found.values()) == [[2, 8]]


def test_a_round_in_which_either_was_disturbed_is_not_compared(make):
    found = ratios([make("a", {0: 10, 1: 20, 2: 30}, disturbed=(0,)), make("b", {0: 10, 1: 10, 2: 10}, disturbed=(1,))])

    assert list(found.values()) == [[3]]


def test_processes_that_took_turns_are_a_unit_and_others_are_not_compared(make):
    where = [
        {"generation": 0}, {"generation": 1}, {"job": "job-b"}, {"instance_id": "i-2"},
    ]  # fmt: skip
    trials = [make("a", {0: 10.0 + i}, **place) for i, place in enumerate(where)]
    trials += [make("b", {0: 10}, **place) for place in where[1:]]

    assert ratios(trials) == {
        Unit("i-m5.xlarge", "job-a", 1): [1.1],
        Unit("i-m5.xlarge", "job-b", 0): [1.2],
        Unit("i-2", "job-a", 0): [1.3],
    }


def test_a_unit_of_which_no_round_is_left_is_no_unit(make):
    trials = [make("a", {0: 10}, disturbed=(0,)), make("b", {0: 10})]
    apart = [make("a", {0: 10}), make("b", {1: 10})]

    assert ratios(trials) == {}
    assert ratios(apart) == {}


def test_trials_that_were_not_measured_have_no_blocks(make_trial):
    trials = [make_trial(engine="a", status=status) for status in ("failed", "absent", "invalid")]

    assert by_lane(trials) == {}


def test_the_ratio_of_b_to_a_is_the_inverse(make):
    blocks = by_lane([make("a", {0: 10, 1: 12}), make("b", {0: 7, 1: 5})])

    there, back = log_ratios(blocks[A], blocks[B]), log_ratios(blocks[B], blocks[A])

    assert [-log for log in next(iter(back.values()))] == pytest.approx(next(iter(there.values())))


def test_the_log_of_an_engines_own_throughput(make):
    blocks = by_lane([make("a", {1: 10, 0: 20})])

    assert list(logs(blocks[A]).values()) == [pytest.approx([math.log(20), math.log(10)])]


def test_engines_are_compared_in_the_same_precision_and_with_themselves_in_the_other():
    lanes = [Lane(engine, precision) for engine in ("a", "b") for precision in ("f32", "native")]

    assert pairs(lanes) == [
        (("a", "f32"), ("a", "native")),
        (("a", "f32"), ("b", "f32")),
        (("a", "native"), ("b", "native")),
        (("b", "f32"), ("b", "native")),
    ]
    assert pairs(lanes[:1]) == []
