"""What to take is said within bounds, and a winner is named only where the intervals carry it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from benchmarks.choices import TRUTHS, claims

from sparsebench import catalog
from sparsebench.analysis.choice import Bounds, Choice
from sparsebench.analysis.findings import Findings, of_nights
from sparsebench.analysis.pooling import Night
from sparsebench.analysis.prices import Offer
from sparsebench.analysis.shortlist import choice_between, contenders
from sparsebench.contracts import Accuracy, HostFacts, InstanceFacts, Manifest, ModelCard, Trial
from sparsebench.errors import BadInput
from sparsebench.report.choices import advice
from sparsebench.report.tables.choices import frame, ranking

STEPS = (0.02, -0.02, 0.01, -0.01, 0.015, -0.015)
Speeds = dict[tuple[str, str, str], float]
"""img/s by instance type, variant and engine."""


@pytest.fixture
def night(
    make_trial: Callable[..., Trial],
    make_host: Callable[..., HostFacts],
    make_card: Callable[..., ModelCard],
    make_manifest: Callable[..., Manifest],
) -> Callable[..., Findings]:
    """Of VGG-19. What the engines of a machine have in common differs from process to process by a factor, drift."""

    def made(
        speeds: Speeds,
        steps: Sequence[float] = STEPS,
        together: bool = True,
        drift: float = 2.0,
        memory: dict[str, int] | None = None,
        **cards: Any,
    ) -> Findings:
        trials = [
            make_trial(
                speed * drift ** (index % 2) * math.exp(step * (1 if engine == "deepsparse" else -1)),
                engine=engine,
                variant=variant,
                instance_type=instance_type,
                generation=index,
                peak_memory_bytes=(memory or {}).get(engine),
                job="job-a" if together else f"job-{engine}",
                variants=("base", "pruned"),
            )
            for (instance_type, variant, engine), speed in speeds.items()
            for index, step in enumerate(steps)
        ]
        models = tuple(make_card(variant=variant, **cards.get(variant, {})) for variant in ("base", "pruned"))
        hosts = [make_host(name) for name in dict.fromkeys(instance_type for instance_type, _, _ in speeds)]
        return of_nights([Night(make_manifest(models=models), trials, hosts)])

    return made


def chosen(findings: Findings, **bounds: Any) -> Choice:
    (choice,) = findings.choose(Bounds(**bounds))
    return choice


def names(choice: Choice) -> list[tuple[str, str, str]]:
    return [
        (ranked.candidate.treatment.engine, ranked.candidate.treatment.variant, ranked.verdict)
        for ranked in choice.ranked
    ]


def sentences(choice: Choice) -> str:
    return "\n".join(advice(choice)).replace("\u00a0", " ")


TWO = {("m5.xlarge", "base", "deepsparse"): 11.0, ("m5.xlarge", "base", "openvino"): 10.0}


def test_engines_that_took_turns_are_told_apart_whatever_the_host_did_to_both(night: Callable[..., Findings]) -> None:
    choice = chosen(night(TWO), target="throughput")
    assert names(choice) == [("deepsparse", "base", "best"), ("openvino", "base", "loses")]
    assert choice.winner is choice.ranked[0]
    loser = choice.losers[0]
    assert loser.behind == pytest.approx(0.1)
    assert 0.05 < loser.behind_low < 0.1 < loser.behind_high
    assert choice.ranked[0].low < loser.value < choice.ranked[0].high
    assert "VGG-19: take m5.xlarge with DeepSparse, base, 15.56 img/s" in sentences(choice)
    assert "m5.xlarge with OpenVINO, base is 10.0 % behind (" in sentences(choice)


def test_no_winner_is_named_where_the_intervals_carry_none(night: Callable[..., Findings]) -> None:
    choice = chosen(night(TWO | {("m5.xlarge", "base", "deepsparse"): 10.05}), target="throughput")
    assert names(choice) == [("deepsparse", "base", "best"), ("openvino", "base", "tied")]
    assert choice.winner is None
    assert "by its mean m5.xlarge with DeepSparse, base" in sentences(choice)
    assert "but it cannot be told from m5.xlarge with OpenVINO, base (−" in sentences(choice)
    assert "take" not in sentences(choice)


@pytest.mark.parametrize(
    ("how", "because"), [({"steps": STEPS[:5]}, "too_few"), ({"together": False}, "unpaired")], ids=str
)
def test_few_processes_and_other_times_carry_none_either(
    how: dict[str, Any], because: str, night: Callable[..., Findings]
) -> None:
    choice = chosen(night(TWO | {("m5.xlarge", "base", "deepsparse"): 100.0}, **how), target="throughput")
    assert choice.winner is None
    assert [ranked.because for ranked in choice.tied] == [because]
    assert math.isnan(frame([choice])["behind_low"].iloc[1])


def test_by_cost_the_price_counts(night: Callable[..., Findings]) -> None:
    """m7i costs 5 % more an hour than m5: it is cheaper when it does more than that."""
    prices = {name: catalog.instance_types()[name].prices[0].usd_per_hour for name in ("m5.xlarge", "m5n.xlarge")}
    findings = night(
        {("m5.xlarge", "base", "deepsparse"): 10.0, ("m5n.xlarge", "base", "deepsparse"): 11.0}, steps=[0] * 6
    )
    choice = chosen(findings)
    assert [ranked.candidate.machine.instance_type for ranked in choice.ranked] == ["m5.xlarge", "m5n.xlarge"]
    dearer = prices["m5n.xlarge"] / prices["m5.xlarge"] * 10 / 11 - 1
    assert choice.ranked[1].behind == pytest.approx(dearer)
    costs = findings.costs.set_index("instance_type")["usd_per_million"]
    assert [ranked.value for ranked in choice.ranked] == pytest.approx([costs["m5.xlarge"], costs["m5n.xlarge"]])
    by_speed = chosen(findings, target="throughput")
    assert by_speed.ranked[0].candidate.machine.instance_type == "m5n.xlarge"
    assert "of 2025-01-15. With its" in ranking(choice).note


def test_a_choice_and_the_costs_have_the_price_that_the_night_was_planned_with(night: Callable[..., Findings]) -> None:
    """Of a type that the catalog does not have, too."""
    findings = night({("m8i.large", "base", engine): 10.0 for engine in ("deepsparse", "openvino")})
    day = date(2026, 11, 24)
    facts = InstanceFacts(
        name="m8i.large", region="eu-central-1", source="aws", as_of=day, vcpus=2, usd_per_hour=3.6, usd_as_of=day,
        spot_usd_per_hour=0.9,
    )  # fmt: skip
    planned = of_nights([replace(findings.nights[0], types={"m8i.large": facts})])

    (choice,) = planned.advice
    assert choice.bounds.target == "cost"
    costs = planned.costs.set_index("engine")["usd_per_million"]
    assert {ranked.candidate.treatment.engine: ranked.value for ranked in choice.ranked} == pytest.approx(
        costs.to_dict()
    )
    assert choice.ranked[0].candidate.offer == Offer(3.6, "eu-central-1", "on_demand", "2026-11-24")
    spot = chosen(planned, market="spot", region="eu-central-1")
    assert [ranked.value for ranked in spot.ranked] == pytest.approx([ranked.value / 4 for ranked in choice.ranked])
    assert "no on-demand price" in sentences(chosen(planned, region="us-east-1"))


FOUR = TWO | {("m5.xlarge", "pruned", "deepsparse"): 20.0, ("m5.xlarge", "pruned", "openvino"): 10.0}
LESS_ACCURATE = {"accuracy": Accuracy(dataset="imagenet-1k", images=50_000, top1=0.70)}


def test_what_misses_a_bound_is_left_out_with_the_reason(night: Callable[..., Findings]) -> None:
    findings = night(FOUR, drift=1, pruned=LESS_ACCURATE | {"gzip_bytes": 1_000_000})
    assert names(chosen(findings, accuracy=0.72))[0] == ("deepsparse", "base", "best")
    small = chosen(findings, size_bytes=2_000_000)
    assert {ranked.candidate.treatment.variant for ranked in small.ranked} == {"pruned"}
    assert small.refused[0].missed[0].kind == "size"
    light = chosen(night(FOUR, memory={"deepsparse": 500_000_000}), memory_bytes=400_000_000)
    assert light.ranked == ()
    assert {(refused.candidate.treatment.engine, refused.open) for refused in light.refused} == {
        ("deepsparse", False),
        ("openvino", True),
    }
    assert "it takes 500 MB of memory, above 400" in str(ranking(light).rows)
    assert "its memory is not known" in str(ranking(light).rows)
    assert "nothing surely meets the bounds (at most 400 MB of memory)" in sentences(light)
    production = chosen(findings, production=True)
    assert {ranked.candidate.treatment.engine for ranked in production.ranked} == {"openvino"}
    rows = [" ".join(cell for cell, _ in row) for row in ranking(production).rows]
    assert sum("its licence does not cover production" in row for row in rows) == 2
    soon = chosen(findings, latency_ms=60.0, percentile=50)
    assert names(soon) == [("deepsparse", "pruned", "best")]
    assert "Nothing else surely meets the bounds." in sentences(soon)


def test_whether_a_bound_is_met_is_open_where_it_is_within_the_interval(night: Callable[..., Findings]) -> None:
    choice = chosen(night(FOUR), latency_ms=80.0, percentile=50)  # OpenVINO's interval is from 50 to 100 ms
    assert re.search(r"whether these meet the bounds cannot be told: .*m5.xlarge with OpenVINO", sentences(choice))
    assert "p50 is 49.50 ms (49.01–102.02), and at most 80 are asked for" in sentences(choice)
    accurate = Accuracy(dataset="imagenet-1k", images=1000, top1=0.75)
    choice = chosen(night(FOUR, pruned={"accuracy": accurate}), accuracy=0.735)
    assert {refused.candidate.treatment.variant for refused in choice.open} == {"pruned"}
    assert "top-1 is 75.0 % (72.2–77.6), 73.5 % are asked for" in sentences(choice)


def test_bounds_that_nothing_meets_name_the_nearest(night: Callable[..., Findings]) -> None:
    choice = chosen(night(FOUR, drift=1), latency_ms=20.0, percentile=50)
    assert (choice.ranked, choice.winner) == ((), None)
    assert choice.nearest is not None
    assert choice.nearest.candidate.treatment == ("pruned", "deepsparse", "f32")
    assert (
        "nothing surely meets the bounds (p50 of at most 20 ms). The nearest is m5.xlarge with DeepSparse, pruned: "
        in (sentences(choice))
    )
    assert "ms (49.01–51.01), and at most 20 are asked for" in sentences(choice)


def test_what_no_number_answers_is_said_to_be_so(night: Callable[..., Findings]) -> None:
    few = chosen(night(TWO, steps=STEPS[:2]), latency_ms=1e6)
    assert few.nearest is None
    assert "How near anything is cannot be said: too few inferences for p95: 2 of 6 processes." in sentences(few)
    unpriced = chosen(night({("localhost", "base", "deepsparse"): 1.0}))
    assert "nothing can be ranked. How near anything is cannot be said: no on-demand price of localhost is known" in (
        sentences(unpriced)
    )
    spot = chosen(night(TWO), market="spot")
    assert "no spot price of m5.xlarge is known" in sentences(spot)
    assert chosen(night(TWO), market="spot", target="throughput").winner


def test_by_latency_it_is_the_percentile(night: Callable[..., Findings]) -> None:
    choice = chosen(night(FOUR, drift=1), target="latency", percentile=50)
    assert names(choice)[0] == ("deepsparse", "pruned", "best")
    assert choice.winner
    assert choice.ranked[0].value == pytest.approx(50, rel=0.05)
    assert "ms at p50" in sentences(choice)
    few = chosen(night(FOUR), target="latency", percentile=99)
    assert not few.ranked
    assert "too few inferences for p99" in sentences(few)


def test_tools_and_fakes_are_nobodys_choice(night: Callable[..., Findings]) -> None:
    speeds = {("m5.xlarge", "fake99", "deepsparse"): 90.0, ("m5.xlarge", "base", "deepsparse.benchmark"): 90.0}
    assert names(chosen(night(TWO | speeds)))[0] == ("deepsparse", "base", "best")


def on(**speeds: float) -> Speeds:
    """Of DeepSparse, by the family of xlarge."""
    return {(f"{family}.xlarge", "base", "deepsparse"): speed for family, speed in speeds.items()}


@pytest.mark.parametrize(
    ("speeds", "bounds", "left"),
    [
        (on(m5=20.0, m7i=10.0), {}, []),
        (on(m5=10.0, m7i=10.05), {"target": "throughput"}, ["m7i.xlarge", "m5.xlarge"]),
        (on(m5=10.0, m7i=10.05, m6a=5.0), {"target": "throughput"}, ["m7i.xlarge", "m5.xlarge"]),
        ({**TWO, ("m5.xlarge", "base", "openvino"): 11.0}, {"target": "throughput"}, []),  # of one machine
        (on(m5=20.0, m7i=10.0), {"latency_ms": 1.0, "percentile": 50}, []),  # which neither meets
    ],
    ids=["one wins", "two are alike", "a third loses", "one machine", "none meets"],
)
def test_what_does_not_clearly_lose_is_left_where_there_are_several(
    night: Callable[..., Findings], speeds: Speeds, bounds: dict[str, Any], left: list[str]
) -> None:
    assert contenders(chosen(night(speeds, drift=1), **bounds)) == left


def test_what_may_meet_a_bound_is_left_unless_it_would_lose_if_it_did(night: Callable[..., Findings]) -> None:
    """m5 surely meets the bound. Whether the others do cannot be told; m7i surely costs more, and t3 perhaps."""
    steps = (0.3, -0.3, 0.3, -0.3, 0.3, -0.3)

    def left(**others: float) -> list[str]:
        choice = chosen(night(on(m5=20.0, **others), steps, drift=1), latency_ms=80.0, percentile=50)
        assert [of.candidate.machine.instance_type for of in choice.ranked] == ["m5.xlarge"]
        assert choice.open
        return contenders(choice)

    assert left(t3=13.0) == ["m5.xlarge", "t3.xlarge"]
    assert left(m7i=13.0) == []


def test_a_choice_is_between_the_types_that_were_asked_for_and_measured(night: Callable[..., Findings]) -> None:
    found = night(on(m5=10.0, m7i=40.0))
    between = choice_between(found, "vgg19", ["m5.xlarge", "t3.xlarge"], Bounds())
    assert between
    assert [of.candidate.machine.instance_type for of in between.ranked] == ["m5.xlarge"]
    assert choice_between(found, "vgg19", ["t3.xlarge"], Bounds()) is None
    assert choice_between(found, "resnet50", ["m5.xlarge"], Bounds()) is None


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"target": "speed"}, "target is 'speed'; expected one of cost, latency, throughput"),
        ({"percentile": 96}, "percentile is 96; expected one of 50, 90, 95, 99"),
        ({"latency_ms": -1.0}, "latency_ms is -1; expected milliseconds above 0"),
        ({"latency_ms": math.nan}, "latency_ms is nan; expected milliseconds above 0"),
        ({"accuracy": 76.0}, "accuracy is 76; expected a fraction from 0 to 1, such as 0.76"),
        ({"memory_bytes": -1}, "memory_bytes is -1; expected a number of bytes above 0"),
        ({"size_bytes": 0}, "size_bytes is 0; expected a number of bytes above 0"),
        ({"market": "auction"}, "market is 'auction'; expected one of on_demand, spot"),
    ],
)
def test_a_bound_that_is_wrong_is_named(bounds: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput) as raised:
        Bounds(**bounds)
    assert str(raised.value) == message


def test_a_region_of_which_no_price_is_known_is_named(night: Callable[..., Findings]) -> None:
    with pytest.raises(BadInput, match="region is 'mars-1'; expected one of us-east-1"):
        night(TWO).choose(Bounds(region="mars-1"))


@pytest.mark.parametrize("name", ["instance_types", "engines", "networks"])
def test_a_bound_on_what_was_not_measured_says_what_was(name: str, night: Callable[..., Findings]) -> None:
    with pytest.raises(BadInput, match=f"{name}: 'x9' was not measured; (m5.xlarge|deepsparse, openvino|vgg19) was"):
        night(TWO).choose(Bounds(**{name: ("x9",)}))  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("truth", ["all are equal", "two equally best"])
def test_equals_are_hardly_ever_called_better_or_worse(truth: str) -> None:
    claimed = claims(TRUTHS[truth], 200, np.random.default_rng(7))
    assert claimed.wrong <= 0.05
    assert claimed.lost <= 0.08  # 5 %, and what 200 nights vary by


@pytest.mark.slow
def test_a_true_winner_is_named_where_it_is_far_enough_ahead() -> None:
    claimed = claims(TRUTHS["the best by 10 %"], 100, np.random.default_rng(7), processes=12)
    assert claimed.right > 0.5
    assert claimed.wrong == 0
