"""Tables, figures and the page of a report, as files. Pure: the same results give the same bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files

import pandas as pd
from matplotlib.figure import Figure

from sparsebench.analysis import models
from sparsebench.analysis.compare import headlines, line_points
from sparsebench.analysis.results import MACHINE, Results
from sparsebench.contracts import HostFacts, Manifest
from sparsebench.report import drawing, figures, tables, words
from sparsebench.report.page import Lane, Machine, Page, Picture, Tile, render


def study_models() -> pd.DataFrame:
    """The study's published sizes, sparsities and accuracies: network, variant, base_mb, pruned_mb, sparsity, top1,
    top1_change, ratio."""
    with files(__package__).joinpath("study/models.csv").open(encoding="utf-8") as file:
        frame = pd.read_csv(file)
    return frame.assign(ratio=frame["base_mb"] / frame["pruned_mb"])


@dataclass
class Report:
    """A report in the making: each part adds its files, and its place on the page."""

    page: Page
    files: dict[str, bytes] = field(default_factory=dict)

    def draw(self, name: str, caption: str, rows: pd.DataFrame, figure: Callable[[], Figure]) -> Picture:
        """Add a figure as SVG, PNG and CSV."""
        while f"{name}.svg" in self.files:  # names differ in what a file's name cannot show
            name += "_"
        svg, png = drawing.render(figure)
        self.files |= {f"{name}.svg": svg, f"{name}.png": png, f"{name}.csv": tables.csv(rows)}
        return Picture(name, caption, drawing.inline(svg, prefix=f"figure{len(self.files)}"))

    def add_results(self, results: Results) -> None:
        """The comparison, the figures and the tables of throughput."""
        self.files["repeats.csv"] = tables.repeats_csv(results)
        if not results.lanes:
            self.page.empty = "No cell of this night has a valid throughput, so there is nothing to compare or draw."
            return
        main, *others = (results.lane(lane) for lane in results.lanes)
        emulated = main.cells[main.cells["emulated"]][MACHINE].drop_duplicates().to_dict("records")
        for row in emulated:
            self.page.warnings.append(f"{row['instance_type']} is {words.emulated(row)}.")
        self._add_headlines(main)
        self._add_machines(main)
        for lane, other in zip(results.lanes[1:], others, strict=True):
            csv_name = f"throughput_{lane}.csv"
            self.files[csv_name] = tables.csv(other.cells)
            per_machine = [tables.throughput(*part, csv_name) for part in other.by_machine()]
            self.page.other_lanes.append(Lane(lane, words.LANES[lane], per_machine))

    def _add_headlines(self, main: Results) -> None:
        found = headlines(main.cells)
        for one in found:
            pair = f"{words.engine(one.a)} against {words.engine(one.b)}"
            tile = Tile(pair, words.percent(one.study), words.headline(one), tables.headline(one))
            self.page.headlines.append(tile)
        if found:
            self.files["headline.csv"] = tables.csv(tables.headline_frame(found))

    def _add_machines(self, main: Results) -> None:
        self.files["throughput.csv"] = tables.csv(main.cells)
        points = line_points(main.cells)
        if len(points):
            self.page.overview = self.draw(
                "overview_line_graph",
                "Mean throughput over the base and pruned files that all engines have; "
                f"the band is the spread over the repeats.{_emulated(points)}",
                points,
                lambda: figures.line_graph(points),
            )
        for cells, missing in main.by_machine():
            self._add_machine(cells, missing)

    def _add_machine(self, cells: pd.DataFrame, missing: pd.DataFrame) -> None:
        first = cells.iloc[0]
        name = re.sub(r"[^A-Za-z0-9.]+", "-", f"{first['instance_type']}_{first['cpu_model']}")[:80]
        bars = cells[cells["variant"].isin(figures.BAR_VARIANTS)]
        picture = None
        if len(bars):
            picture = self.draw(
                f"overview_graph_{name}",
                f"Throughput on {words.machine(first)}.",
                bars,
                lambda: figures.bar_graph(bars, missing),
            )
        table = tables.throughput(cells, missing, "throughput.csv")
        self.page.machines.append(Machine(picture, table))
        fakes = figures.fake_prune_rows(cells)
        if len(fakes):
            self.page.fakes.append(
                self.draw(
                    f"fake_prune_throughput_{name}",
                    f"Throughput against target sparsity on {words.machine(first)}.",
                    fakes,
                    lambda: figures.fake_prune_graph(fakes),
                )
            )

    def add_night(self, results: Results, manifest: Manifest, hosts: Sequence[HostFacts]) -> None:
        """What is missing, the networks, the hosts and the night's frozen inputs."""
        if manifest.frozen_late:
            self.page.warnings.append(f"The inputs of this night were frozen late: {tables.frozen_late(manifest)}.")
        study = study_models()
        sizes, sparsities = models.sizes(manifest.models), models.sparsities(manifest.models)
        self.page.networks = [tables.sizes(sizes, study), tables.sparsities(sparsities, study)]
        self.page.missing = tables.missing(results)
        self.page.inputs = [tables.inputs(manifest)]
        if hosts:
            self.page.inputs.insert(0, tables.hosts(hosts))
            self.files["hosts.csv"] = tables.csv(tables.hosts_frame(hosts))
        self.files |= {
            "sizes.csv": tables.csv(sizes),
            "sparsity.csv": tables.csv(sparsities),
            "missing.csv": tables.csv(results.missing),
            "inputs.csv": tables.csv(tables.inputs_frame(manifest)),
        }

    def finished(self) -> dict[str, bytes]:
        """File name -> content; index.html is the last."""
        return {**self.files, "index.html": render(self.page)}


def _emulated(rows: pd.DataFrame) -> str:
    emulated = rows[rows["emulated"]][MACHINE].drop_duplicates().to_dict("records")
    return "".join(f" {row['instance_type']} is {words.emulated(row)}." for row in emulated)
