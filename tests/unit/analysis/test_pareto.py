"""A choice is called dominated only where another is shown to be better, and nowhere worse."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from sparsebench.analysis.findings import Findings, of_nights
from sparsebench.analysis.pooling import Night
from sparsebench.contracts import Accuracy, HostFacts, Manifest, ModelCard, Trial
from sparsebench.report import pareto_figures
from sparsebench.report.tables.pareto import missing, pareto

STEPS = (0.002, -0.002, 0.001, -0.001, 0.0015, -0.0015)


@pytest.fixture
def findings_of(
    make_trial: Callable[..., Trial],
    make_host: Callable[..., HostFacts],
    make_card: Callable[..., ModelCard],
    make_manifest: Callable[..., Manifest],
) -> Callable[..., Findings]:
    """Of VGG-19. speeds: img/s by variant and engine, on every machine. top1: by variant, None: not known."""

    def made(
        speeds: dict[tuple[str, str], float], top1: dict[str, float | None], types: tuple[str, ...] = ("m5.xlarge",)
    ) -> Findings:
        trials = [
            make_trial(
                speed * math.exp(step * (1 if engine == "deepsparse" else -1)),
                engine=engine,
                variant=variant,
                instance_type=instance_type,
                generation=index,
                variants=("base", "pruned"),
            )
            for instance_type in types
            for (variant, engine), speed in speeds.items()
            for index, step in enumerate(STEPS)
        ]
        sizes = {"base": 40_000_000, "pruned": 10_000_000}
        cards = [
            make_card(variant=name, gzip_bytes=sizes[name], accuracy=_accuracy(share)) for name, share in top1.items()
        ]
        manifest = make_manifest(models=tuple(cards))
        return of_nights([Night(manifest, trials, [make_host(name) for name in types])])

    return made


def _accuracy(top1: float | None) -> Accuracy | None:
    return None if top1 is None else Accuracy(dataset="imagenet-1k", images=50_000, top1=top1)


def by(frame: pd.DataFrame, front: str) -> dict[Any, str]:
    rows = frame[frame["front"] == front]
    return dict(zip(zip(rows["variant"], rows["engine"], strict=True), rows["dominated_by"], strict=True))


SPEEDS = {
    ("base", "deepsparse"): 10.0,
    ("base", "openvino"): 12.0,
    ("pruned", "deepsparse"): 20.0,
    ("pruned", "openvino"): 12.0,
}


def test_what_costs_more_and_is_no_more_accurate_is_dominated_and_by_what(findings_of: Callable[..., Findings]) -> None:
    frame = findings_of(SPEEDS, {"base": 0.76, "pruned": 0.74}).pareto
    assert by(frame, "cost_accuracy") == {
        ("base", "openvino"): "",
        ("base", "deepsparse"): "m5.xlarge openvino base",
        ("pruned", "openvino"): "m5.xlarge deepsparse pruned",
        ("pruned", "deepsparse"): "",
    }
    assert by(frame, "size_accuracy") == dict.fromkeys(SPEEDS, "")  # the smaller file is the less accurate one


def test_what_is_better_in_both_dominates_whatever_engine_it_is_of(findings_of: Callable[..., Findings]) -> None:
    frame = findings_of(SPEEDS, {"base": 0.74, "pruned": 0.76}).pareto
    on_front = {key for key, dominated in by(frame, "cost_accuracy").items() if not dominated}
    assert on_front == {("pruned", "deepsparse")}


def test_accuracies_that_cannot_be_told_apart_dominate_nothing(findings_of: Callable[..., Findings]) -> None:
    frame = findings_of(
        {("base", "deepsparse"): 10.0, ("pruned", "deepsparse"): 20.0}, {"base": 0.76, "pruned": 0.7605}
    ).pareto
    assert set(by(frame, "cost_accuracy").values()) == {""}


def test_speeds_that_cannot_be_told_apart_dominate_nothing(findings_of: Callable[..., Findings]) -> None:
    speeds = {("base", "deepsparse"): 10.0, ("base", "openvino"): 10.002, ("pruned", "openvino"): 10.0}
    frame = findings_of(speeds, {"base": 0.76, "pruned": 0.74}).pareto
    assert by(frame, "cost_accuracy")["base", "deepsparse"] == ""


def test_a_front_that_says_nothing_is_left_out_and_named(findings_of: Callable[..., Findings]) -> None:
    frame = findings_of(SPEEDS, {"base": 0.76, "pruned": None}).pareto
    assert list(dict.fromkeys(frame["front"])) == ["size_latency"]
    assert "Not shown: cost against accuracy, latency against cost and size against accuracy" in missing(frame)
    several = findings_of(SPEEDS, {"base": 0.76, "pruned": 0.74}, types=("m5.xlarge", "m7i.xlarge")).pareto
    assert list(dict.fromkeys(several["front"])) == ["cost_accuracy", "latency_cost", "size_accuracy", "size_latency"]
    assert missing(several) == ""


def test_every_choice_is_a_point_and_dominated_ones_are_pale(findings_of: Callable[..., Findings]) -> None:
    frame = findings_of(SPEEDS, {"base": 0.76, "pruned": 0.74}).pareto
    rows = frame[frame["front"] == "cost_accuracy"]
    (axes,) = pareto_figures.pareto_graph(rows).axes
    points = {tuple(container[0].get_xydata()[0]): container[0].get_alpha() for container in axes.containers}
    assert points == {
        (row["x"], row["y"] * 100): pareto_figures.PALE if row["dominated_by"] else 1 for row in rows.to_dict("records")
    }
    cells = [cell for row in pareto(rows).rows for cell, _ in row]
    assert "no: dominated by m5.xlarge with OpenVINO, base" in cells
