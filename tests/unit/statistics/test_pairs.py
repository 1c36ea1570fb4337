"""Which rounds of two engines are compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from sparsebench.contracts import Block, Trial
from sparsebench.statistics.pairs import Treatment, Unit, by_treatment, disturbed, log_ratios, logs, pairs
from sparsebench.statistics.percentiles import latencies, paired

A, B = Treatment("base", "a", "f32"), Treatment("base", "b", "f32")


@pytest.fixture
def make(make_block: Callable[..., Block], make_trial: Callable[..., Trial]) -> Callable[..., Trial]:
    """A trial of one process, whose blocks have these throughputs by round; disturbed: rounds."""

    def trial(engine: str, throughputs: dict[int, float], disturbed: tuple[int, ...] = (), **changes: Any) -> Trial:
        blocks = tuple(
            make_block(speed, round_, foreign_cores=1.0 if round_ in disturbed else 0.0)
            for round_, speed in throughputs.items()
        )
        return make_trial(engine=engine, blocks=blocks, **changes)

    return trial


def ratios(trials: Iterable[Trial]) -> dict[Unit, Any]:
    """Ratios of A to B, as they are and not their logs."""
    blocks = by_treatment(trials)
    return {
        unit: pytest.approx([math.exp(log) for log in shared])
        for unit, shared in log_ratios(blocks.get(A, {}), blocks.get(B, {})).items()
    }


def test_only_rounds_that_both_have_are_compared(make: Callable[..., Trial]) -> None:
    shared = ratios([make("a", {0: 10, 1: 20, 3: 40}), make("b", {0: 5, 2: 5, 3: 5})])

    assert list(shared.values()) == [[2, 8]]


def test_a_round_in_which_either_was_disturbed_is_not_compared(make: Callable[..., Trial]) -> None:
    shared = ratios(
        [make("a", {0: 10, 1: 20, 2: 30}, disturbed=(0,)), make("b", {0: 10, 1: 10, 2: 10}, disturbed=(1,))]
    )

    assert list(shared.values()) == [[3]]


def test_processes_that_took_turns_are_a_unit_and_others_are_not_compared(make: Callable[..., Trial]) -> None:
    where: list[dict[str, Any]] = [
        {"generation": 0}, {"generation": 1}, {"job": "job-b"}, {"instance_id": "i-2"},
    ]  # fmt: skip
    trials = [make("a", {0: 10.0 + i}, **place) for i, place in enumerate(where)]
    trials += [make("b", {0: 10}, **place) for place in where[1:]]

    assert ratios(trials) == {
        Unit("i-m5.xlarge", "job-a", 1, "base"): [1.1],
        Unit("i-m5.xlarge", "job-b", 0, "base"): [1.2],
        Unit("i-2", "job-a", 0, "base"): [1.3],
    }


def test_a_unit_of_which_no_round_is_left_is_no_unit(make: Callable[..., Trial]) -> None:
    trials = [make("a", {0: 10}, disturbed=(0,)), make("b", {0: 10})]
    apart = [make("a", {0: 10}), make("b", {1: 10})]

    assert ratios(trials) == {}
    assert ratios(apart) == {}


def test_trials_that_were_not_measured_have_no_blocks(make_trial: Callable[..., Trial]) -> None:
    trials = [make_trial(engine="a", status=status) for status in ("failed", "absent", "invalid")]

    assert by_treatment(trials) == {}


def test_the_ratio_of_b_to_a_is_the_inverse(make: Callable[..., Trial]) -> None:
    blocks = by_treatment([make("a", {0: 10, 1: 12}), make("b", {0: 7, 1: 5})])

    there, back = log_ratios(blocks[A], blocks[B]), log_ratios(blocks[B], blocks[A])

    assert [-log for log in next(iter(back.values()))] == pytest.approx(next(iter(there.values())))


def test_the_log_of_an_engines_own_throughput(make: Callable[..., Trial]) -> None:
    blocks = by_treatment([make("a", {1: 10, 0: 20})])

    assert list(logs(blocks[A]).values()) == [pytest.approx([math.log(20), math.log(10)])]


def test_files_are_compared_where_a_generation_held_both(make: Callable[..., Trial]) -> None:
    """Before format 2 a generation's number said nothing of the generations of another file."""
    trials = [make("a", {0: 10, 1: 12}, variant="base"), make("a", {0: 20, 1: 18}, variant="pruned")]
    together = [trial.model_copy(update={"variants": ("base", "pruned")}) for trial in trials]
    base, pruned = A, Treatment("pruned", "a", "f32")

    apart, turns = by_treatment(trials), by_treatment(together)

    assert log_ratios(apart[pruned], apart[base]) == {}
    (logs,) = log_ratios(turns[pruned], turns[base]).values()
    assert [math.exp(log) for log in logs] == [pytest.approx(2), pytest.approx(1.5)]


def test_engines_are_compared_in_the_same_precision_and_with_themselves_in_the_other() -> None:
    treatments = [Treatment("base", engine, precision) for engine in ("a", "b") for precision in ("f32", "native")]

    assert [(a[1:], b[1:]) for a, b in pairs(treatments)] == [
        (("a", "f32"), ("a", "native")),
        (("a", "f32"), ("b", "f32")),
        (("a", "native"), ("b", "native")),
        (("b", "f32"), ("b", "native")),
    ]
    assert pairs(treatments[:1]) == []


