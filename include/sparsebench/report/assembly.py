"""Tables, figures and the page of a report, as files. Pure: the same results give the same bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import groupby

import pandas as pd
from matplotlib.figure import Figure

from sparsebench import catalog
from sparsebench.analysis import disturbance, execution, models, training
from sparsebench.analysis.compare import COMPARED_VARIANTS, headlines, line_points
from sparsebench.analysis.ratios import Pair, Ratio, measure, ratios
from sparsebench.analysis.results import MACHINE, Results, grouped, on_machine
from sparsebench.contracts import Collection, HostFacts, Manifest, Protocol
from sparsebench.report import drawing, figures, training_figures, words
from sparsebench.report.basis import Basis
from sparsebench.report.page import Analysed, Lane, MachinePart, Page, Picture, Tile, render
from sparsebench.report.tables import execution as execution_tables
from sparsebench.report.tables import inputs, networks
from sparsebench.report.tables import ratios as ratio_tables
from sparsebench.report.tables.disturbance import disturbance as disturbance_table
from sparsebench.report.tables.form import Table, csv
from sparsebench.report.tables.headline import headline, headline_frame
from sparsebench.report.tables.missing import missing as missing_table
from sparsebench.report.tables.throughput import repeats_csv, throughput
from sparsebench.sparsify.results import Sensitivity, TrainingRecord


def study_models() -> pd.DataFrame:
    """The study's published sizes, sparsities and accuracies: network, variant, base_mb, pruned_mb, sparsity, top1,
    top1_change, ratio."""
    with files(__package__).joinpath("study/models.csv").open(encoding="utf-8") as file:
        frame = pd.read_csv(file)
    return frame.assign(ratio=frame["base_mb"] / frame["pruned_mb"])


@dataclass
class Report:
    """A report in the making: each part adds its files, and its place on the page.

    protocol: of the night; None of a CSV, which does not tell.
    """

    page: Page
    protocol: Protocol | None = None
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def target(self) -> float | None:
        return self.protocol.target if self.protocol else None

    def draw(self, name: str, caption: str, rows: pd.DataFrame, figure: Callable[[], Figure]) -> Picture:
        """Add a figure of throughputs. rows: with the means and intervals that are drawn."""
        return self.picture(name, f"{caption} {_intervals(rows)}", rows, figure)

    def picture(self, name: str, caption: str, rows: pd.DataFrame, figure: Callable[[], Figure]) -> Picture:
        """Add a figure as SVG, PNG and CSV."""
        while f"{name}.svg" in self.files:  # names differ in what a file's name cannot show
            name += "_"
        svg, png = drawing.render(figure)
        self.files |= {f"{name}.svg": svg, f"{name}.png": png, f"{name}.csv": csv(rows)}
        return Picture(name, caption, drawing.inline(svg, prefix=f"figure{len(self.files)}"))

    def add_results(self, results: Results) -> None:
        """The comparison, the figures and the tables of throughput."""
        self.files["repeats.csv"] = repeats_csv(results)
        if not results.lanes:
            self.page.empty = "No cell of this night has a valid throughput, so there is nothing to compare or draw."
            return
        measured = measure(results)
        compared = ratios(measured, self.target)
        self.files[ratio_tables.CSV] = csv(compared)
        main, *others = (self._basis(results, compared, lane) for lane in results.lanes)
        emulated = main.results.cells[main.results.cells["emulated"]][MACHINE].drop_duplicates().to_dict("records")
        for row in emulated:
            self.page.warnings.append(f"{row['instance_type']} is {words.emulated(row)}.")
        self._add_headlines(main.results, measured)
        self._add_machines(main)
        for basis in others:
            self._add_lane(basis)
        self._add_native(results, compared)

    def _basis(self, results: Results, compared: pd.DataFrame, lane: str) -> Basis:
        inside = (compared["precision_a"] == lane) & (compared["precision_b"] == lane)
        return Basis(results.lane(lane), compared[inside], self.protocol)

    def _add_headlines(self, main: Results, measured: dict[Pair, Ratio]) -> None:
        found = headlines(main.cells, measured)
        self.page.headlines = [Tile.of(one, headline(one)) for one in found]
        if found:
            self.files["headline.csv"] = csv(headline_frame(found))

    def _add_machines(self, basis: Basis) -> None:
        self.files["throughput.csv"] = csv(basis.results.cells)
        points = line_points(basis.results.cells)
        if len(points):
            self.page.overview = self.draw(
                "overview_line_graph",
                "Mean throughput over the base and pruned files that all engines have. "
                f"{basis.words(variants=COMPARED_VARIANTS)}{_emulated(points)}",
                points,
                lambda: figures.line_graph(points),
            )
        for cells, missing in basis.results.by_machine():
            self._add_machine(basis, cells, missing)

    def _add_machine(self, basis: Basis, cells: pd.DataFrame, missing: pd.DataFrame) -> None:
        first = cells.iloc[0]
        name = re.sub(r"[^A-Za-z0-9.]+", "-", f"{first['instance_type']}_{first['cpu_model']}")[:80]
        bars = cells[cells["variant"].isin(figures.BAR_VARIANTS)]
        picture = None
        if len(bars):
            picture = self.draw(
                f"overview_graph_{name}",
                f"Throughput on {words.machine(first)}. {basis.words(first, figures.BAR_VARIANTS)}",
                bars,
                lambda: figures.bar_graph(bars, missing),
            )
        self.page.machines.append(MachinePart(picture, *self._numbers(basis, cells, missing, "throughput.csv")))
        fakes = figures.fake_prune_rows(cells)
        if len(fakes):
            self.page.fakes.append(
                self.draw(
                    f"fake_prune_throughput_{name}",
                    f"Throughput against target sparsity on {words.machine(first)}. "
                    f"{basis.words(first, tuple(figures.FAKE_STEPS))}",
                    fakes,
                    lambda: figures.fake_prune_graph(fakes),
                )
            )

    def _numbers(
        self, basis: Basis, cells: pd.DataFrame, missing: pd.DataFrame, csv_name: str
    ) -> tuple[Table, Table | None]:
        """The throughputs of a machine, and the ratios of its pairs where there are any."""
        first = cells.iloc[0]
        mine, said = on_machine(basis.ratios, first), basis.words(first)
        pairs = ratio_tables.pairs(mine, self.target, said) if len(mine) else None
        return throughput(cells, missing, mine, csv_name, said), pairs

    def _add_lane(self, basis: Basis) -> None:
        (lane,) = basis.results.lanes
        csv_name = f"throughput_{lane}.csv"
        self.files[csv_name] = csv(basis.results.cells)
        parts = [self._numbers(basis, *part, csv_name) for part in basis.results.by_machine()]
        self.page.other_lanes.append(Lane(lane, words.LANES[lane], [MachinePart(None, *part) for part in parts]))

    def _add_native(self, results: Results, compared: pd.DataFrame) -> None:
        choice = compared[compared["precision_a"] != compared["precision_b"]]
        if len(choice):
            found, errors = execution.executions(results), execution.output_errors(results)
            self.page.native = [
                ratio_tables.native(mine, found, errors, self.target) for _, mine in grouped(choice, MACHINE)
            ]

    def add_evidence(self, results: Results) -> None:
        """How the engines compute, what disturbed them, and what they take."""
        blocks = disturbance.blocks(results.trials)
        if blocks.empty:
            return
        by_machine = groupby(execution.executions(results).items(), key=lambda item: item[0][: len(MACHINE)])
        self.page.executions = [execution_tables.execution(dict(items)) for _, items in by_machine]
        self.page.disturbance = disturbance_table(disturbance.by_machine(blocks))
        costs = execution.costs(results)
        if len(costs):
            self.page.costs = execution_tables.costs(costs)
        self.files |= {
            "kernels.csv": csv(execution.kernels(results.trials)),
            "interference.csv": csv(blocks, float_format="%.6g"),  # one row a block: every digit would be megabytes
            "costs.csv": csv(costs),
        }

    def add_night(
        self, results: Results, manifest: Manifest, hosts: Sequence[HostFacts], runs: Sequence[Collection]
    ) -> None:
        """What is missing, the networks, the runs, the hosts and the night's frozen inputs."""
        if manifest.frozen_late:
            self.page.warnings.append(f"The inputs of this night were frozen late: {inputs.frozen_late(manifest)}.")
        study = study_models()
        sizes, sparsities = models.sizes(manifest.models), models.sparsities(manifest.models)
        encodings = models.encodings(manifest.models, catalog.engines())
        self.page.networks = [networks.sizes(sizes, study)]
        if len(encodings):
            self.page.networks.append(networks.encodings(encodings))
            self.files["encodings.csv"] = csv(encodings)
        self.page.networks += [networks.sparsities(sparsities, study), networks.origins(sparsities)]
        self.page.missing = missing_table(results)
        self.page.inputs = [inputs.inputs(manifest)]
        if hosts:
            self.page.inputs.insert(0, inputs.hosts(hosts))
            self.files["hosts.csv"] = csv(inputs.hosts_frame(hosts))
        if runs:
            frame = inputs.runs_frame(runs)
            self.page.inputs.insert(0, inputs.runs(frame))
            self.files["runs.csv"] = csv(frame)
        self.files |= {
            "sizes.csv": csv(sizes),
            "sparsity.csv": csv(sparsities),
            "missing.csv": csv(results.missing),
            "inputs.csv": csv(inputs.inputs_frame(manifest)),
        }

    def add_training(self, trainings: Sequence[TrainingRecord], sensitivities: Sequence[Sensitivity]) -> None:
        """How the networks came to be: learning curves, and how sensitive their layers are."""
        self.page.trainings = [self._learning_curve(record) for record in trainings]
        self.page.sensitivities = [self._sensitivity(found) for found in sensitivities if found.points]

    def _learning_curve(self, record: TrainingRecord) -> Picture:
        rows, phases = training.curve(record), training.phases(record)
        name, caption = f"learning_curve_{record.network}_{record.variant}", training_figures.of_training(record)
        return self.picture(name, caption, rows, lambda: training_figures.learning_curve(rows, phases))

    def _sensitivity(self, found: Sensitivity) -> Analysed:
        name, caption = f"sensitivity_{found.network}", training_figures.of_analysis(found)
        rows = training.points(found)
        picture = self.picture(name, caption, rows, lambda: training_figures.sensitivity(found))
        ranking = training.ranking(found)
        csv_name = f"{picture.name}_ranking.csv"
        self.files[csv_name] = csv(ranking)
        return Analysed(picture, networks.ranking(ranking, csv_name))

    def finished(self) -> dict[str, bytes]:
        """File name -> content; index.html is the last."""
        return {**self.files, "index.html": render(self.page)}


def _intervals(rows: pd.DataFrame) -> str:
    if rows["low_img_s"].isna().all():
        return "There are no intervals: one repeat each."
    cut = figures.cut(rows)
    wide = f" {words.count(cut, 'interval')} wider than {words.within(figures.WIDEST, 0)}, cut there." if cut else ""
    return f"Lines and bands: 95 % intervals of the means.{wide}"


def _emulated(rows: pd.DataFrame) -> str:
    emulated = rows[rows["emulated"]][MACHINE].drop_duplicates().to_dict("records")
    return "".join(f" {row['instance_type']} is {words.emulated(row)}." for row in emulated)
