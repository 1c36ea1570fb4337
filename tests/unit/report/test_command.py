"""``sparsebench report``: from a CSV or a night; errors are one line and exit code 2."""

from __future__ import annotations

import json
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sparsebench.cli import app
from sparsebench.report import SUMMARY
from sparsebench.store import Store

pytestmark = pytest.mark.slow


def sparsebench(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_studys_table_gives_the_studys_figures_and_headline(tmp_path: Path) -> None:
    with as_file(files("sparsebench.report") / "study" / "throughput.csv") as table:
        result = sparsebench("report", "--csv", table, "--out", tmp_path / "out")
    assert result.exit_code == 0
    page = tmp_path / "out" / "index.html"
    assert result.stdout.strip() == str(page)
    html = page.read_text("utf-8")
    for message in (
        "DeepSparse is 12.15 % faster than OpenVINO on average over 6 instance types",
        "Not so on m7i.xlarge: DeepSparse is 17.27 % slower than OpenVINO there, which is: OpenVINO is 20.88 % faster",
        "84 of 84 cells",
        "+12.3 % <small>no interval: one repeat</small>",
        "There is no interval, so which is faster is not known.",
        "+18.03 %",
    ):
        assert message in html.replace("&#39;", "'")
    figures = sorted(path.name for path in page.parent.glob("*.svg"))
    assert len(figures) == 8
    assert "usd_per_million.svg" in figures
    assert "because the table of throughputs has no accuracies." in html
    assert "A million inferences cost least, by the means of what was measured, in USD: VGG-19 " in html
    assert "overview_graph_m7i.xlarge-Intel-Xeon-Platinum-8488C.svg" in figures


def test_nights_are_compared_together(tmp_path: Path, two_nights: Store) -> None:
    arguments = ["compare", "--night", "2026-11-24", "--night", "2026-11-25", "--store", two_nights.uri]
    result = sparsebench(*arguments, "--json", tmp_path / "found.json")
    assert result.exit_code == 0
    assert "DeepSparse / OpenVINO" in result.stdout
    assert "2 hosts, 12 processes, 72 blocks" in " ".join(result.stdout.split())
    assert "Pooled: 2 nights (2026-11-24, 2026-11-25) taken as one" in " ".join(result.stdout.split())
    content = json.loads((tmp_path / "found.json").read_text())
    assert (content["pooled"], content["counts"]) == (True, {"planned": 2, "with_number": 2, "without": {}})
    (ratio,) = content["ratios"]
    assert (ratio["hosts"], ratio["processes"], ratio["over"], ratio["verdict"]) == (2, 6, "processes", "faster")
    assert ratio["ratio"] == pytest.approx(2, rel=0.02)
    assert ratio["low"] < ratio["ratio"] < ratio["high"]
    assert [(row["engine_a"], row["verdict"]) for row in content["headlines"]] == [("deepsparse", "faster")]
    assert (content["nights"], content["protocol"]) == (["2026-11-24", "2026-11-25"], "standard")
    repeated = sparsebench(*arguments, "--night", "2026-11-24", "--json", tmp_path / "again.json")
    assert repeated.stdout == result.stdout


def test_it_advises_from_nights_together(tmp_path: Path, two_nights: Store) -> None:
    """Three processes of one night carry no verdict; the six of both do."""
    arguments = ["advise", "--night", "2026-11-24", "--store", two_nights.uri]
    both = [*arguments, "--night", "2026-11-25"]
    alone = sparsebench(*arguments, "--json", tmp_path / "one.json")
    assert alone.exit_code == 0
    assert "too few processes" in " ".join(alone.stdout.split())
    assert json.loads((tmp_path / "one.json").read_text())["networks"][0]["winner"] is None
    result = sparsebench(*both, "--json", tmp_path / "both.json")
    assert "Pooled: 2 nights" in result.stdout
    assert "VGG-19: take m5.xlarge with DeepSparse, base, 2.6" in " ".join(result.stdout.split())
    content = json.loads((tmp_path / "both.json").read_text())
    assert (content["nights"], content["lane"]) == (["2026-11-24", "2026-11-25"], "f32")
    assert content["bounds"]["target"] == "cost"
    (network,) = content["networks"]
    winner = {"instance_type": "m5.xlarge", "variant": "base", "engine": "deepsparse", "precision": "f32"}
    assert network["winner"] == winner
    assert [row["verdict"] for row in network["candidates"]] == ["best", "loses"]
    assert network["candidates"][1]["behind"] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--percentile", "75"], "percentile is 75; expected one of 50, 90, 95, 99"),
        (["--latency-ms", "-5"], "latency_ms is -5; expected milliseconds above 0"),
        (["--instance-type", "p5.48xlarge"], "instance_types: 'p5.48xlarge' was not measured; m5.xlarge was"),
        (["--lane", "native"], "lane is 'native'; expected one of f32"),
        (["--json", "none/file"], "none/file: cannot be written: No such file or directory"),
    ],
)
def test_a_bound_that_is_wrong_is_one_line(arguments: list[str], message: str, two_nights: Store) -> None:
    result = sparsebench("advise", "--night", "2026-11-24", "--store", two_nights.uri, *arguments)
    assert (result.exit_code, result.stderr) == (2, f"sparsebench: {message}\n")


