"""Who is called faster, and when nothing can be said."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsebench.statistics.intervals import Estimate
from sparsebench.statistics.verdicts import EQUIVALENT_WITHIN, MIN_PROCESSES, Compared, holm, holm_levels, verdicts


def compared(ratio: float, half_width: float = 0.01, processes: int = MIN_PROCESSES) -> Compared:
    """A ratio whose log is known to ± half_width by this many processes of four rounds."""
    factor = {2: 12.7062, 5: 2.77645, 6: 2.57058, 12: 2.20099}[processes]
    return Compared(Estimate(math.log(ratio), half_width / factor, processes - 1), 4 * processes, processes)


def kind(ratio: Compared, **options: float) -> str:
    return verdicts({"one": ratio}, **options)["one"].kind


def test_holm_by_hand() -> None:
    # 0.01 × 4, 0.02 × 3, 0.03 × 2 = 0.06, and 0.04 × 1, which is raised to the one before it
    judged = holm({"c": 0.03, "a": 0.01, "d": 0.04, "b": 0.02})

    assert judged == {"a": pytest.approx(0.04), "b": pytest.approx(0.06), "c": pytest.approx(0.06), "d": 0.06}


def test_holm_stops_at_1() -> None:
    assert holm({"a": 0.9, "b": 0.5, "c": 0.6}) == {"a": 1, "b": 1, "c": 1}
    assert holm({}) == {}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_holm_is_between_the_p_value_and_bonferronis_and_keeps_the_order(p_values: list[float]) -> None:
    judged = holm(dict(enumerate(p_values)))

    for number, p in enumerate(p_values):
        assert p <= judged[number] <= min(1, p * len(p_values)) or judged[number] == pytest.approx(p)
    assert sorted(judged, key=lambda key: (p_values[key], judged[key])) == sorted(judged, key=lambda key: p_values[key])


@pytest.mark.parametrize(
    ("ratio", "half_width", "expected"),
    [
        (1.10, 0.02, "faster"),
        (0.90, 0.02, "slower"),
        (1.10, 0.11, "undecided"),
        (1.00, 0.02, "equivalent"),
        (1.00, 0.05, "undecided"),
        (1.02, 0.005, "equivalent"),  # surely different, and surely not by as much as matters
        (1.03, 0.005, "faster"),  # one end lies beyond the margin
        (1 / 1.03, 0.005, "slower"),
    ],
)
def test_verdicts(ratio: float, half_width: float, expected: str) -> None:
    assert kind(compared(ratio, half_width)) == expected


def test_the_margin_of_equivalence_is_the_same_in_both_directions() -> None:
    edge = math.log1p(EQUIVALENT_WITHIN)

    for sign in (1, -1):
        assert kind(compared(math.exp(sign * (edge - 0.0101)), 0.01)) == "equivalent"
        assert kind(compared(math.exp(sign * (edge - 0.0099)), 0.01)) != "equivalent"


def test_without_a_margin_nothing_is_equivalent() -> None:
    assert kind(compared(1.001, 0.0005), within=0) == "faster"
    assert kind(compared(1.001, 0.002), within=0) == "undecided"


@pytest.mark.parametrize("ratio", [1.0, 1.5])
def test_fewer_processes_than_the_minimum_decide_nothing(ratio: float) -> None:
    assert kind(compared(ratio, 0.001, MIN_PROCESSES - 1)) == "too_few"
    assert kind(compared(ratio, 0.001, MIN_PROCESSES)) != "too_few"


def test_it_is_processes_that_make_the_minimum_and_not_degrees_of_freedom() -> None:
    """Welch and Satterthwaite's may be few where one of many networks varies most, and many where each has few."""
    headline = Compared(Estimate(math.log(0.9), 0.005, freedom=3.2), rounds=84, processes=6)
    of_few_each = Compared(Estimate(math.log(1.5), 0.001, freedom=7 * (3 - 1)), rounds=84, processes=3)

    assert kind(headline) == "slower"
    assert kind(of_few_each) == "too_few"


def test_who_has_too_few_processes_takes_no_part_in_the_family() -> None:
    alone = {"a": compared(1.10, 0.09)}
    family = alone | {name: compared(1.5, 0.09, MIN_PROCESSES - 1) for name in "bcdef"}

    assert verdicts(family)["a"] == verdicts(alone)["a"]
    assert math.isnan(verdicts(family)["b"].p)


