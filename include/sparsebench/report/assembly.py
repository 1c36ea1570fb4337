"""Figures, tables and the page of a report, as files. Pure: the same findings give the same bytes."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from itertools import accumulate, groupby
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from sparsebench import catalog
from sparsebench.analysis import models, training
from sparsebench.analysis.findings import BAR_VARIANTS, FAKE_VARIANTS, Findings, Lane, MachineFindings
from sparsebench.analysis.pooling import Night
from sparsebench.analysis.results import MACHINE, grouped
from sparsebench.analysis.since import Since
from sparsebench.contracts import Sensitivity, TrainingRecord
from sparsebench.report import choices, chooser, drawing, figures, labels, sentences, training_figures
from sparsebench.report.cost_figures import cost_graph, cost_rows
from sparsebench.report.page import (
    Analysed,
    Answer,
    Fronts,
    LanePart,
    MachinePart,
    Page,
    Picture,
    SincePart,
    Tile,
    render,
)
from sparsebench.report.pareto_figures import pareto_graph
from sparsebench.report.tables import choices as choice_tables
from sparsebench.report.tables import execution, inputs, networks
from sparsebench.report.tables import pareto as pareto_tables
from sparsebench.report.tables import ratios as ratio_tables
from sparsebench.report.tables import since as since_tables
from sparsebench.report.tables import speedups as speedup_tables
from sparsebench.report.tables import steadiness as steadiness_tables
from sparsebench.report.tables.disturbance import disturbance
from sparsebench.report.tables.formatting import csv
from sparsebench.report.tables.headline import headline, headline_frame
from sparsebench.report.tables.latency import latency
from sparsebench.report.tables.missing import missing, unreadable, unreadable_frame
from sparsebench.report.tables.throughput import repeats_csv, throughput
from sparsebench.report.tables.worth import CSV as WORTH
from sparsebench.report.tables.worth import worth
from sparsebench.report.takes import takes

MOST_CELLS = 800
"""Of the machines that have tables of their own on a page, which takes about 4 kB for each."""


def study_models() -> pd.DataFrame:
    """The study's published sizes, sparsities and accuracies: network, variant, base_mb, pruned_mb, sparsity, top1,
    top1_change, ratio."""
    with files(__package__).joinpath("study/models.csv").open(encoding="utf-8") as file:
        frame = pd.read_csv(file)
    return frame.assign(ratio=frame["base_mb"] / frame["pruned_mb"])


class Head(NamedTuple):
    """What stands in a figure itself, beside its machines. lane: empty where it is of none."""

    title: str
    lane: str = ""


@dataclass
class Report:
    """A report in the making: each part adds its files, and its place on the page."""

    findings: Findings
    page: Page
    origin: str
    """A night, or a table of throughputs: where the figures come from."""
    files: dict[str, bytes] = field(default_factory=dict)

    def draw(self, name: str, head: Head, caption: str, rows: pd.DataFrame, figure: Callable[[], Figure]) -> Picture:
        """Add a figure of throughputs. rows: with the means and intervals that are drawn."""
        return self.picture(name, head, f"{caption} {_intervals(rows)}", rows, figure)

    def picture(self, name: str, head: Head, caption: str, rows: pd.DataFrame, figure: Callable[[], Figure]) -> Picture:
        """Add a figure as SVG, PNG and CSV."""
        while f"{name}.svg" in self.files:  # names differ in what a file's name cannot show
            name += "_"
        lane = f"lane {head.lane}" if head.lane else ""
        source = " · ".join(filter(None, [self.origin, lane, f"{name}.csv", "drawn by sparsebench"]))
        svg, png = drawing.render(figure, head.title, source)
        self.files |= {f"{name}.svg": svg, f"{name}.png": png, f"{name}.csv": csv(rows)}
        return Picture(name, caption, drawing.inline(svg, prefix=f"figure{len(self.files)}"))

    def add_results(self) -> None:
        """The answer, the comparison, the figures and the tables of throughput."""
        findings = self.findings
        self.files["repeats.csv"] = repeats_csv(findings.results)
        self.page.counts = labels.counts(findings.counts)
        self.page.missing = missing(findings)
        self.files["missing.csv"] = csv(findings.results.missing)
        if not findings.lanes:
            self.page.empty = "No cell of this night has a valid throughput, so there is nothing to compare or draw."
            return
        self.files |= {
            ratio_tables.CSV: csv(findings.ratios),
            speedup_tables.CSV: csv(findings.speedups),
            "speedup_means.csv": csv(findings.means),
            "usd.csv": csv(findings.costs),
            WORTH: csv(findings.worth),
        }
        if len(findings.latencies):  # a CSV does not tell
            self.files["latency.csv"] = csv(findings.latencies)
            self.files["latency_ratios.csv"] = csv(findings.latency_ratios)
        main, *others = findings.lanes
        self.page.warnings += sentences.emulated([machine.machine._asdict() for machine in main.machines])
        self.page.over_machines = sentences.over_machines(main)
        self.page.takes = takes(findings.worth)
        self.page.answers = [
            Answer(
                machine=labels.machine(machine.machine),
                sentences=[*sentences.pays(machine), *sentences.stands_on(machine)],
                maps=speedup_tables.maps(machine),
                usd=speedup_tables.usd(machine),
                worth=worth(machine) if len(machine.worth) else None,
            )
            for machine in self._shown(main)
            if len(machine.speedups) or len(machine.costs.dropna(subset=["usd_per_million"]))
        ]
        self.page.headlines = [
            Tile.from_comparison(comparison, headline(comparison)) for comparison in findings.headlines
        ]
        if findings.headlines:
            self.files["headline.csv"] = csv(headline_frame(findings.headlines))
        self._add_costs(main)
        self._add_choices()
        self._add_main(main)
        for lane in others:
            self._add_lane(lane)
        shown = {machine.machine for machine in self._shown(main)}
        self.page.native = [
            ratio_tables.native(choices, findings.executions, findings.output_errors, findings.target)
            for machine, choices in grouped(findings.choices, MACHINE)
            if machine in shown
        ]

    def _add_choices(self) -> None:
        """What to take, and the Pareto fronts; of a CSV, which has no trials, there are none."""
        findings = self.findings
        if not findings.advice:
            self.page.choices = sentences.lowest_costs(findings.lanes[0])
            return
        self.files[choice_tables.CSV] = csv(choice_tables.frame(findings.advice))
        self.files[pareto_tables.CSV] = csv(findings.pareto)
        self.page.choices = [
            *choices.first(findings.advice, choice_tables.CSV),
            *sentences.beside_base(findings.cards),
        ]
        self.page.target = findings.advice[0].bounds.target
        self.page.choosable = chooser.as_json(findings.choosable) if findings.choosable else ""
        self.page.not_choosable = chooser.left_out(findings)
        self.page.rankings = [choice_tables.ranking(choice) for choice in findings.advice]
        self.page.no_fronts = pareto_tables.missing(findings.pareto)
        for front, rows in findings.pareto.groupby("front", sort=False):
            title = pareto_tables.title(str(front))
            where = labels.listed([labels.machine(row) for row in rows[MACHINE].drop_duplicates().to_dict("records")])
            drawn = self.picture(
                f"pareto_{front}",
                Head(f"{title}, on {where}", findings.lanes[0].precision),
                f"{title}, on {where}. The line joins what is not dominated; what is, is pale. Bars: 95 % intervals.",
                rows,
                partial(pareto_graph, rows),
            )
            self.page.fronts.append(Fronts(drawn, pareto_tables.pareto(rows)))

    def _add_costs(self, lane: Lane) -> None:
        """The chart over machines; of one machine the table says as much."""
        rows = cost_rows(pd.concat([machine.costs for machine in lane.machines]))
        if len(rows[MACHINE].drop_duplicates()) < 2:
            return
        first = rows.iloc[0]
        self.page.usd = self.picture(
            "usd_per_million",
            Head(f"USD per million inferences on each machine.{_emulated(rows)}", lane.precision),
            f"USD per million inferences, on demand in {first['region']} ({first['as_of']}), with the 95 % interval of "
            f"the throughput. Further left is cheaper.{_emulated(rows)}{figures.left_out_of(rows)}",
            rows,
            lambda: cost_graph(figures.first_machines(rows).reset_index(drop=True)),
        )

    def _add_main(self, lane: Lane) -> None:
        self.files["throughput.csv"] = csv(lane.cells)
        points = lane.points
        if len(points[MACHINE].drop_duplicates()) > 1:
            self.page.overview = self.draw(
                "overview_line_graph",
                Head("Mean throughput of each engine on each machine", lane.precision),
                "Mean throughput over the base and pruned files that all engines have. "
                f"{sentences.sample_note(lane.points_sample)}{_emulated(points)}{figures.left_out_of(points)}",
                points,
                lambda: figures.line_graph(figures.first_machines(points)),
            )
        shown = self._shown(lane)
        for number, machine in enumerate(shown):
            self._add_machine(machine, lane.precision, drawn=number < figures.MOST_DRAWN)
        if len(lane.machines) > figures.MOST_DRAWN:
            tables = "all have their tables"
            if len(shown) < len(lane.machines):
                tables = f"the first {len(shown)} have tables; of all, the CSV files have every number"
            self.page.warnings.append(
                f"Of {len(lane.machines)} machines the first {figures.MOST_DRAWN} have figures of their own here; "
                f"{tables}."
            )

    @staticmethod
    def _shown(lane: Lane) -> Sequence[MachineFindings]:
        """The machines that have tables of their own on the page: all, or as many as have MOST_CELLS together."""
        cells = list(accumulate(len(machine.cells) for machine in lane.machines))
        return lane.machines[: max(figures.MOST_DRAWN, bisect(cells, MOST_CELLS))]

    def _add_machine(self, machine: MachineFindings, precision: str, drawn: bool) -> None:
        name = re.sub(r"[^A-Za-z0-9.]+", "-", f"{machine.machine.instance_type}_{machine.machine.cpu_model}")[:80]
        where = labels.machine(machine.machine)
        bars = machine.cells[machine.cells["variant"].isin(BAR_VARIANTS)]
        picture = None
        if len(bars) and drawn:
            picture = self.draw(
                f"overview_graph_{name}",
                Head("Throughput of every network and engine", precision),
                f"Throughput on {where}. {sentences.sample_note(machine.sample(BAR_VARIANTS))}{_beyond(machine)}",
                bars,
                lambda: figures.bar_graph(machine.cells, machine.missing),
            )
        self.page.machines.append(self._numbers(machine, "throughput.csv", picture))
        fakes = figures.fake_prune_rows(machine.cells)
        if len(fakes) and drawn:
            note = sentences.sample_note(machine.sample(FAKE_VARIANTS))
            self.page.fakes.append(
                self.draw(
                    f"fake_prune_throughput_{name}",
                    Head("Throughput against target sparsity", precision),
                    f"Throughput against target sparsity on {where}. {note}",
                    fakes,
                    lambda: figures.fake_prune_graph(fakes),
                )
            )

    def _numbers(self, machine: MachineFindings, csv_name: str, picture: Picture | None = None) -> MachinePart:
        """The throughputs of a machine, and its ratios where there are any."""
        sample_note, target = sentences.sample_note(machine.sample()), self.findings.target
        pairs = ratio_tables.pairs(machine.ratios, target, sample_note) if len(machine.ratios) else None
        variants = speedup_tables.speedups(machine, target, sample_note) if len(machine.speedups) else None
        latencies = latency(machine) if len(machine.latencies) else None
        return MachinePart(picture, throughput(machine, csv_name, sample_note), pairs, variants, latencies)

    def _add_lane(self, lane: Lane) -> None:
        csv_name = f"throughput_{lane.precision}.csv"
        self.files[csv_name] = csv(lane.cells)
        parts = [self._numbers(machine, csv_name) for machine in self._shown(lane)]
        self.page.other_lanes.append(LanePart(lane.precision, labels.LANES[lane.precision], parts))

    def add_evidence(self) -> None:
        """How the engines compute, what disturbed them, and what they take."""
        findings = self.findings
        if findings.blocks.empty:
            return
        by_machine = groupby(findings.executions.items(), key=lambda item: item[0][: len(MACHINE)])
        shown = {machine.machine for machine in self._shown(findings.lanes[0])} if findings.lanes else set()
        self.page.executions = [execution.execution(dict(items)) for machine, items in by_machine if machine in shown]
        self.page.disturbance = disturbance(findings.disturbances)
        self.page.unsteady = steadiness_tables.unsteady(findings.steadiness.cells)
        if len(findings.takes):
            self.page.costs = execution.costs(findings.takes)
        self.files |= {
            "kernels.csv": csv(findings.kernels),
            "interference.csv": csv(
                findings.blocks, float_format="%.6g"
            ),  # a row a block: every digit would be megabytes
            "costs.csv": csv(findings.takes),
            steadiness_tables.CSV: csv(findings.steadiness.cells),
        }

    def add_night(self, night: Night) -> None:
        """The networks, the runs, the hosts and the night's frozen inputs."""
        manifest, hosts, runs = night.manifest, night.hosts, night.collections
        if manifest.repeats:
            self.page.warnings.append(
                f"This night has the inputs of {manifest.repeats}, to see which side a change is on; it is no part of "
                "the history."
            )
        elif manifest.frozen_late:
            self.page.warnings.append(f"The inputs of this night were frozen late: {inputs.frozen_late(manifest)}.")
        study = study_models()
        sizes, sparsities = models.sizes(manifest.models), models.sparsities(manifest.models)
        encodings = models.encodings(manifest.models, catalog.engines())
        self.page.networks = [networks.sizes(sizes, study)]
        if len(encodings):
            self.page.networks.append(networks.encodings(encodings))
            self.files["encodings.csv"] = csv(encodings)
        self.page.networks += [networks.sparsities(sparsities, study), networks.origins(sparsities)]
        self.page.inputs = [inputs.inputs(manifest)]
        if night.unreadable:
            self.page.warnings.append(f"{labels.unreadable(night.unreadable)} They are listed below under Left out.")
            self.page.inputs.append(unreadable(self.findings))
            self.files["unreadable.csv"] = csv(unreadable_frame(self.findings))
        if hosts:
            frame = inputs.hosts_frame(hosts, self.findings.steadiness.hosts)
            self.page.inputs.insert(0, inputs.hosts(frame))
            self.files["hosts.csv"] = csv(frame)
        if runs:
            frame = inputs.runs_frame(runs)
            self.page.inputs.insert(0, inputs.runs(frame))
            self.files["runs.csv"] = csv(frame)
        self.files |= {
            "sizes.csv": csv(sizes),
            "sparsity.csv": csv(sparsities),
            "inputs.csv": csv(inputs.inputs_frame(manifest)),
        }

    def add_since(self, since: Since | None) -> None:
        """What is otherwise than on the night before, where there is one."""
        if since is None:
            return
        night = self.findings.nights[0].name
        tables = filter(None, [since_tables.inputs(since, night), since_tables.moved(since, night)])
        self.page.since = SincePart(since.before, since_tables.sentences(since), list(tables))
        self.files[since_tables.CSV] = csv(since_tables.frame(since))
        if since.inputs:
            self.files[since_tables.INPUTS_CSV] = csv(since_tables.inputs_frame(since))

    def add_training(self, trainings: Sequence[TrainingRecord], sensitivities: Sequence[Sensitivity]) -> None:
        """How the networks came to be: learning curves, and how sensitive their layers are."""
        self.page.trainings = [self._learning_curve(record) for record in trainings]
        self.page.sensitivities = [self._sensitivity(analysis) for analysis in sensitivities if analysis.points]

    def _learning_curve(self, record: TrainingRecord) -> Picture:
        rows, phases = training.curve(record), training.phases(record)
        name, caption = f"learning_curve_{record.network}_{record.variant}", training_figures.of_training(record)
        head = Head("How it was trained: top-1 and sparsity, epoch by epoch")
        return self.picture(name, head, caption, rows, lambda: training_figures.learning_curve(rows, phases))

    def _sensitivity(self, analysis: Sensitivity) -> Analysed:
        name, caption = f"sensitivity_{analysis.network}", training_figures.of_analysis(analysis)
        rows = training.points(analysis)
        head = Head("How sensitive each layer is to pruning")
        picture = self.picture(name, head, caption, rows, lambda: training_figures.sensitivity(analysis))
        ranking = training.ranking(analysis)
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
    wide = f" {labels.count(cut, 'interval')} wider than {labels.within(figures.WIDEST, 0)}, cut there." if cut else ""
    return f"Lines and bands: 95 % intervals of the means.{wide}"


def _beyond(machine: MachineFindings) -> str:
    """The note that a bar graph does not show every network."""
    networks = figures.bar_networks(machine.cells, machine.missing)
    if len(networks) <= figures.MOST_NETWORKS:
        return ""
    return f" The first {figures.MOST_NETWORKS} of {len(networks)} networks; the table below has all."


def _emulated(rows: pd.DataFrame) -> str:
    machines = rows[MACHINE].drop_duplicates().to_dict("records")
    return "".join(f" {row['instance_type']} is {labels.emulated(row)}." for row in machines if labels.is_emulated(row))
