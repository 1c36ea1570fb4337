"""Everything that is said about a night, several nights or a CSV, computed once. Page, terminal and JSON render it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from sparsebench.analysis import cost, disturbance, execution, latency, speedups, worth
from sparsebench.analysis.choice import Bounds, Choice, choose
from sparsebench.analysis.chooser import Choosable, choosable
from sparsebench.analysis.compare import COMPARED_VARIANTS, Comparison, headlines, line_points
from sparsebench.analysis.counts import Counts, counts, of_frames
from sparsebench.analysis.csvfile import read_csv
from sparsebench.analysis.order import VARIANTS
from sparsebench.analysis.pareto import pareto
from sparsebench.analysis.pooling import Night, pooled
from sparsebench.analysis.prices import Types
from sparsebench.analysis.ratios import Pair, Ratio, measure, ratios
from sparsebench.analysis.results import Machine, Results, by_machine
from sparsebench.analysis.sample import Frames, Sample, sample_of
from sparsebench.analysis.steadiness import Steadiness, steadiness
from sparsebench.contracts import Execution, HostFacts, ModelCard, Protocol
from sparsebench.errors import BadInput

BAR_VARIANTS = ("base", "pruned", "pruned_int8", "int8")
"""Those of the bar chart; the fakes have a figure of their own."""

FAKE_VARIANTS = ("base", "fake85", "fake99")


@dataclass(frozen=True)
class MachineFindings:
    """What is found on one machine in one lane.

    cells, missing: as of Results. ratios: of two engines. speedups: as of speedups.every; means: of speedups.means.
    costs: as of cost.per_million. latencies: as of latency.of_cells. worth: as of worth.worth. hosts, steady:
    as of steadiness.Steadiness. facts: of its hosts. frames: those of its instance type, in precision's lane.
    """

    machine: Machine
    counts: Counts
    cells: pd.DataFrame
    missing: pd.DataFrame
    ratios: pd.DataFrame
    speedups: pd.DataFrame
    means: pd.DataFrame
    costs: pd.DataFrame
    latencies: pd.DataFrame
    worth: pd.DataFrame
    hosts: pd.DataFrame
    steady: pd.DataFrame
    facts: Sequence[HostFacts]
    frames: Frames
    precision: str
    protocol: Protocol | None

    def sample(self, variants: Sequence[str] = VARIANTS) -> Sample:
        """What the numbers of these variants stand on: computed when it is asked for, since a page of a thousand
        machines shows that of few."""
        return sample_of(self.frames, self.precision, self.protocol, self.machine, variants)


@dataclass(frozen=True)
class Lane:
    """What is found in one lane. points: of the overview, as of compare.line_points."""

    precision: str
    cells: pd.DataFrame
    machines: tuple[MachineFindings, ...]
    points: pd.DataFrame
    points_sample: Sample


@dataclass(frozen=True)
class Findings:
    """nights: empty of a CSV; several are pooled. protocol: None of a CSV. measured: every ratio. lanes: the first is
    that of figures and headlines. ratios: of engines, and of each engine's precisions, in all lanes. choices: of the
    precisions alone.
    """

    nights: tuple[Night, ...]
    protocol: Protocol | None
    results: Results
    counts: Counts
    measured: Mapping[Pair, Ratio]
    headlines: tuple[Comparison, ...]
    lanes: tuple[Lane, ...]
    ratios: pd.DataFrame
    choices: pd.DataFrame
    speedups: pd.DataFrame
    means: pd.DataFrame
    costs: pd.DataFrame
    latencies: pd.DataFrame
    latency_ratios: pd.DataFrame
    worth: pd.DataFrame
    steadiness: Steadiness

    @property
    def cards(self) -> Sequence[ModelCard]:
        return _cards(self.nights)

    @property
    def target(self) -> float | None:
        return self.protocol.target if self.protocol else None

    def choose(self, bounds: Bounds, precision: str | None = None) -> list[Choice]:
        """What to take within bounds, network by network. precision: the lane; None is the main one.

        Raises:
            BadInput: a bound, or the lane, names what was not measured.
        """
        if precision is not None and precision not in self.results.lanes:
            raise BadInput(f"lane is {precision!r}; expected one of {', '.join(self.results.lanes) or 'none'}")
        if not self.lanes:
            return []
        lane = self.results.lane(precision or self.lanes[0].precision)
        return choose(lane, self.cards, _types(self.nights), bounds)

    @cached_property
    def advice(self) -> list[Choice]:
        """What to take without bounds: by cost, or where no machine has a price, by throughput."""
        priced = self.costs["usd_per_million"].notna().any()
        return self.choose(Bounds(target="cost" if priced else "throughput"))

    @cached_property
    def choosable(self) -> list[Choosable]:
        """What a choice in the main lane can be made from, network by network."""
        lane = self.results.lane(self.lanes[0].precision) if self.lanes else self.results
        return choosable(lane, self.cards, _types(self.nights))

    @cached_property
    def pareto(self) -> pd.DataFrame:
        """The Pareto fronts of the main lane, as of pareto.pareto; of a CSV it has no rows."""
        lane = self.results.lane(self.lanes[0].precision) if self.lanes else self.results
        return pareto(lane, self.cards, _types(self.nights))

    @property
    def machines(self) -> tuple[MachineFindings, ...]:
        """The machines of the main lane."""
        return self.lanes[0].machines if self.lanes else ()

    @property
    def bench_differs(self) -> bool:
        """Whether the pooled nights' bench environments differ: the engines may be of other versions."""
        return len({night.manifest.bench_lock for night in self.nights}) > 1

    @cached_property
    def executions(self) -> Mapping[execution.Key, Execution]:
        """How each cell is computed, by its CELL columns."""
        return execution.executions(self.results)

    @cached_property
    def output_errors(self) -> Mapping[execution.Key, float]:
        return execution.output_errors(self.results)

    @cached_property
    def kernels(self) -> pd.DataFrame:
        return execution.kernels(self.results.trials)

    @cached_property
    def takes(self) -> pd.DataFrame:
        """Load time, memory and output error of each engine."""
        return execution.costs(self.results)

    @cached_property
    def blocks(self) -> pd.DataFrame:
        return disturbance.blocks(self.results.trials)

    @cached_property
    def disturbances(self) -> pd.DataFrame:
        return disturbance.by_machine(self.blocks)


