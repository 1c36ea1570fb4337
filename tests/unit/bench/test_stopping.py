"""When measuring stops, on trials of synthetic throughputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from random import Random
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.support.synthetic import NOISE, measure, pairs_of

from sparsebench.bench.stopping import (
    VERDICT_BUDGETS,
    cost,
    lacking,
    left_s,
    machine_s,
    next_step,
    open_treatments,
    processes_of,
    series,
    widest,
)
from sparsebench.contracts import Absence, Block, Cell, Interference, Parity, Precision, Protocol, Trial
from sparsebench.statistics.design import Cost
from sparsebench.statistics.intervals import estimate, half_width
from sparsebench.statistics.pairs import Treatment

START = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
COST = Cost(generation=2, round=0.5)
QUIET = Interference(**dict.fromkeys(Interference.model_fields))
DISTURBED = QUIET.model_copy(update={"foreign_cores": 1.0})
EVIDENCE: dict[str, dict[str, Any]] = {
    "absent": {"absence": Absence(reason="cpu_feature", detail="needs avx512")},
    "invalid": {
        "parity": Parity(images=8, max_abs=9, relative=1, same_top1=0, tolerance=1e-3, least_top1=1),
    },
    "failed": {"error": "Segmentation fault"},
}
LANES = [Treatment("base", "onnxruntime", "f32"), Treatment("base", "openvino", "f32")]

Status = Literal["measured", "invalid", "absent", "failed"]
"""Of a trial."""

Logs = Callable[[int, int, int], float]
"""log(throughput) by generation, lane's number and round."""


def protocol(**changes: Any) -> Protocol:
    fields = {
        "name": "test", "scenario": "latency", "precisions": ("f32",), "order": "random", "interleaved": True,
        "min_processes": 3, "max_processes": 12, "min_rounds": 4, "max_rounds": 20, "warmup_s": 0, "max_warmup_s": 0,
        "settle_s": 0, "block_s": 0.1, "target": 0.05, "budget_s": 1000, "trial_timeout_s": 10, "description": "Test.",
    }  # fmt: skip
    return Protocol(**{**fields, **changes})


def generation(
    number: int, lanes: Sequence[Treatment], rounds: int, logs: Logs, *, start_s: float = 0.0,
    status: Callable[[int], Status] = lambda _: "measured", disturbed: Callable[[int, int], bool] = lambda *_: False,
) -> list[Trial]:  # fmt: skip
    """The trials of one: each process loads for COST.generation, then the rounds take COST.round each.

    Args:
        start_s: after the job's start.
        status: of a lane's trial, by the lane's number.
        disturbed: whether a lane's block in a round is.
    """
    start = START + timedelta(seconds=start_s)
    first = start + timedelta(seconds=COST.generation)
    end = first + timedelta(seconds=rounds * COST.round)

    def block(place: int, round_: int) -> Block:
        seconds = 10 / float(np.exp(logs(number, place, round_)))
        return Block(
            round=round_, position=place, started_at=first + timedelta(seconds=round_ * COST.round), images=10,
            seconds=seconds, latencies_ms=(100 * seconds,) * 10,
            interference=DISTURBED if disturbed(place, round_) else QUIET,
        )  # fmt: skip

    def trial(place: int, treatment: Treatment) -> Trial:
        blocks = tuple(block(place, round_) for round_ in range(rounds))
        evidence = {"blocks": blocks} if status(place) == "measured" else EVIDENCE[status(place)]
        return Trial(
            cell=Cell(
                instance_type="here", network="net", variant="base",
                engine=treatment.engine, precision=treatment.precision,
            ),
            night="2026-11-24", job="job", generation=number, interleaved=True, instance_id="i-1", artifact="0" * 64,
            threads=1, status=status(place), started_at=start, ended_at=end, **evidence,
        )  # fmt: skip

    return [trial(place, treatment) for place, treatment in enumerate(lanes)]


def noise(seed: int, size: float, lanes: int = 8, between: float = 0.5) -> Logs:
    """Normal, between processes and within; the same whatever is asked for in which order."""
    rng = np.random.default_rng(seed)
    process = between * rng.standard_normal((40, lanes, 1))
    logs = 4 + size * (process + rng.standard_normal((40, lanes, 60)))
    return read(logs)


