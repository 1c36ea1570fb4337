"""A night's report: complete, self-contained, the same bytes from any store."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from sparsebench import report
from sparsebench.analysis.csvfile import read_csv
from sparsebench.contracts import Execution, HostFacts, Kernel, Manifest, Trial
from sparsebench.errors import BadInput, StoreError
from sparsebench.store import Store


class Page(HTMLParser):
    """Text (but what only a screen reader reads), tags and attributes of a page."""

    def __init__(self, html: bytes):
        super().__init__()
        self.text = ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.captions: list[str] = []
        self._inside = ""
        self.feed(html.decode())

    def handle_data(self, data: str) -> None:
        data = data.replace("\u00a0", " ")
        if self._inside == "caption":
            return
        self.text += data
        if self._inside == "td":
            self.rows[-1][-1] += data
        elif self._inside == "figcaption":
            self.captions[-1] += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        match tag:
            case "tr":
                self.rows.append([])
            case "td":
                self.rows[-1].append("")
                self._inside = tag
            case "caption":
                self._inside = tag
            case "figcaption":
                self.captions.append("")
                self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    @property
    def links(self) -> list[str]:
        return [
            str(value) for _, attributes in self.tags for name, value in attributes.items() if name in ("href", "src")
        ]


@pytest.fixture(scope="module")
def built(store: Store, night: Any) -> dict[str, bytes]:
    return report.build(store, night.night)


@pytest.fixture(scope="module")
def page(built: dict[str, bytes]) -> Page:
    return Page(built["index.html"])


def csv(data: bytes) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(data))


# ------------------------------------------------------------------------------------------------ whole


def test_it_has_every_figure_in_three_forms_and_every_table(built: dict[str, bytes]) -> None:
    graphs = {name.removesuffix(".svg") for name in built if name.endswith(".svg")}
    assert {name.split("_m")[0] for name in graphs} == {
        "overview_line_graph",
        "overview_graph",
        "fake_prune_throughput",
        "usd_per",
        "pareto_latency_cost",
        "pareto_size_latency",
    }
    assert len(graphs) == 8
    for graph in graphs:
        assert built[f"{graph}.png"].startswith(b"\x89PNG")
        assert len(csv(built[f"{graph}.csv"]))
    tables = {
        "headline",
        "ratios",
        "kernels",
        "interference",
        "costs",
        "throughput",
        "throughput_native",
        "sizes",
        "sparsity",
        "missing",
        "hosts",
        "inputs",
        "repeats",
        "worth",
        "choices",
        "pareto",
    }
    assert {f"{name}.csv" for name in tables} <= set(built)
    assert list(built)[-1] == "index.html"


def runs_its_own_script_alone(html: str) -> bool:
    """Whether a page's scripts are its data, which is JSON, and the one that is its own."""
    scripts = re.findall(r"<script([^>]*)>(.*?)</script", html, re.DOTALL)
    own = Path(report.__file__).with_name("page.js").read_text()
    data = [json.loads(text) for kind, text in scripts if kind == ' type="application/json" id="choosable"']
    return len(data) + 1 == len(scripts) and scripts[-1] == ("", own)


def test_the_page_asks_for_nothing_but_its_own_files(built: dict[str, bytes], page: Page) -> None:
    for link in page.links:
        assert link.startswith(("#", "data:,")) or link in built, link
    assert not {tag for tag, _ in page.tags} & {"img", "iframe", "object"}
    html = built["index.html"].decode()
    assert runs_its_own_script_alone(html)
    assert "@import" not in html
    assert "://" not in html
    assert set(re.findall(r"url\((.)", html)) == {"#"}