def of_nights(nights: Sequence[Night]) -> Findings:
    """
    Raises:
        BadInput: the nights did not measure the same.
    """
    return _found(pooled(nights), nights[0].manifest.protocol, tuple(nights))


def of_csv(path: Path) -> Findings:
    """
    Raises:
        BadInput: names the line, column and value that are wrong.
    """
    return _found(read_csv(path), None, ())


def _found(results: Results, protocol: Protocol | None, nights: tuple[Night, ...]) -> Findings:
    target = protocol.target if protocol else None
    measured = measure(results)
    compared = ratios(measured, target)
    files = speedups.every(measured, results, target)
    costs, latencies = cost.per_million(results, protocol, _types(nights)), latency.of_cells(results)
    whole = _Whole(
        compared,
        files,
        speedups.means(measured, files),
        costs,
        latencies,
        worth.worth(files, costs, latencies, results.cells, _cards(nights)),
        steadiness(results.trials),
        [host for night in nights for host in night.hosts],
        protocol,
    )
    main = results.lane(results.lanes[0]) if results.lanes else None
    return Findings(
        nights=nights,
        protocol=protocol,
        results=results,
        counts=counts(results),
        measured=measured,
        headlines=tuple(headlines(main, measured)) if main else (),
        lanes=tuple(whole.lane(results.lane(precision)) for precision in results.lanes),
        ratios=compared,
        choices=compared[compared["precision_a"] != compared["precision_b"]],
        speedups=files,
        means=whole.means,
        costs=whole.costs,
        latencies=whole.latencies,
        latency_ratios=latency.of_pairs(results),
        worth=whole.worth,
        steadiness=whole.steadiness,
    )


def _cards(nights: Sequence[Night]) -> Sequence[ModelCard]:
    """The model cards of all nights, since nights are pooled only where they measured the same."""
    return nights[0].manifest.models if nights else ()


def _types(nights: Sequence[Night]) -> Types:
    """The instance types, with what each cost when the last of the nights was planned that had it."""
    return {name: facts for night in nights for name, facts in night.types.items()}


@dataclass(frozen=True)
class _Whole:
    """What is found in all lanes together."""

    ratios: pd.DataFrame
    speedups: pd.DataFrame
    means: pd.DataFrame
    costs: pd.DataFrame
    latencies: pd.DataFrame
    worth: pd.DataFrame
    steadiness: Steadiness
    facts: Sequence[HostFacts]
    protocol: Protocol | None

    def lane(self, results: Results) -> Lane:
        precision = results.precision
        inside = self.ratios[(self.ratios["precision_a"] == precision) & (self.ratios["precision_b"] == precision)]
        frames = Frames.of_lane(results, inside)
        of_types = frames.by_type()
        hosts = by_machine(self.steadiness.hosts)
        facts: dict[Machine, list[HostFacts]] = {}
        for host in self.facts:
            facts.setdefault(Machine(host.instance_type, host.cpu_model, host.emulated), []).append(host)
        speedups, means, costs, latencies, worth, steady = (
            by_machine(frame[frame["precision"] == precision])
            for frame in (
                *(self.speedups, self.means, self.costs),
                *(self.latencies, self.worth, self.steadiness.cells),
            )
        )
        ratios = by_machine(inside)
        machines = tuple(
            MachineFindings(
                machine=machine,
                counts=of_frames(cells, missing),
                cells=cells,
                missing=missing,
                ratios=ratios(machine),
                speedups=speedups(machine),
                means=means(machine),
                costs=costs(machine),
                latencies=latencies(machine),
                worth=worth(machine),
                hosts=hosts(machine),
                steady=steady(machine),
                facts=facts.get(machine, ()),
                frames=of_types[machine.instance_type],
                precision=precision,
                protocol=self.protocol,
            )
            for machine, cells, missing in results.by_machine()
        )
        points = line_points(results)
        points_sample = sample_of(frames, precision, self.protocol, variants=COMPARED_VARIANTS)
        return Lane(precision, results.cells, machines, points, points_sample)