def read(logs: NDArray[np.float64]) -> Logs:
    return lambda number, place, round_: float(logs[number, place, round_])


def next_rounds(trials: Sequence[Trial], treatments: Sequence[Treatment], rules: Protocol) -> int | None:
    """Of a job that has this network alone."""
    step = next_step(trials, {"net": treatments}, rules)
    return step.rounds if step else None


Snapshot = tuple[list[Trial], int | None]
"""The trials that there were, and the rounds that were then asked for."""


def whole_job(lanes: Sequence[Treatment], rules: Protocol, logs: Logs, **events: Any) -> list[Snapshot]:
    """Every decision from the first to the one that ends it. events: ``status`` and ``disturbed`` by generation too."""
    trials: list[Trial] = []
    snapshots: list[Snapshot] = []
    while (rounds := next_rounds(trials, lanes, rules)) is not None:
        snapshots.append((list(trials), rounds))
        trials += _next(len(snapshots) - 1, lanes, trials, rounds, logs, **events)
        assert len(snapshots) < 1000
    return [*snapshots, (trials, None)]


def _next(
    number: int, lanes: Sequence[Treatment], trials: Sequence[Trial], rounds: int, logs: Logs, **events: Any
) -> list[Trial]:
    there = open_treatments(lanes, trials)
    place = [lanes.index(treatment) for treatment in there]
    return generation(
        number, there, rounds, lambda n, i, r: logs(n, place[i], r), start_s=machine_s(trials),
        **{name: (lambda i, *rest, rule=rule: rule(number, place[i], *rest)) for name, rule in events.items()},
    )  # fmt: skip


def blocks(snapshots: list[Snapshot]) -> int:
    return sum(len(trial.blocks) for trial in snapshots[-1][0])


# -------------------------------------------------------------------------------------- properties


@st.composite
def rules(draw: st.DrawFn) -> Protocol:
    least, rounds = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    return protocol(
        min_processes=least,
        max_processes=least + draw(st.integers(0, 6)),
        min_rounds=rounds,
        max_rounds=rounds + draw(st.integers(0, 8)),
        target=draw(st.sampled_from([0.05, 0.2, 0.01, None])),
        budget_s=draw(st.sampled_from([1000, 100, 30, 10])),
    )


PRECISIONS: tuple[Precision, ...] = ("f32", "native")

lane_sets = st.builds(
    lambda engines, precisions: [
        Treatment("base", engine, precision) for engine, precision in product("abc"[:engines], PRECISIONS[:precisions])
    ],
    st.integers(1, 3),
    st.integers(1, 2),
)
noises = st.builds(noise, st.integers(0, 2**32), st.sampled_from([0.03, 0.01, 0.001, 0.1, 1.0]))


