"""The study's published values come out of the study's published table."""

from __future__ import annotations

import math
from importlib.resources import as_file, files

import pandas as pd
import pytest

from sparsebench.analysis.compare import Comparison, compare, headlines, line_points
from sparsebench.analysis.csvfile import read_csv
from sparsebench.analysis.ratios import measure
from sparsebench.analysis.results import Results

TYPES = ["t3.xlarge", "c4.xlarge", "m6a.xlarge", "m5.xlarge", "m5n.xlarge", "m7i.xlarge"]


@pytest.fixture(scope="module")
def study() -> Results:
    with as_file(files("sparsebench.report") / "study" / "throughput.csv") as path:
        return read_csv(path)


def compared(study: Results, a: str, b: str) -> Comparison:
    (comparison,) = compare(study, measure(study), [(a, b)])
    return comparison


@pytest.fixture(scope="module")
def machines(study: Results) -> pd.DataFrame:
    return compared(study, "deepsparse", "openvino").machines.set_index("instance_type")


def test_every_row_is_read_and_instance_types_that_share_a_cpu_stay_apart(study: Results) -> None:
    assert len(study.repeats) == len(study.cells) == 336
    cells = study.cells.groupby(["instance_type", "cpu_model"]).size()
    assert cells["t3.xlarge", "Intel Xeon Platinum 8175M"] == cells["m5.xlarge", "Intel Xeon Platinum 8175M"] == 56


def test_deepsparse_is_12_15_percent_faster_than_openvino_over_all_instance_types(study: Results) -> None:
    assert compared(study, "deepsparse", "openvino").study == pytest.approx(0.1215, abs=5e-5)


def test_it_is_18_03_percent_without_m7i(machines: pd.DataFrame) -> None:
    assert machines.loc["m7i.xlarge", "study_without"] == pytest.approx(0.1803, abs=5e-5)


def test_on_m7i_it_is_17_27_percent_slower_which_is_openvino_20_9_percent_faster(
    study: Results, machines: pd.DataFrame
) -> None:
    assert machines.loc["m7i.xlarge", "study"] == pytest.approx(-0.1727, abs=5e-5)
    turned = compared(study, "openvino", "deepsparse").machines.set_index("instance_type")
    assert turned.loc["m7i.xlarge", "study"] == pytest.approx(0.209, abs=5e-4)


@pytest.mark.parametrize(
    ("instance_type", "percent"), zip(TYPES, [28.7, 17.1, 19.4, 26.8, 35.0, -35.1], strict=True), ids=TYPES
)
def test_geometric_mean(machines: pd.DataFrame, instance_type: str, percent: float) -> None:
    assert machines["geometric"][instance_type] * 100 == pytest.approx(percent, abs=0.05)


def test_one_repeat_has_no_interval_and_no_verdict(study: Results, machines: pd.DataFrame) -> None:
    assert machines["low"].isna().all()
    assert set(machines["verdict"]) == {"too_few"}
    overall = compared(study, "deepsparse", "openvino").overall
    assert (overall.kind, overall.high) == ("too_few", math.inf)


def test_all_14_files_of_each_instance_type_enter(machines: pd.DataFrame) -> None:
    assert set(machines["cells"]) == set(machines["cells_planned"]) == set(machines["entered"]) == {14}


def test_points_of_the_line_graph_in_the_studys_order(study: Results) -> None:
    points = line_points(study)
    deepsparse = points[points["engine"] == "deepsparse"]
    assert list(deepsparse["instance_type"]) == TYPES
    assert deepsparse["mean_img_s"].round(2).tolist() == [58.09, 54.21, 76.75, 80.08, 96.17, 147.48]


def test_the_headlines_are_deepsparse_against_the_two_others(study: Results) -> None:
    assert [(headline.a, headline.b) for headline in headlines(study, measure(study))] == [
        ("deepsparse", "openvino"),
        ("deepsparse", "onnxruntime"),
    ]
