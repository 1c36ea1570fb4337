"""A night's report: complete, self-contained, the same bytes from any store."""

from __future__ import annotations

import dataclasses
import io
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import boto3
import pandas as pd
import pytest
from moto.server import ThreadedMotoServer
from rich.console import Console

from sparsebench import report
from sparsebench.analysis.csvfile import read_csv
from sparsebench.contracts import HostFacts, Trial
from sparsebench.errors import BadInput, StoreError
from sparsebench.store import Store


class Page(HTMLParser):
    """Text, tags and attributes of a page."""

    def __init__(self, html: bytes):
        super().__init__()
        self.text = ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html.decode())

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    @property
    def links(self) -> list[str]:
        return [str(value) for _, of in self.tags for name, value in of.items() if name in ("href", "src")]


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
    }
    assert len(graphs) == 5
    for graph in graphs:
        assert built[f"{graph}.png"].startswith(b"\x89PNG")
        assert len(csv(built[f"{graph}.csv"]))
    tables = {
        "headline",
        "throughput",
        "throughput_native",
        "sizes",
        "sparsity",
        "missing",
        "hosts",
        "inputs",
        "repeats",
    }
    assert {f"{name}.csv" for name in tables} <= set(built)
    assert list(built)[-1] == "index.html"


def test_the_page_asks_for_nothing_but_its_own_files(built: dict[str, bytes], page: Page) -> None:
    for link in page.links:
        assert link.startswith(("#", "data:,")) or link in built, link
    assert not {tag for tag, _ in page.tags} & {"script", "img", "iframe", "object"}
    html = built["index.html"].decode()
    assert "@import" not in html
    assert "://" not in html
    assert set(re.findall(r"url\((.)", html)) == {"#"}


def test_every_part_of_a_figure_that_is_referred_to_is_there_once(page: Page) -> None:
    ids = [of["id"] for _, of in page.tags if "id" in of]
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(ids)


def test_the_headline_comes_first_in_plain_words(page: Page) -> None:
    said = page.text.index("DeepSparse is ")
    assert re.match(
        r"DeepSparse is \d+\.\d\d % faster than OpenVINO on average over 2 instance types, by the study's rule "
        r"over 26 of 28 cells\. By geometric mean, DeepSparse is \d+\.\d\d % faster than OpenVINO\.",
        page.text[said:],
    )
    assert said < page.text.index("Mean throughput per instance type")


def test_emulated_results_name_the_real_cpu_in_every_section(page: Page) -> None:
    claim = "emulated on AMD EPYC 9R14 96-Core Processor, not m7i.xlarge"
    sections = re.split(
        "Which engine is faster|Mean throughput per instance type|Every network, engine by engine|"
        "What more sparsity would bring|Another lane: native|The networks|What is missing, and why|How it was measured",
        page.text,
    )
    *shown, networks, missing, inputs = sections
    assert len(shown) == 6
    assert [claim in section for section in (*shown, missing, inputs)] == [True] * 8
    assert claim not in networks


def test_random_weights_are_named_and_accuracy_is_blank_where_not_measured(built: dict[str, bytes]) -> None:
    sparsity = csv(built["sparsity.csv"]).set_index(["network", "variant"])
    assert sparsity.loc[("vgg19", "base"), "weights"] == "random"
    assert pd.isna(sparsity.loc[("vgg19", "base"), "top1"])
    assert sparsity.loc[("efficientnet_b0", "pruned"), "top1"] == 0.7424


def test_missing_cells_are_counted_with_their_reasons(built: dict[str, bytes], page: Page) -> None:
    missing = csv(built["missing.csv"])
    assert missing["reason"].value_counts().to_dict() == {"absent": 28, "invalid": 4, "failed": 1, "launch": 1}
    assert "34 cells have no valid throughput: 28 absent" in page.text
    assert "InsufficientInstanceCapacity in us-east-1a" in page.text


def test_lanes_are_never_mixed(built: dict[str, bytes]) -> None:
    for name, data in built.items():
        if name.endswith(".csv") and name not in ("repeats.csv", "missing.csv", "throughput_native.csv"):
            assert b",native," not in data, name
    assert set(csv(built["throughput_native.csv"])["precision"]) == {"native"}


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
    again = read_csv(tmp_path / "repeats.csv")
    cells = csv(built["throughput.csv"]).drop(columns="supported_ops")
    pd.testing.assert_frame_equal(
        again.lane("f32").cells.drop(columns="supported_ops"), cells, check_dtype=False, check_exact=True
    )


def test_hosts_and_inputs_are_told(built: dict[str, bytes], page: Page, night: Any) -> None:
    hosts = csv(built["hosts.csv"])
    assert list(hosts["cpu_model"]) == [host.cpu_model for host in night.hosts]
    assert list(hosts["version_openvino"]) == ["2026.4.1", "2026.4.1"]
    for value in (night.manifest.digest, "2026-11-24T02:00:00+00:00", "deepsparse 1.8.0", "2 (4)"):
        assert value in page.text


# ------------------------------------------------------------------------------------- the same bytes


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def test_a_bucket_gives_the_same_report_as_a_folder(
    night: Any, moto: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test", "ENDPOINT_URL": moto}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="nights")
    some = dataclasses.replace(night, trials=night.trials[:240])
    folder, bucket = Store(tmp_path.as_uri()), Store("s3://nights/prefix")
    for store in (folder, bucket):
        some.write(store)
    path = report.publish(bucket, night.night)
    assert path == f"nights/{night.night}/report/index.html"
    published = {name.rpartition("/")[2]: bucket.read(name) for name in bucket.paths(f"nights/{night.night}/report")}
    assert published == report.build(folder, night.night)


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
    said = "a past night that had no manifest; frozen from the inputs of 2026-11-24"
    late = report.build(store, empty_night.night)
    assert said in Page(late["index.html"]).text
    assert said in late["inputs.csv"].decode()
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
    trials = [
        make_trial(network="x.y", engine="unheard-of"),
        make_trial(engine="openvino", status="failed", error=hostile),
    ]
    store = Store(tmp_path.as_uri())
    hosts = [make_host(cpu_model=hostile, os=hostile)]
    dataclasses.replace(night, hosts=hosts, trials=trials, collections=[]).write(store)
    files = report.build(store, night.night)
    page = Page(files["index.html"])
    assert page.text.count(hostile) >= 3
    assert not {tag for tag, _ in page.tags} & {"script", "b"}
    for name, data in files.items():
        if name.endswith(".svg"):
            assert not list(ET.fromstring(data).iter("{*}script"))


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
    assert text.count(" *") == len(cells[["instance_type", "network", "variant"]].drop_duplicates())
    (row,) = [line for line in text.splitlines() if "MobileViT-xs" in line and " pruned" in line][:1]
    assert "invalid" in row
    assert "DeepSparse is" in text
    assert "emulated on AMD EPYC 9R14 96-Core Processor, not m7i.xlarge" in text
    assert "34 cells have no valid throughput" in text


def test_the_summary_of_an_empty_night_says_so(store: Store, empty_night: Any) -> None:
    assert "No cell of this night has a valid throughput" in shown(store, empty_night.night)