@st.composite
def mishaps(draw: st.DrawFn) -> dict[str, Any]:
    """What goes wrong in which process, and which blocks are disturbed."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kinds = ["measured", "failed", "absent", "invalid"]
    rarely = draw(st.sampled_from([0.0, 0.05, 0.3]))
    what = rng.choice(kinds, (40, 8), p=[1 - rarely, rarely / 2, rarely / 4, rarely / 4])
    noisy = rng.random((40, 8, 60)) < draw(st.sampled_from([0.0, 0.2, 1.0]))
    return {"status": lambda n, i: str(what[n, i]), "disturbed": lambda n, i, r: bool(noisy[n, i, r])}


def most_s(rules: Protocol, lanes: list[Treatment], trials: list[Trial]) -> float:
    """Of machine time that may be spent by then: twice the budget until there is what a verdict needs."""
    return rules.budget_s * (1 if (processes_of(lanes, trials) or 0) >= rules.min_processes else VERDICT_BUDGETS)


@given(lane_sets, rules(), noises, mishaps())
@settings(max_examples=300)
def test_it_ends_and_keeps_to_its_minima_maxima_and_budget(
    lanes: list[Treatment], rules: Protocol, noises: Logs, mishaps: dict[str, Any]
) -> None:
    snapshots = whole_job(lanes, rules, noises, **mishaps)

    assert len(snapshots) - 1 <= rules.max_processes
    for trials, rounds in snapshots[:-1]:
        assert rounds is not None
        assert rules.min_rounds <= rounds <= rules.max_rounds
        if trials:
            expected = cost(trials)
            assert machine_s(trials) + expected.generation + rounds * expected.round <= most_s(rules, lanes, trials)


@given(lane_sets, rules(), noises, mishaps())
@settings(max_examples=300)
def test_it_ends_for_a_reason(lanes: list[Treatment], rules: Protocol, noises: Logs, mishaps: dict[str, Any]) -> None:
    snapshots = whole_job(lanes, rules, noises, **mishaps)
    trials, _ = snapshots[-1]

    generations, expected = len(snapshots) - 1, cost(trials)
    planned = rules.target is None or generations < rules.min_processes
    most = rules.min_rounds if planned else rules.max_rounds
    units = [list(ratios.values()) for ratios in series(trials, lanes).values()]
    reasons = {
        "nobody is left": not open_treatments(lanes, trials),
        "maximum": generations == rules.max_processes,
        "budget": machine_s(trials) + expected.generation + most * expected.round > most_s(rules, lanes, trials),
        "known": rules.target is not None
        and all(len(unit) >= rules.min_processes and half_width(estimate(unit)) <= rules.target for unit in units),
    }
    assert any(reasons.values())


@given(lane_sets, rules(), st.integers(0, 2**32), st.sampled_from([0.001, 0.01, 0.05]), st.sampled_from([1, 2, 8]))
@settings(max_examples=200)
def test_more_noise_never_means_fewer_blocks(
    lanes: list[Treatment], rules: Protocol, seed: int, size: float, times: int
) -> None:
    quiet = whole_job(lanes, rules, noise(seed, size))
    loud = whole_job(lanes, rules, noise(seed, size * times))

    assert blocks(loud) >= blocks(quiet)


@given(lane_sets, rules(), noises, mishaps(), st.randoms(use_true_random=False))
@settings(max_examples=100)
def test_it_decides_from_the_trials_alone(
    lanes: list[Treatment], rules: Protocol, noises: Logs, mishaps: dict[str, Any], random: Random
) -> None:
    for trials, rounds in whole_job(lanes, rules, noises, **mishaps):
        reread = [Trial.model_validate_json(trial.to_json()) for trial in random.sample(trials, len(trials))]

        assert next_rounds(reread, lanes, rules) == rounds


# ---------------------------------------------------------------------------------------- examples


def some(count: int, logs: Logs = noise(0, 1e-4), lanes: Sequence[Treatment] = LANES, **events: Any) -> list[Trial]:
    """So many generations of four rounds."""
    return [
        trial for number in range(count) for trial in generation(number, lanes, 4, logs, start_s=number * 4, **events)
    ]


def test_quiet_engines_are_measured_the_minimum_and_no_more() -> None:
    snapshots = whole_job(LANES, protocol(), noise(0, 1e-4))

    assert [rounds for _, rounds in snapshots] == [4, 4, 4, None]


def test_without_a_target_it_goes_on_to_the_maximum() -> None:
    snapshots = whole_job(LANES, protocol(target=None, max_processes=5), noise(0, 1e-4))

    assert [rounds for _, rounds in snapshots] == [4, 4, 4, 4, 4, None]


@pytest.mark.parametrize("status", ["absent", "invalid"])
def test_who_is_absent_or_disagrees_is_not_asked_again(status: Status) -> None:
    trials = some(1, status=lambda place: (status, "measured")[place])

    assert open_treatments(LANES, trials) == LANES[1:]


def test_who_fails_twice_is_given_up() -> None:
    def failing(place: int) -> Status:
        return "measured" if place else "failed"

    assert open_treatments(LANES, some(1, status=failing)) == LANES
    assert open_treatments(LANES, some(2, status=failing)) == LANES[1:]


@pytest.mark.parametrize("status", ["absent", "invalid"])
def test_it_ends_when_nobody_is_left(status: Status) -> None:
    assert next_rounds(some(1, status=lambda _: status), LANES, protocol()) is None


def test_an_engine_that_is_alone_is_measured_until_its_throughput_is_known() -> None:
    trials = some(3, status=lambda place: ("absent", "measured")[place])

    assert list(series(trials, LANES)) == ["base openvino f32"]
    assert next_rounds(trials, LANES, protocol()) is None


def test_a_pair_that_has_only_disturbed_rounds_is_not_known() -> None:
    trials = some(3, disturbed=lambda place, _: place == 0)

    assert next_rounds(trials, LANES, protocol()) == 4
    assert widest(trials) == ("base: onnxruntime f32 / openvino f32", np.inf)


def test_a_pair_with_one_process_too_few_is_not_known() -> None:
    trials = some(3) + generation(3, LANES, 4, noise(0, 1e-4), start_s=12)
    disturbed = some(1, disturbed=lambda place, _: place == 0) + [t for t in trials if 1 <= t.generation <= 2]

    assert next_rounds(trials[:6], LANES, protocol()) is None
    assert next_rounds(disturbed, LANES, protocol()) == 4


def test_a_generation_of_which_an_interrupted_job_kept_a_half_is_made_up_for() -> None:
    assert next_rounds(some(3)[:-1], LANES, protocol()) == 4


def test_every_pair_has_to_be_known() -> None:
    lanes = [*LANES, Treatment("base", "deepsparse", "f32")]
    quiet, loud = noise(0, 1e-4), noise(1, 0.2)
    trials = some(3, lambda n, place, r: (loud if place == 2 else quiet)(n, place, r), lanes)

    assert next_rounds(trials, LANES, protocol()) is None
    assert next_rounds(trials, lanes, protocol()) is not None


def test_precisions_of_two_engines_are_not_compared() -> None:
    lanes = [Treatment("base", "a", "f32"), Treatment("base", "b", "native")]

    assert list(series(some(2, lanes=lanes), lanes)) == ["base a f32", "base b native"]


def test_what_is_known_worst_and_how_well() -> None:
    lanes = [*LANES, Treatment("base", "deepsparse", "f32")]
    logs = {0: [0.0, 0.0], 1: [0.01, -0.01], 2: [0.1, -0.1]}
    trials = some(2, lambda n, place, _: logs[place][n], lanes)

    name, width = widest(trials) or ("", 0)
    assert name == "base: deepsparse f32 / onnxruntime f32"
    # Of log ratios 0.1 and -0.1 the standard error is 0.1, and Student's factor for two is 12.706.
    assert width == pytest.approx(np.expm1(12.7062 * 0.1), rel=1e-4)


def test_cost_and_time_are_those_of_the_clock() -> None:
    trials = some(2)

    assert machine_s(trials) == 2 * (COST.generation + 4 * COST.round)
    assert cost(trials) == COST


def test_a_round_costs_the_same_where_one_of_the_processes_failed() -> None:
    assert cost(some(2, status=lambda place: ("failed", "measured")[place])) == COST


def test_the_processes_of_a_generation_run_side_by_side() -> None:
    first, other = some(1)
    later = other.model_copy(update={"started_at": START - timedelta(seconds=3)})

    assert machine_s([first, later]) == machine_s([first]) + 3


@pytest.mark.parametrize("kind", ["normal", "bimodal"])
@pytest.mark.parametrize("changes", [{}, {"target": 0.01, "max_processes": 25}, {"budget_s": 60, "target": 0.01}])
def test_the_simulation_of_benchmarks_coverage_decides_the_same(kind: str, changes: dict[str, Any]) -> None:
    lanes = [Treatment("base", name, "f32") for name in ("a", "b", "c")]
    used = protocol(**changes)
    logs = 0.03 * NOISE[kind](np.random.default_rng(3), (12, used.max_processes, len(lanes), used.max_rounds))

    simulated = measure(pairs_of(logs), used, COST)

    for run, simulated_ratios in enumerate(logs):
        snapshots = whole_job(lanes, used, read(simulated_ratios))
        rounds = [rounds for _, rounds in snapshots[:-1]]
        units = [list(logs.values()) for logs in series(snapshots[-1][0], lanes).values()]
        assert rounds == [count for count in simulated.rounds[run] if count]
        assert [half_width(estimate(unit)) for unit in units] == pytest.approx(np.expm1(simulated.half[run]))
        assert [estimate(unit).mean for unit in units] == pytest.approx(simulated.mean[run])


# ------------------------------------------------------------------------------------ several networks


def of_network(network: str, trials: Sequence[Trial]) -> list[Trial]:
    return [t.model_copy(update={"cell": t.cell.model_copy(update={"network": network})}) for t in trials]


def test_first_every_network_gets_what_a_verdict_needs_in_turns() -> None:
    networks = {"one": LANES, "other": LANES}
    rules, trials, order = protocol(), list[Trial](), list[str]()
    while step := next_step(trials, networks, rules):
        order.append(step.network)
        number = order.count(step.network) - 1
        trials += of_network(
            step.network, generation(number, LANES, step.rounds, noise(0, 1e-4), start_s=6 * len(order))
        )

    assert order == ["one", "other"] * 3


def test_then_it_goes_where_an_interval_is_furthest_from_the_target() -> None:
    networks = {"narrow": LANES, "wide": LANES}
    narrow, wide = (of_network(name, some(3, noise(1, size))) for name, size in (("narrow", 0.1), ("wide", 0.3)))
    known = of_network("narrow", some(3))

    step = next_step([*narrow, *wide], networks, protocol())

    assert step is not None
    assert step.network == "wide"
    assert next_step([*known, *wide], networks, protocol()) == step
    assert next_step([*known, *of_network("wide", some(3))], networks, protocol()) is None


def test_the_budget_is_that_of_all_files_together() -> None:
    files = [*LANES, *(treatment._replace(variant="pruned") for treatment in LANES)]
    wide = of_network("wide", some(3, noise(1, 0.3)))  # of 12 s
    needs = COST.generation + 20 * COST.round

    def budget(networks: dict[str, Sequence[Treatment]], seconds: float) -> bool:
        return next_step(wide, networks, protocol(budget_s=seconds)) is not None

    assert not budget({"wide": LANES}, 12 + COST.generation)
    assert budget({"wide": LANES}, 12 + needs)
    assert budget({"wide": files}, (12 + needs) / 2)


def test_what_a_verdict_needs_may_take_twice_the_budget_and_what_narrows_an_interval_may_not() -> None:
    """Of three processes that a verdict needs there are two; each takes 4 s."""

    def goes_on(processes: int, budget_s: float) -> bool:
        wide = of_network("wide", some(processes, noise(1, 0.3)))
        return next_step(wide, {"wide": LANES}, protocol(budget_s=budget_s)) is not None

    assert goes_on(2, budget_s=8)
    assert goes_on(2, budget_s=6)
    assert not goes_on(2, budget_s=5.9)
    assert not goes_on(3, budget_s=12)


def test_processes_that_were_disturbed_are_not_what_a_verdict_needs_and_cost_time() -> None:
    """Of three that it needs, all were disturbed; each takes 4 s."""

    def tolerated(trial: Trial) -> Trial:
        blocks = tuple(block.model_copy(update={"tolerated": True}) for block in trial.blocks)
        return trial.model_copy(update={"blocks": blocks})

    noisy = [tolerated(trial) for trial in of_network("noisy", some(3, disturbed=lambda *_: True))]
    assert processes_of(LANES, noisy) == 0
    assert next_step(noisy, {"noisy": LANES}, protocol(budget_s=8)) is not None
    assert next_step(noisy, {"noisy": LANES}, protocol(budget_s=7.9)) is None  # for which it may spend twice that
    assert next_step(of_network("noisy", some(3)), {"noisy": LANES}, protocol(budget_s=8)) is None
    assert lacking(LANES, noisy, protocol()) == 3
    assert lacking(LANES, noisy, protocol(max_processes=4)) == 1


def test_a_network_that_was_not_measured_at_all_has_a_generation_whatever_was_spent() -> None:
    step = next_step(of_network("slow", some(3)), {"slow": LANES, "other": LANES}, protocol(budget_s=1))

    assert step is not None
    assert step.network == "other"


def test_time_left_is_what_verdicts_need_then_what_is_too_wide_and_never_more_than_the_budget() -> None:
    networks = {"a": LANES, "b": LANES}
    known, begun = of_network("a", some(3)), of_network("b", some(1))  # 4 s a generation

    assert left_s([], networks, protocol(budget_s=600)) == 1200
    assert left_s(known, networks, protocol(budget_s=600)) == 600
    assert left_s([*known, *begun], networks, protocol(budget_s=600)) == 2 * 4
    assert left_s([*known, *begun], networks, protocol(budget_s=10)) == 2 * 4
    assert left_s([*known, *begun], networks, protocol(budget_s=5)) == 2 * 10 - 16
    assert left_s([*known, *of_network("b", some(3))], networks, protocol(budget_s=600)) == 0