def test_every_part_of_a_figure_that_is_referred_to_is_there_once(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(ids)


def test_the_headline_comes_first_in_plain_words(page: Page) -> None:
    position = page.text.index("DeepSparse is ")
    assert re.match(
        r"DeepSparse is \d+\.\d % faster than OpenVINO, 95 % interval \+\d+\.\d to \+\d+\.\d %, on average over "
        r"2 instance types, geometric mean over 26 of 28 cells\.\s+The study’s rule: \+\d+\.\d\d % "
        r"DeepSparse is \d+\.\d\d % faster than OpenVINO on average over 2 instance types, over 26 of 28 cells\.",
        page.text[position:],
    )
    assert position < page.text.index("Mean throughput per instance type")


def test_before_it_stands_whether_pruning_pays_and_for_how_much(built: dict[str, bytes], page: Page) -> None:
    text = " ".join(page.text.split())
    answer = text[text.index("Does pruning pay Pruned against base") :]
    answer = answer[: answer.index("Which engine is faster")]
    assert re.search(
        r"Pruned against base, of \d machines: .*; with DeepSparse it pays on 2 \(1\.\d\d( to 1\.\d\d)? times as",
        answer,
    )
    assert "Pruned, INT8 against base, of " in answer
    assert "Pruned networks are faster than their base, so that pruning pays, with DeepSparse (1." in answer
    assert re.search(r"Which to take .*VGG-19: (take|by its mean) m7i.xlarge \(emulated on AMD EPYC", answer)
    assert re.search(r"Accuracy \(top-1\), pruned instead of base: EfficientNet-B0 74\.2", answer.replace("\xa0", " "))
    assert "Not known of VGG-19" in answer
    assert "because random weights have no accuracy." in answer
    assert "Size after gzip −9, pruned instead of base: " in answer
    speedups = csv(built["speedups.csv"])
    lost = speedups.query("network == 'mobilevit_xs' and variant == 'pruned' and engine == 'openvino'")
    assert set(lost["because"]) == {"invalid"}
    assert answer.count("not measured: pruned invalid") == 2  # a lane and machine
    means = csv(built["speedup_means.csv"])
    assert set(means["entered"]) <= set(range(1, 8))
    assert set(csv(built["usd.csv"])["region"]) == {"us-east-1"}


def test_emulated_results_name_the_real_cpu_in_every_section(page: Page) -> None:
    claim = "emulated on AMD EPYC 9R14 96-Core Processor, not m7i.xlarge"
    sections = re.split(
        "Which engine is faster|Mean throughput per instance type|Every network, engine by engine|"
        "What more sparsity would bring|What the engines' own choice of precision brings|Another lane: native|"
        "How each engine computes|What disturbed the measurement|Load time and memory|"
        "The networks|What is missing, and why|How it was measured",
        page.text,
    )
    *shown, networks, missing, inputs = sections
    assert len(shown) == 10
    assert [claim in section for section in (*shown, missing, inputs)] == [True] * 12
    assert claim not in networks


def test_random_weights_are_named_and_accuracy_is_blank_where_not_measured(built: dict[str, bytes]) -> None:
    rows = csv(built["sparsity.csv"]).set_index(["network", "variant"]).to_dict("index")
    assert rows["vgg19", "base"]["weights"] == "random"
    assert pd.isna(rows["vgg19", "base"]["top1"])
    assert rows["efficientnet_b0", "pruned"]["top1"] == 0.7424


def test_missing_cells_are_counted_with_their_reasons(built: dict[str, bytes], page: Page) -> None:
    missing = csv(built["missing.csv"])
    assert missing["reason"].value_counts().to_dict() == {
        "absent": 28,
        "invalid": 4,
        "failed": 1,
        "capacity": 1,
        "disturbed": 1,
    }
    measured = len(csv(built["throughput.csv"])) + len(csv(built["throughput_native.csv"]))
    assert f"{measured + 35} cells planned, {measured} with a number, 35 without: 28 absent" in page.text
    assert "InsufficientInstanceCapacity in us-east-1a" in page.text


def test_lanes_are_never_mixed(built: dict[str, bytes]) -> None:
    for name, data in built.items():
        if name.startswith(("headline", "throughput.", "overview", "fake")):
            assert b",native," not in data, name
    ratios = csv(built["ratios.csv"])
    other = ratios[ratios["precision_a"] != ratios["precision_b"]]
    assert (other["engine_a"] == other["engine_b"]).all()
    assert set(csv(built["throughput_native.csv"])["precision"]) == {"native"}


def test_every_caption_says_what_it_stands_on(page: Page) -> None:
    captions = [text for text in page.captions if "Throughput on" in text]
    assert len(captions) == 2
    m5, m7i = captions
    assert "Lane f32: every engine is held to fp32. Batch 1, one inference at a time. 1 host, 348 processes" in m5
    assert "2,088 blocks, none disturbed. 60 cells planned, 58 with a number, 2 without: 1 invalid, 1 disturbed." in m5
    assert re.search(
        r"Unconverged \(the target is ± 2\.0 %; the worst ratio is given\): EfficientNet-B0 pruned ± \d", m5
    )
    assert "15 disturbed ones are left out. 60 cells planned, 59 with a number, 1 without: 1 invalid." in m7i
    assert "Every ratio of two engines is known to ± 2.0 %." in m7i
    assert m7i.endswith("Lines and bands: 95 % intervals of the means. SVG PNG CSV")


def test_what_is_not_shown_to_be_slower_than_the_fastest_is_marked(built: dict[str, bytes], page: Page) -> None:
    """DeepSparse and its own tool are equally fast in the night that was made up; the others are slower."""
    first = next(row for row in page.rows if row[:2] == ["VGG-19", "pruned"] and len(row) == 6)
    _, _, onnxruntime, openvino, deepsparse, own_tool = first
    assert ("≈" in deepsparse) != ("≈" in own_tool)
    assert "≈" not in onnxruntime + openvino
    ratios = csv(built["ratios.csv"]).query("network == 'vgg19' and variant == 'pruned' and precision_b == 'f32'")
    of_own_tool = ratios.query("engine_a == 'deepsparse.benchmark' and engine_b == 'deepsparse'")
    assert set(of_own_tool["verdict"]) <= {"equivalent", "undecided"}


def test_ratios_have_intervals_verdicts_and_what_they_stand_on(built: dict[str, bytes], page: Page) -> None:
    ratios = csv(built["ratios.csv"])
    assert set(ratios["verdict"]) == {"faster", "slower", "equivalent", "undecided"}
    noisy = ratios[~ratios["converged"]]
    assert set(noisy["network"]) == {"efficientnet_b0"}
    assert set(ratios["over"]) == {"processes"}
    busy = ratios.query("instance_type == 'm7i.xlarge' and engine_b == 'onnxruntime'")
    assert set(busy["excluded_rounds"]) == {1}
    assert set(busy["rounds"]) == {35}
    (row,) = [row for row in page.rows if "OpenVINO / ONNX Runtime" in row and row[:2] == ["", ""]][:1]
    assert re.fullmatch(r"\d\.\d{3} \(\d\.\d{3}–\d\.\d{3}\)", row[3])
    assert row[6:] == ["6", "36"]
    compared = [row for row in page.rows if len(row) == 8 and " / " in row[2]]
    assert any(re.fullmatch(r"± \d+\.\d % > ± 2\.0 %", row[5]) for row in compared)
    assert {row[7] for row in compared} == {"36", "35 of 36"}


def test_what_native_precision_brings_is_told_with_what_is_really_computed_in(page: Page) -> None:
    rows = [row for row in page.rows if len(row) == 8 and row[6] == "bf16 90 %, f32 10 %"]
    assert {row[2] for row in rows} == {"OpenVINO"}
    assert all(re.match(r"1\.[56]\d\d \(", row[3]) for row in rows)
    assert {row[4] for row in rows} == {"faster"}
    assert {row[7] for row in rows} == {"1.0e-06"}


def test_how_engines_compute_and_what_disturbed_them_is_told(built: dict[str, bytes], page: Page) -> None:
    assert "brgemm_avx512_bf16 90 %; jit_avx512_f32 10 %" in page.text
    kernels = csv(built["kernels.csv"])
    assert set(kernels["computes_in"]) == {"f32", "bf16"}
    blocks = csv(built["interference.csv"])
    assert "latencies_ms" not in blocks
    assert set(blocks["disturbed_by"].dropna()) == {"foreign_cores"}
    assert [row[1:4] for row in page.rows if row[3:4] and "other processes" in row[3]] == [
        ["5,616", "36", "36 blocks: other processes took 0.9 of a core"],
        ["5,580", "43", "43 blocks: other processes took 0.9 of a core"],
    ]


def test_a_disturbed_cell_is_listed_and_in_no_table_of_throughputs(built: dict[str, bytes]) -> None:
    pairs = "instance_type == 'm5.xlarge' and network == 'resnet50' and variant == 'pruned_int8'"
    selection = f"{pairs} and engine == 'onnxruntime'"
    (row,) = csv(built["missing.csv"]).query(selection).to_dict("records")
    assert (row["reason"], row["trials"], row["valid_trials"]) == ("disturbed", 6, 0)
    for name, data in built.items():
        if name.startswith(("throughput", "repeats", "fake_prune", "overview_graph")) and name.endswith(".csv"):
            assert csv(data).rename(columns={"model": "network"}).query(selection).empty, name
    ratios = csv(built["ratios.csv"]).query(pairs)
    assert "onnxruntime" not in {*ratios["engine_a"], *ratios["engine_b"]}


def test_an_invalid_cell_has_no_throughput_in_any_table(built: dict[str, bytes]) -> None:
    for name in ("throughput.csv", "throughput_native.csv", "repeats.csv"):
        frame = csv(built[name]).rename(columns={"model": "network"})
        pruned = frame[(frame["network"] == "mobilevit_xs") & (frame["variant"] == "pruned")]
        assert len(pruned)
        assert "openvino" not in set(pruned["engine"])


def test_operators_that_an_engine_handed_on_are_shown(page: Page) -> None:
    assert "[94.6 % ops]" in page.text


def test_the_repeats_draw_the_same_results_again(built: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "repeats.csv").write_bytes(built["repeats.csv"])
    reread = read_csv(tmp_path / "repeats.csv")
    not_in_it = ["blocks", "disturbed_blocks", "tolerated_blocks", "batch", "streams", "supported_ops"]
    cells = csv(built["throughput.csv"]).drop(columns=not_in_it)
    pd.testing.assert_frame_equal(
        reread.lane("f32").cells.drop(columns=not_in_it), cells, check_dtype=False, check_exact=True
    )


def test_hosts_and_inputs_are_told(built: dict[str, bytes], page: Page, night: Any) -> None:
    hosts = csv(built["hosts.csv"])
    assert list(hosts["cpu_model"]) == [host.cpu_model for host in night.hosts]
    assert list(hosts["version_openvino"]) == ["2026.4.1", "2026.4.1"]
    for value in (night.manifest.digest, "2026-11-24T02:00:00+00:00", "deepsparse 1.8.0", "2 (4)"):
        assert value in page.text


def test_each_run_is_told_with_what_it_cost(built: dict[str, bytes], page: Page) -> None:
    (run,) = csv(built["runs.csv"]).to_dict("records")
    assert run == {
        "run": "scheduled",
        "planned": 1,
        "measured": 0,
        "missing": "1 capacity",
        "machine_min": 0,
        "cost_usd": 0.125,
    }
    assert "on demand. Machine minutes" in page.text


# ------------------------------------------------------------------------------------- the same bytes


@pytest.mark.slow
def test_a_bucket_gives_the_same_report_as_a_folder(night: Any, moto_bucket: str, tmp_path: Path) -> None:
    some = dataclasses.replace(night, trials=night.trials[:240])  # six processes of some networks
    folder, in_bucket = Store(tmp_path.as_uri()), Store(moto_bucket)
    for store in (folder, in_bucket):
        some.write(store)
    path = report.publish(in_bucket, night.night)
    assert path == f"nights/{night.night}/report/index.html"
    paths = in_bucket.paths(f"nights/{night.night}/report")
    published = {name.rpartition("/")[2]: in_bucket.read(name) for name in paths}
    summary = json.loads(published.pop(report.SUMMARY))
    assert set(summary) == {"says", "machines", "counts"}
    assert [sentence for sentence in summary["says"] if ": take " in sentence or ": by its mean " in sentence]
    assert published == report.build(folder, night.night)


@pytest.mark.slow
def test_another_process_with_another_matplotlibrc_draws_the_same_bytes(
    built: dict[str, bytes], store: Store, night: Any, tmp_path: Path
) -> None:
    (tmp_path / "matplotlibrc").write_text("font.size: 20\naxes.facecolor: pink\nsvg.hashsalt: other\n")
    command = [sys.executable, "-m", "sparsebench", "report", "--night", night.night]
    environment = {**os.environ, "PYTHONPATH": "include", "PYTHONHASHSEED": "7", "MPLCONFIGDIR": str(tmp_path)}
    out = tmp_path / "out"
    subprocess.run([*command, "--store", store.uri, "--out", str(out)], env=environment, check=True)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == built


# --------------------------------------------------------------------------------------- other nights


def test_a_night_without_a_valid_trial_says_so(store: Store, empty_night: Any) -> None:
    files = report.build(store, empty_night.night)
    assert "No cell of this night has a valid throughput" in Page(files["index.html"]).text
    assert not [name for name in files if name.endswith((".svg", ".png"))]


def test_a_night_that_was_frozen_late_says_so(store: Store, empty_night: Any, built: dict[str, bytes]) -> None:
    text = "a past night that had no manifest; frozen from the inputs of 2026-11-24"
    late = report.build(store, empty_night.night)
    assert text in Page(late["index.html"]).text
    assert text in late["inputs.csv"].decode()
    assert "a past night" not in built["index.html"].decode()


def test_a_night_that_is_not_there(store: Store) -> None:
    with pytest.raises(StoreError, match=r"has no nights/2020-01-01/manifest\.json"):
        report.build(store, "2020-01-01")
    with pytest.raises(BadInput, match=r"night is '\.\./x'; expected a date"):
        report.build(store, "../x")


def test_whatever_a_host_or_a_trial_says_is_shown_as_text(
    night: Any, make_host: Callable[..., HostFacts], make_trial: Callable[..., Trial], tmp_path: Path
) -> None:
    hostile = '--><script>alert("1")</script> $\\frac{1}$ & <b>"\'</b> ]]>'
    kernel = Kernel(name=hostile, precision=hostile, isa=hostile, count=1, time_share=1)
    trials = [
        make_trial(engine="unheard-of", execution=Execution(source=hostile, kernels=(kernel,))),
        make_trial(engine="openvino", status="failed", error=hostile),
    ]
    store = Store(tmp_path.as_uri())
    hosts = [make_host(cpu_model=hostile, os=hostile)]
    fields = {name: getattr(night.manifest, name) for name in Manifest.model_fields if name != "digest"}
    manifest = Manifest.freeze(**{**fields, "engines": (*night.manifest.engines, "unheard-of")})
    dataclasses.replace(night, manifest=manifest, hosts=hosts, trials=trials, collections=[]).write(store)
    files = report.build(store, night.night)
    page = Page(files["index.html"])
    assert page.text.count(hostile) >= 7
    assert runs_its_own_script_alone(files["index.html"].decode())
    assert "b" not in {tag for tag, _ in page.tags}
    for name, data in files.items():
        if name.endswith(".svg"):
            assert not list(ET.fromstring(data).findall(".//{*}script"))


def test_two_cpus_whose_names_make_one_file_name_get_a_figure_each(
    night: Any, make_host: Callable[..., HostFacts], make_trial: Callable[..., Trial], tmp_path: Path
) -> None:
    hosts = [make_host(cpu_model=name, instance_id=name) for name in ("CPU (A)", "CPU [A]")]
    trials = [make_trial(instance_id=host.instance_id, job=f"job-{n}") for n, host in enumerate(hosts)]
    store = Store(tmp_path.as_uri())
    dataclasses.replace(night, hosts=hosts, trials=trials, collections=[]).write(store)
    assert sum(name.startswith("overview_graph") for name in report.build(store, night.night)) == 2 * 3


# ------------------------------------------------------------------------------------------- terminal


def shown(store: Store, night: str) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(report.summary(store, night))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_the_summary_marks_the_fastest_engine_of_each_row(store: Store, night: Any, built: dict[str, bytes]) -> None:
    text = shown(store, night.night)
    cells = csv(built["throughput.csv"])
    assert text.count(" * ") + text.count(" *\n") == len(
        cells[["instance_type", "network", "variant"]].drop_duplicates()
    )
    assert "Unconverged (the target is ± 2.0 %; the worst ratio is given): EfficientNet-B0" in " ".join(text.split())
    (row,) = [line for line in text.splitlines() if "MobileViT-xs" in line and " pruned" in line][:1]
    assert "invalid" in row
    assert "DeepSparse is" in text
    assert "emulated on AMD EPYC 9R14 96-Core Processor, not m7i.xlarge" in text
    assert "35 without: 28 absent" in text


def test_the_summary_of_an_empty_night_says_so(store: Store, empty_night: Any) -> None:
    assert "No cell of this night has a valid throughput" in shown(store, empty_night.night)
