"""Sentences claim no more than the intervals do."""

from __future__ import annotations

from math import inf

import pandas as pd
import pytest

from sparsebench import catalog
from sparsebench.analysis import models
from sparsebench.analysis.compare import Comparison
from sparsebench.analysis.counts import Counts
from sparsebench.analysis.sample import Sample, Way
from sparsebench.contracts import Protocol
from sparsebench.report import sentences
from sparsebench.report.tables import networks
from sparsebench.statistics.verdicts import Kind, Verdict


def comparison(*machines: tuple[float, float, float, Kind], overall: Verdict | None = None) -> Comparison:
    """Of machines with these ratios - 1, intervals and verdicts."""
    rows = [
        {"instance_type": f"m{index}", "cpu_model": "Xeon", "emulated": False, "cells": 14, "cells_planned": 14,
         "entered": 14, "study": change, "low": low, "high": high, "verdict": kind, "over": "processes"}
        for index, (change, low, high, kind) in enumerate(machines)
    ]  # fmt: skip
    change, low, high, kind = machines[0]
    low, high = (1 + low, 1 + high) if low == low else (0, inf)
    overall = overall or Verdict(kind, 1 + change, low, high, low, high, 0.01)
    return Comparison("deepsparse", "openvino", pd.DataFrame(rows), overall)


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        ((0.2, 0.1, 0.3, "faster"), "DeepSparse is 20.0 % faster than OpenVINO, 95 % interval +10.0 to +30.0 %, on m0"),
        ((-0.2, -0.3, -0.1, "slower"), "DeepSparse is 20.0 % slower than OpenVINO, 95 % interval −30.0 to −10.0 %"),
        ((0.01, 0.0, 0.02, "equivalent"), "DeepSparse and OpenVINO are equally fast within ± 3 %: +1.0 %"),
        (
            (0.1, -0.1, 0.3, "undecided"),
            "Whether DeepSparse or OpenVINO is faster is undecided: +10.0 %, 95 % interval",
        ),
        (
            (0.1, 0.05, 0.15, "too_few"),
            "geometric mean over 14 of 14 cells. That is of too few processes for a verdict.",
        ),
        ((0.1, float("nan"), float("nan"), "too_few"), "There is no interval, so which is faster is not known."),
    ],
)
def test_a_headline_says_what_its_verdict_is(machine: tuple[float, float, float, Kind], expected: str) -> None:
    text = sentences.geometric(comparison(machine)).replace("\u00a0", " ")
    assert expected in text
    assert ("faster than" in text or "slower than" in text) == (machine[3] in ("faster", "slower"))
    assert "geometric mean over 14 of 14 cells" in text


def test_undecided_beside_an_interval_without_zero_is_explained() -> None:
    overall = Verdict("undecided", 1.1, 1.05, 1.15, 0.98, 1.23, 0.2)
    text = sentences.geometric(comparison((0.1, 0.05, 0.15, "undecided"), overall=overall))
    assert "95 % interval +5.0 to +15.0 % (−2.0 to +23.0 % when all that is compared here has to hold together)" in text


def test_a_machine_with_another_verdict_is_named() -> None:
    overall = Verdict("faster", 1.1, 1.05, 1.15, 1.02, 1.18, 0.01)
    compared = comparison((0.2, 0.1, 0.3, "faster"), (-0.1, -0.2, -0.05, "slower"), overall=overall)
    assert "On m1: DeepSparse is slower (−20.0 to −5.0 %)." in sentences.geometric(compared)
    assert "On m0" not in sentences.geometric(compared)


def test_the_scenario_is_told_with_each_engines_own_way() -> None:
    protocols = catalog.protocols()

    def scenario(protocol: Protocol | None) -> str:
        ways = (Way("openvino", (1,), (4,)), Way("deepsparse", (16,), ()))
        return sentences.scenario(Sample("f32", protocol, ways, 1, 1, 1, 1, 0, 0, 0, Counts(2, 2), 1, ()))

    assert scenario(protocols["quick"]) == "Batch 1, one inference at a time."
    assert scenario(protocols["throughput"]) == (
        "Each engine as many images a second as it can, as it recommends: OpenVINO with batch 1, 4 streams; "
        "DeepSparse with batch 16."
    )
    assert scenario(None) == "The table does not state the batch."


def test_a_night_in_which_nothing_was_pruned_says_so_in_place_of_sizes() -> None:
    nothing = models.sizes([])
    assert "No network of this night has both" in networks.sizes(nothing, nothing).note
