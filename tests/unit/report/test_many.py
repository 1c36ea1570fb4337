"""A table of very many networks or machines makes a page whose figures can still be read."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from sparsebench.report import from_csv
from sparsebench.report.assembly import MOST_CELLS
from sparsebench.report.figures import MOST_DRAWN, MOST_MACHINES, MOST_NETWORKS
from sparsebench.report.labels import MOST_NAMED
from sparsebench.report.page import Page

pytestmark = pytest.mark.slow


def drawn(folder: Path, networks: int, machines: int, variants: tuple[str, ...] = ("base",)) -> Path:
    """Of one machine it is m5.xlarge, which has a price."""
    rows = [
        f"{f'x{machine:03}' if machines > 1 else 'm5'}.xlarge,CPU {machine},net{network:03},{variant},{engine},"
        f"{10 + network + machine}"
        for machine in range(machines)
        for network in range(networks)
        for variant in variants
        for engine in ("onnxruntime", "deepsparse")
    ]
    table = folder / "table.csv"
    table.write_text("\n".join(["instance_type,cpu_model,model,variant,engine,throughput_img_s", *rows]))
    return from_csv(table, folder / "out")


def height(picture: Path) -> int:
    """Pixels, as a PNG's header has them."""
    return struct.unpack(">I", picture.read_bytes()[20:24])[0]


def test_a_bar_graph_shows_the_first_of_many_networks_and_says_so(tmp_path: Path) -> None:
    page = drawn(tmp_path, networks=MOST_NETWORKS + 76, machines=1)

    (graph,) = page.parent.glob("overview_graph_*.png")
    assert height(graph) < 4000
    text = page.read_text("utf-8")
    assert f"The first {MOST_NETWORKS} of {MOST_NETWORKS + 76} networks; the table below has all." in text
    assert f"net{MOST_NETWORKS + 75:03}" in text


def test_of_many_machines_each_has_a_row_and_the_first_have_figures_of_their_own(tmp_path: Path) -> None:
    machines = MOST_MACHINES + 4
    page = drawn(tmp_path, networks=1, machines=machines)

    assert len(list(page.parent.glob("overview_graph_*.png"))) == MOST_DRAWN
    assert (page.parent / "overview_line_graph.png").exists()
    text = page.read_text("utf-8")
    assert (
        f"Of {machines} machines the first {MOST_DRAWN} have figures of their own here; all have their tables." in text
    )
    assert f"x{machines - 1:03}.xlarge" in text


def test_of_very_many_machines_the_first_have_tables_and_files_have_every_number(tmp_path: Path) -> None:
    machines = MOST_CELLS // 2 + 10  # of two cells each
    page = drawn(tmp_path, networks=1, machines=machines)

    text = page.read_text("utf-8")
    said = f"Of {machines} machines the first {MOST_DRAWN} have figures of their own here; the first {MOST_CELLS // 2}"
    assert f"{said} have tables; of all, the CSV files have every number." in text
    of_machines = re.findall(r"<summary>The numbers of [^<]*x(\d+)\.xlarge", text)
    assert len(set(of_machines)) == MOST_CELLS // 2
    assert (page.parent / "throughput.csv").read_text().count("\n") == 2 * machines + 1


def test_a_table_of_very_many_rows_shows_the_first_and_says_where_the_others_are(tmp_path: Path) -> None:
    text = drawn(tmp_path, networks=Page.MOST_OF_A_TABLE + 7, machines=1).read_text("utf-8")
    first, every = Page.MOST_OF_A_TABLE, Page.MOST_OF_A_TABLE + 7
    assert f'The first {first} of {every} rows; <a href="throughput.csv">throughput.csv</a> has all.' in text


def test_a_sentence_names_the_first_of_many_networks_and_says_where_the_others_are(tmp_path: Path) -> None:
    networks = MOST_NAMED + 17
    text = drawn(tmp_path, networks, machines=1, variants=("base", "pruned")).read_text("utf-8")

    (sentence,) = re.findall(r"<li>(A million inferences cost, .*?)</li>", text)
    assert sentence.count(" instead of ") == MOST_NAMED + 1  # "pruned instead of base" is one
    assert sentence.endswith(f"; and {networks - MOST_NAMED} more in usd.csv.")


def test_a_map_of_many_networks_is_folded_and_so_are_the_answers_of_many_machines(tmp_path: Path) -> None:
    few, many = Page.MOST_ROWS - 1, Page.MOST_ROWS
    for networks, folded in ((few, False), (many, True)):
        folder = tmp_path / str(networks)
        folder.mkdir()
        text = drawn(folder, networks, machines=1, variants=("base", "pruned")).read_text("utf-8")
        assert (f"<summary>pruned against base: {networks} networks</summary>" in text) == folded
        assert ("<h4>pruned against base</h4>" in text) != folded

    machines = Page.MOST_OPEN + 2
    text = drawn(tmp_path, 1, machines, variants=("base", "pruned")).read_text("utf-8")
    headings = re.findall(r"<(h3|summary)>On (x\d+)\.xlarge", text)
    assert headings == [("h3" if number < Page.MOST_OPEN else "summary", f"x{number:03}") for number in range(machines)]