def test_a_file_is_compared_with_the_base_in_the_same_engine_and_precision() -> None:
    treatments = [
        Treatment("base", "a", "f32"),
        Treatment("pruned", "a", "f32"),
        Treatment("fake99", "a", "f32"),
        Treatment("pruned", "b", "f32"),
        Treatment("base", "a", "native"),
    ]

    assert pairs(treatments) == [
        (treatments[1], treatments[0]),
        (treatments[2], treatments[0]),
        (treatments[0], treatments[4]),
        (treatments[1], treatments[3]),
    ]


def test_tolerated_blocks_enter_until_there_are_generations_enough_without(make: Callable[..., Trial]) -> None:
    def generation(number: int, tolerated: bool) -> Trial:
        trial = make("a", {0: 10}, disturbed=(0,) if tolerated else (), generation=number, variants=("base",))
        blocks = tuple(block.model_copy(update={"tolerated": tolerated}) for block in trial.blocks)
        return trial.model_copy(update={"blocks": blocks})

    noisy, quiet = generation(0, True), [generation(number, False) for number in range(1, 7)]
    too_few, enough = by_treatment([noisy, *quiet[:5]])[A], by_treatment([noisy, *quiet])[A]

    assert [unit.generation for unit in logs(too_few)] == [0, 1, 2, 3, 4, 5]
    assert [unit.generation for unit in logs(enough)] == [1, 2, 3, 4, 5, 6]
    assert [unit.generation for unit in latencies(too_few)] == [0, 1, 2, 3, 4, 5]
    assert [unit.generation for unit in latencies(enough)] == [1, 2, 3, 4, 5, 6]
    assert [unit.generation for unit in disturbed(too_few)] == [0]
    assert not disturbed(enough)


def test_enough_quiet_generations_of_other_hosts_do_too(make: Callable[..., Trial]) -> None:
    def generation(host: str, number: int, tolerated: bool) -> Trial:
        trial = make("a", {0: 10}, disturbed=(0,) if tolerated else (), generation=number, variants=("base",))
        blocks = tuple(block.model_copy(update={"tolerated": tolerated}) for block in trial.blocks)
        return trial.model_copy(update={"blocks": blocks, "instance_id": host})

    noisy = [generation("i-1", number, True) for number in range(6)]
    quiet = [generation("i-2", number, False) for number in range(6)]
    assert {unit.instance_id for unit in logs(by_treatment([*noisy, *quiet])[A])} == {"i-2"}
    assert {unit.instance_id for unit in logs(by_treatment([*noisy, *quiet[:5]])[A])} == {"i-1", "i-2"}


def test_of_a_process_that_has_undisturbed_rounds_tolerated_ones_do_not_enter(make: Callable[..., Trial]) -> None:
    def trial(engine: str, tolerated: set[int]) -> Trial:
        made = make(engine, {0: 10, 1: 20, 2: 40}, variants=("base",))
        blocks = tuple(
            block.model_copy(update={"tolerated": True}) if block.round in tolerated else block for block in made.blocks
        )
        return made.model_copy(update={"blocks": blocks})

    some = by_treatment([trial("a", {0}), trial("b", {1})])
    ((unit, shared),) = log_ratios(some[A], some[B]).items()
    assert len(shared) == 1  # that of round 2
    assert all(len(of_units[unit]) == len(some[A][unit][2].latencies_ms) for of_units in paired(some[A], some[B]))
    assert [math.exp(log) for log in logs(some[A])[unit]] == pytest.approx([20, 40])
    assert not disturbed(some[A], some[B])
    assert not disturbed(some[A])
    none = by_treatment([trial("a", {0, 2}), trial("b", {1})])
    assert len(log_ratios(none[A], none[B])[unit]) == 3
    assert disturbed(none[A], none[B]) == {unit}
    assert not disturbed(none[A])


def test_with_enough_undisturbed_processes_of_a_pair_its_others_do_not_enter(make: Callable[..., Trial]) -> None:
    def trial(engine: str, number: int) -> Trial:
        made = make(engine, {0: 10, 1: 20}, variants=("base",), generation=number)
        noisy = 0 if engine == "a" else 1
        tolerated = {0, 1} if number >= 6 else {noisy} if number == 0 else set()
        blocks = tuple(
            block.model_copy(update={"tolerated": True}) if block.round in tolerated else block for block in made.blocks
        )
        return made.model_copy(update={"blocks": blocks})

    blocks = by_treatment([trial(engine, number) for engine in "ab" for number in range(8)])
    assert [unit.generation for unit in logs(blocks[A])] == [0, 1, 2, 3, 4, 5]
    assert [unit.generation for unit in log_ratios(blocks[A], blocks[B])] == [0, 1, 2, 3, 4, 5, 6, 7]
    assert {unit.generation for unit in disturbed(blocks[A], blocks[B])} == {0, 6, 7}