def test_nothing_to_choose_from_is_said(tmp_path: Path, empty_night: Any) -> None:
    store = Store(tmp_path.as_uri())
    empty_night.write(store)
    result = sparsebench("advise", "--night", empty_night.night, "--store", store.uri)
    assert (result.exit_code, "nothing to choose from" in result.stdout) == (0, True)


def test_one_night_without_a_pair_is_compared_too(tmp_path: Path, empty_night: Any) -> None:
    store = Store(tmp_path.as_uri())
    empty_night.write(store)
    result = sparsebench("compare", "--night", empty_night.night, "--store", store.uri)
    assert (result.exit_code, "nothing to compare" in result.stdout) == (0, True)


def test_nights_that_did_not_measure_the_same_are_refused(two_nights: Store) -> None:
    nights = ["--night", "2026-11-24", "--night", "2026-11-26"]
    result = sparsebench("compare", *nights, "--store", two_nights.uri)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "name of the protocol is standard in 2026-11-24 and quick in 2026-11-26" in result.stderr
    assert "vgg19 base is artifact" in result.stderr


def test_a_night_is_published_in_its_store_and_drawn_alike_into_a_folder(tmp_path: Path, empty_night: Any) -> None:
    store = Store((tmp_path / "store").as_uri())
    empty_night.write(store)
    published = sparsebench("report", "--night", empty_night.night, "--store", store.uri)
    assert published.stdout.strip() == f"{store.uri}/nights/{empty_night.night}/report/index.html"
    sparsebench("report", "--night", empty_night.night, "--store", store.uri, "--out", tmp_path / "out")
    in_store = tmp_path / "store" / "nights" / empty_night.night / "report"
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {
        path.name: path.read_bytes() for path in in_store.iterdir() if path.name != SUMMARY
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either --csv FILE or --night NIGHT"),
        (["--csv", "a.csv", "--night", "2026-11-24"], "give either --csv FILE or --night NIGHT"),
        (["--csv", "a.csv"], "--csv needs --out DIR"),
        (["--csv", "none.csv", "--out", "out"], "none.csv: cannot be read: No such file or directory"),
        (["--night", "yesterday", "--store", "file:///none"], "night is 'yesterday'; expected a date"),
        (["--night", "2026-11-24", "--store", "file:///none"], "file:///none has no nights/2026-11-24/manifest.json"),
        (["--night", "2026-11-24", "--store", "nowhere://x"], "store 'nowhere://x'"),
    ],
)
def test_an_error_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = sparsebench("report", *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("sparsebench: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with as_file(files("sparsebench.report") / "study" / "throughput.csv") as table:
        result = sparsebench("report", "--csv", table, "--out", tmp_path / "file" / "out")
    assert (result.exit_code, "file/out: cannot be written" in result.stderr) == (2, True)
