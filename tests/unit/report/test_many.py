"""A table of very many networks or machines makes a page whose figures can still be read."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from sparsebench.report import from_csv
from sparsebench.report.figures import MOST_DRAWN, MOST_MACHINES, MOST_NETWORKS

pytestmark = pytest.mark.slow


def drawn(folder: Path, networks: int, machines: int) -> Path:
    rows = [
        f"x{machine:03}.xlarge,CPU {machine},net{network:03},base,{engine},{10 + network + machine}"
        for machine in range(machines)
        for network in range(networks)
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
