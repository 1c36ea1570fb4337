"""The report's section on what is otherwise than on the night before."""

from __future__ import annotations

import csv
import io
import re

from tests.unit.conftest import ENGINE_SPEEDS, AddNight

from sparsebench import report
from sparsebench.store import Store

BEFORE, NIGHT = "2026-11-23", "2026-11-24"
SLOWER = {**ENGINE_SPEEDS, "openvino": tuple(speed * 0.92 for speed in ENGINE_SPEEDS["openvino"])}


def section(store: Store) -> tuple[str, dict[str, bytes]]:
    """The text of the section, empty where there is none; and the report's files."""
    files = report.build(store, NIGHT)
    (page,) = (content.decode() for name, content in files.items() if name == "index.html")
    section = re.search(r'<h2 id="since">(.*?)<h2', page, re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", section[1])) if section else "", files


def test_a_report_says_what_moved_since_the_night_before_and_what_differs(add_night: AddNight) -> None:
    report.publish(add_night(BEFORE, cpu="Xeon"), BEFORE)
    text, files = section(add_night(NIGHT, cpu="EPYC", engines=SLOWER))
    assert f"Since {BEFORE}, the night before" in text
    assert "What differs of the inputs and the hosts is in the table below." in text
    assert "CPU of m5.xlarge Xeon EPYC" in text
    assert "Of 4 ratios of img/s that both nights have 2 moved further than" in text
    assert "DeepSparse : OpenVINO, pruned" in text
    assert "1.09" in text
    rows = list(csv.DictReader(io.StringIO(files["since.csv"].decode())))
    assert [row["moved"] for row in rows].count("True") == 2
    assert {row["night_before"] for row in rows} == {BEFORE}
    assert "CPU of m5.xlarge" in files["since_inputs.csv"].decode()


def test_a_night_that_is_like_the_one_before_says_so(add_night: AddNight) -> None:
    report.publish(add_night(BEFORE), BEFORE)
    text, files = section(add_night(NIGHT))
    assert "The same models, code, packages, protocol and image, on the same CPUs." in text
    assert "have none moved further than" in text
    assert "Ratios that moved" not in text
    assert "since_inputs.csv" not in files


def test_what_only_one_of_the_nights_has_is_named(add_night: AddNight) -> None:
    third = {**ENGINE_SPEEDS, "onnxruntime": ENGINE_SPEEDS["openvino"]}
    report.publish(add_night(BEFORE, engines=third), BEFORE)
    text, _ = section(add_night(NIGHT))
    assert "With a ratio then, and not now: m5.xlarge VGG-19, base, ONNX Runtime (f32);" in text
    assert "With a ratio now, and not then" not in text


def test_the_first_night_has_no_such_section(add_night: AddNight) -> None:
    text, files = section(add_night(NIGHT))
    assert text == ""
    assert "since.csv" not in files
