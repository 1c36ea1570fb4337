"""What a variant takes is said beside what it brings, and never where it is not known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from sparsebench.analysis.findings import Findings, of_nights
from sparsebench.analysis.pooling import Night
from sparsebench.analysis.worth import UNKNOWN, difference
from sparsebench.contracts import Accuracy, HostFacts, Manifest, ModelCard, Trial, Weights
from sparsebench.report.tables.worth import worth
from sparsebench.report.takes import takes

RANDOM = Weights(kind="random", origin="no hub in reach", seed=0)
SPEEDS = {"deepsparse": (10.0, 20.0), "deepsparse.benchmark": (11.0, 21.0), "openvino": (12.0, 13.0)}


def accuracy(top1: float, images: int = 50_000, dataset: str = "imagenet-1k") -> Accuracy:
    return Accuracy(dataset=dataset, images=images, top1=top1)


@pytest.fixture
def night(
    make_trial: Callable[..., Trial], make_host: Callable[..., HostFacts], make_manifest: Callable[..., Manifest]
) -> Callable[..., Findings]:
    """Of these cards, on each of which every engine has the speeds of SPEEDS, base and other."""

    def made(cards: Sequence[ModelCard], instance_type: str = "m5.xlarge") -> Findings:
        trials = [
            make_trial(
                speeds[card.variant != "base"] * (1 + 0.01 * (generation % 2)),
                engine=engine,
                network=card.network,
                variant=card.variant,
                generation=generation,
                instance_type=instance_type,
                variants=("base", "pruned"),
            )
            for card in cards
            for engine, speeds in SPEEDS.items()
            for generation in range(6)
        ]
        manifest = make_manifest(models=tuple(cards))
        return of_nights([Night(manifest, trials, [make_host(instance_type)])])

    return made


def text(findings: Findings) -> str:
    return "\n".join(takes(findings.worth)).replace("\u00a0", " ")


def test_the_interval_of_a_change_of_accuracy_is_newcombes() -> None:
    low, high = difference(accuracy(56 / 70, 70), accuracy(48 / 80, 80))
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=1e-4)  # his table II, (a)


def test_accuracy_and_size_are_said_with_the_interval_and_the_images(
    night: Callable[..., Findings], make_card: Callable[..., ModelCard]
) -> None:
    cards = [
        make_card("vgg19", "base", 40_000_000, accuracy=accuracy(0.761)),
        make_card("vgg19", "pruned", 10_000_000, accuracy=accuracy(0.759)),
        make_card("resnet50", "base", weights=RANDOM, accuracy=None),
        make_card("resnet50", "pruned", weights=RANDOM, accuracy=None),
    ]
    assert text(night(cards)).splitlines() == [
        "Accuracy (top-1), pruned instead of base: VGG-19 75.9 % instead of 76.1 % (−0.2 points, 95 % interval −0.7 to "
        "+0.3; 50,000 images of imagenet-1k). Not known of ResNet-50, because random weights have no accuracy.",
        "Size after gzip −9, pruned instead of base: VGG-19 10.0 instead of 40.0 MB (4.0 times smaller); ResNet-50 "
        "8.6 instead of 8.6 MB (1.0 times smaller).",
    ]


@pytest.mark.parametrize(
    ("base", "variant", "changes", "because"),
    [
        (accuracy(0.7), "pruned", {"accuracy": None}, "not_evaluated"),
        (None, "pruned", {"accuracy": accuracy(0.7)}, "not_evaluated"),
        (accuracy(0.7), "pruned", {"accuracy": None, "weights": RANDOM}, "random"),
        (accuracy(0.7), "fake99", {"accuracy": None}, "fake"),
        (accuracy(0.7), "pruned", {"accuracy": accuracy(0.7, images=100)}, "other_images"),
        (accuracy(0.7), "pruned_int8", {"accuracy": accuracy(0.7, dataset="digits")}, "other_images"),
    ],
)
def test_what_is_not_known_is_said_to_be_so_and_why(
    base: Accuracy | None,
    variant: str,
    changes: Any,
    because: str,
    night: Callable[..., Findings],
    make_card: Callable[..., ModelCard],
) -> None:
    findings = night([make_card(accuracy=base), make_card(variant=variant, **changes)])
    (row,) = findings.worth.to_dict("records")
    assert row["accuracy_because"] == because
    assert findings.worth[["change", "change_low", "change_high"]].isna().all(axis=None)
    assert f"cannot be said, because {UNKNOWN[because]}." in text(findings)


def test_cost_and_latency_are_those_of_the_fastest_engine_that_one_would_serve_with(
    night: Callable[..., Findings], make_card: Callable[..., ModelCard]
) -> None:
    findings = night([make_card(), make_card(variant="pruned")])
    (row,) = findings.worth.to_dict("records")
    assert (row["engine_base"], row["engine"]) == ("openvino", "deepsparse")
    costs = findings.costs.set_index(["variant", "engine"])["usd_per_million"]
    assert row["usd_per_million_base"] == costs["base", "openvino"]
    assert row["usd_per_million"] == costs["pruned", "deepsparse"]
    median = findings.latencies.query("percentile == 50").set_index(["variant", "engine"])["value"]
    assert (row["p50_ms_base"], row["p50_ms"]) == (median["base", "openvino"], median["pruned", "deepsparse"])
    (machine,) = findings.machines
    assert "USD per million" in worth(machine).columns
    assert "OpenVINO → DeepSparse" in [cell for cell, _ in worth(machine).rows[0]]


def test_a_machine_without_a_price_has_no_column_of_it(
    night: Callable[..., Findings], make_card: Callable[..., ModelCard]
) -> None:
    (machine,) = night([make_card(), make_card(variant="pruned")], instance_type="localhost").machines
    assert "USD per million" not in worth(machine).columns
