"""``sparsebench recommend``: what is refused before anything is copied, launched or asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from sparsebench.cli import app

TYPES = ["--instance-types", "m5.xlarge"]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.onnx").write_bytes(b"\x08\x08not read here")


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["recommend", *arguments])
    assert result.exit_code == 2, result.output
    return result.output


def test_without_an_airflow_that_runs_here_it_says_how_to_start_one(tmp_path: Path) -> None:
    assert f"no Airflow runs from {tmp_path}/.sparsebench; start it by `sparsebench up`" in refused("own.onnx", *TYPES)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            ["own.onnx", "--instance-types", " , "],
            "--instance-types: none was chosen; expected names such as m5.xlarge",
        ),
        (["own.onnx", *TYPES, "--budget-usd", "-1"], "--budget-usd is -1; expected USD, 0 or more"),
        (["own.onnx", *TYPES, "--budget-usd", "nan"], "--budget-usd is nan; expected USD, 0 or more"),
        (["own.onnx", *TYPES, "--budget-usd", "inf"], "--budget-usd is inf; expected USD, 0 or more"),
        (["own.onnx", *TYPES, "--axis", "n=4", "--axis", "n=8"], "--axis is 'n=8', and n=4 too; expected one size"),
        (["own.onnx", *TYPES, "--json", "none/here.json"], "--json none/here.json: there is no folder"),
        (["own.onnx", *TYPES, "--percentile", "96"], "percentile is 96; expected one of 50, 90, 95, 99"),
        (["own.onnx", *TYPES, "--target", "speed"], "target is 'speed'; expected one of cost, latency, throughput"),
        (["own.onnx", *TYPES, "--latency-ms", "0"], "latency_ms is 0; expected milliseconds above 0"),
        (["own.onnx", *TYPES, "--size-bytes", "0"], "size_bytes is 0; expected a number of bytes above 0"),
        (["own.onnx", *TYPES, "--axis", "batch"], "--axis is 'batch'; expected NAME=SIZE"),
        (["own.onnx", *TYPES, "--name", "resnet50"], "network: 'resnet50' is one of the catalog's"),
        (["own.onnx", *TYPES, "--name", "../up"], "network"),
        (["none.onnx", *TYPES], "none.onnx: cannot read none.onnx: No such file or directory"),
        (["own.onnx", *TYPES, "--pruned", "none.onnx"], "none.onnx: cannot read none.onnx: No such file or directory"),
    ],
)
def test_what_is_not_right_is_named(arguments: list[str], error: str) -> None:
    assert error in refused(*arguments)


def test_a_file_that_is_larger_than_onnx_allows_is_not_read() -> None:
    with Path("large.onnx").open("wb") as file:
        file.truncate(3 * 10**9)
    assert "large.onnx: it has 3.0 GB; an ONNX file has 2 GB at most" in refused("large.onnx", *TYPES)


def test_a_file_of_another_kind_is_called_what_it_is() -> None:
    Path("page.onnx").write_text("<!DOCTYPE html><title>Log in</title>")
    assert "page.onnx: not an ONNX file: it is a web page" in refused("page.onnx", *TYPES)