def test_of_nothing_that_was_measured_there_is_too_little() -> None:
    verdict = verdicts({"one": Compared(Estimate(math.nan, math.inf, 0), 0, 0)})["one"]

    assert (verdict.kind, verdict.low, verdict.high) == ("too_few", 0, math.inf)
    assert math.isnan(verdict.p)


def test_a_single_process_has_an_interval_without_ends() -> None:
    verdict = verdicts({"one": Compared(Estimate(math.log(1.2), math.inf, 0), 10, 1)})["one"]

    assert (verdict.kind, verdict.low, verdict.high, verdict.half_width) == ("too_few", 0, math.inf, math.inf)
    assert verdict.ratio == pytest.approx(1.2)


def test_the_ends_are_those_of_the_ratio() -> None:
    judged = verdicts({"one": compared(1.1, 0.02)})["one"]

    assert (judged.ratio, judged.low, judged.high) == pytest.approx((1.1, 1.1 * math.exp(-0.02), 1.1 * math.exp(0.02)))
    assert judged.half_width == pytest.approx(math.exp(0.02) - 1)


def test_the_more_are_compared_the_surer_a_difference_has_to_be() -> None:
    alone = {"a": compared(1.10, 0.09)}
    family = alone | {name: compared(1.0, 0.09) for name in "bcdef"}

    assert verdicts(alone)["a"].kind == "faster"
    assert verdicts(family)["a"].kind == "undecided"
    assert verdicts(family)["a"].p == pytest.approx(6 * verdicts(alone)["a"].p)


def test_who_is_not_sure_enough_is_undecided_though_its_own_interval_excludes_1() -> None:
    judged = verdicts({name: compared(1.10, 0.09) for name in "abc"})

    assert {verdict.kind for verdict in judged.values()} == {"undecided"}
    assert all(verdict.low > 1 > verdict.family_low for verdict in judged.values())


def test_the_levels_of_the_family_by_hand() -> None:
    # 0.05 / 3 rejects the first; 0.05 / 2 not the second, nor, with the same, the third
    levels = holm_levels({"c": 0.04, "a": 0.001, "b": 0.03})

    assert levels == pytest.approx({"a": 1 - 0.05 / 3, "b": 1 - 0.05 / 2, "c": 1 - 0.05 / 2})


logs = st.builds(Estimate, mean=st.floats(-0.2, 0.2), error=st.floats(1e-4, 0.1), freedom=st.floats(1, 50))
pairs = st.builds(Compared, log=logs, rounds=st.just(30), processes=st.integers(4, 9))


@given(st.lists(pairs, min_size=1, max_size=12))
def test_no_verdict_contradicts_the_interval_that_it_rests_on(family: list[Compared]) -> None:
    for verdict in verdicts(dict(enumerate(family))).values():
        match verdict.kind:
            case "faster":
                assert verdict.p <= 0.05 * (1 + 1e-9)
                assert verdict.family_low > 1
            case "slower":
                assert verdict.p <= 0.05 * (1 + 1e-9)
                assert verdict.family_high < 1
            case "equivalent":
                assert verdict.low * (1 + 1e-9) >= 1 / 1.03
                assert verdict.high <= 1.03 * (1 + 1e-9)
            case "undecided":
                assert verdict.p >= 0.05 * (1 - 1e-9)
                assert verdict.family_low <= 1 <= verdict.family_high
            case "too_few":
                assert math.isnan(verdict.family_low)


def test_of_too_few_undisturbed_processes_there_is_no_verdict() -> None:
    eleven = Compared(Estimate(math.log(2), 0.05, 10), 44, 11, disturbed=MIN_PROCESSES)
    verdict = verdicts({"one": eleven})["one"]
    assert (verdict.kind, eleven.quiet) == ("disturbed", 5)
    assert verdict.low > 1.7  # which leaves out 1, and stands there
    assert math.isnan(verdict.p)
    assert kind(Compared(Estimate(math.log(2), 0.05, 10), 44, 11, disturbed=5)) == "faster"
    assert kind(Compared(Estimate(math.log(2), 0.05, 4), 20, 5, disturbed=5)) == "too_few"


def test_what_was_disturbed_takes_no_part_in_the_family() -> None:
    close = compared(1.02, 0.019)
    alone = verdicts({"one": close})["one"]
    beside = verdicts({"one": close, "noisy": Compared(Estimate(1.0, 0.01, 9), 40, 10, disturbed=10)})["one"]
    assert alone == beside
