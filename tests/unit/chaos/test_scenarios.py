"""What `python -m chaos` does to sweeps is dealt out evenly, is repeatable, and is what localcloud understands."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from chaos.scenarios import BOTH, BY_NAME, KINDS, QUICK, Kind, Phase, Place, deal, quick

from sparsebench.localcloud.faults import FAULTS


def place(phase: Phase) -> Place:
    return Place("m5.xlarge", ("us-east-1a", "us-east-1b"), phase, work_begins_s=40, work_s=20)


@pytest.mark.parametrize("seed", range(20))
def test_a_hundred_scenarios_have_every_kind_at_least_five_times(seed: int) -> None:
    dealt = Counter(kind for scenario in deal(100, seed) for kind in scenario.kinds)
    assert dealt.keys() == BY_NAME.keys()
    assert min(dealt.values()) >= 5


def test_a_scenario_is_the_same_however_many_there_are() -> None:
    assert deal(100, 3)[:40] == deal(40, 3)
    assert deal(40, 3) != deal(40, 4)


@pytest.mark.parametrize("seed", range(20))
def test_kinds_of_a_scenario_can_all_be_in_its_phase_and_strike_different_things(seed: int) -> None:
    for scenario in deal(100, seed):
        kinds = [BY_NAME[name] for name in scenario.kinds]
        assert all(scenario.phase in kind.phases for kind in kinds)
        assert len({kind.group for kind in kinds}) == len(kinds)
        assert len(kinds) == 1 or not any(kind.alone for kind in kinds)


@pytest.mark.parametrize("phase", BOTH)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_localcloud_understands_the_faults(kind: Kind, phase: Phase) -> None:
    for seed in range(20):
        for act in kind.make(Random(seed), place(phase)).acts:  # noqa: S311
            FAULTS.validate_python(list(act.faults))
            assert bool(act.faults) != bool(act.kill)


def test_quick_has_five_kinds() -> None:
    assert [scenario.kinds for scenario in quick(1)] == [(name,) for name in QUICK]
    assert len(set(QUICK)) == 5


def test_what_an_instance_may_cost_has_the_credits_of_a_burstable_type() -> None:
    steady, burstable = (Place(name, ("us-east-1a",), "folder", 40, 20).most_usd for name in ("m5.xlarge", "t3.xlarge"))
    assert steady == pytest.approx(0.192 * 0.6)
    assert burstable == pytest.approx((0.1664 + 4 * 0.05) * 0.6)
