"""One self-contained page: figures, styles and one script inline, nothing fetched; it opens from disk, and says all
without the script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from math import isfinite, nan
from typing import ClassVar

from jinja2 import Environment, StrictUndefined

from sparsebench.analysis.compare import Comparison
from sparsebench.report import labels, sentences
from sparsebench.report.choices import LOWEST
from sparsebench.report.drawing import DARK, GRID, INK, MUTED, PAPER
from sparsebench.report.tables.formatting import Table
from sparsebench.report.tables.speedups import HeatMap
from sparsebench.statistics.percentiles import PERCENTILES


@dataclass(frozen=True)
class Picture:
    """A figure on the page; it is also <name>.svg, <name>.png and <name>.csv beside it."""

    name: str
    caption: str
    inline: str


@dataclass(frozen=True)
class Tile:
    """A headline: the geometric mean with what may be said of it, and the study's rule beside it, by its name."""

    pair: str
    change: str
    interval: str
    sentence: str
    study: str
    study_sentence: str
    notes: Sequence[str]
    table: Table

    @classmethod
    def from_comparison(cls, comparison: Comparison, table: Table) -> Tile:
        a, b, overall = labels.engine(comparison.a), labels.engine(comparison.b), comparison.overall
        known = isfinite(overall.high)
        of_all = {**comparison.machines.iloc[-1], "low": nan}
        return cls(
            pair=f"{a} against {b}",
            change=labels.percent(comparison.geometric, 1),
            interval=labels.changes(overall.low - 1, overall.high - 1) if known else labels.verdict(of_all),
            sentence=sentences.geometric(comparison),
            study=labels.percent(comparison.study),
            study_sentence=sentences.study(comparison),
            notes=sentences.emulated_machines(comparison),
            table=table,
        )


@dataclass(frozen=True)
class Answer:
    """Whether pruning pays on a machine: in sentences, as a map, and what it costs and takes."""

    machine: str
    sentences: Sequence[str]
    maps: Sequence[HeatMap]
    usd: Table | None
    worth: Table | None


@dataclass(frozen=True)
class Fronts:
    """The Pareto fronts of two quantities, network by network."""

    picture: Picture
    table: Table


@dataclass(frozen=True)
class MachinePart:
    """What is shown of one machine in one lane."""

    bars: Picture | None
    throughput: Table
    ratios: Table | None
    speedups: Table | None
    latency: Table | None


@dataclass(frozen=True)
class LanePart:
    name: str
    description: str
    machines: Sequence[MachinePart]


@dataclass(frozen=True)
class Analysed:
    """How sensitive the layers of a network are."""

    curves: Picture
    ranking: Table


@dataclass(frozen=True)
class SincePart:
    """before: the night before."""

    before: str
    sentences: Sequence[str]
    tables: Sequence[Table]


@dataclass
class Page:
    """What the template shows, top to bottom; what is empty is left out."""

    MOST_OPEN: ClassVar = 12
    """Machines whose answer stands there; the others' are folded."""
    MOST_ROWS: ClassVar = 24
    """Of a table that stands there; a longer one is folded."""
    MOST_OF_A_TABLE: ClassVar = 500
    """Rows that stand on the page; its CSV has the others."""
    PERCENTILES: ClassVar = PERCENTILES
    TARGETS: ClassVar = LOWEST

    title: str
    subtitle: str
    warnings: list[str] = field(default_factory=list)
    empty: str = ""
    counts: str = ""
    over_machines: list[str] = field(default_factory=list)
    choices: list[str] = field(default_factory=list)
    rankings: list[Table] = field(default_factory=list)
    choosable: str = ""
    """JSON, as of report.chooser."""
    not_choosable: str = ""
    """Why the page chooses of some networks only, or of none."""
    target: str = ""
    """What is the best in the rankings."""
    takes: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    usd: Picture | None = None
    fronts: list[Fronts] = field(default_factory=list)
    no_fronts: str = ""
    headlines: list[Tile] = field(default_factory=list)
    since: SincePart | None = None
    overview: Picture | None = None
    machines: list[MachinePart] = field(default_factory=list)
    fakes: list[Picture] = field(default_factory=list)
    native: list[Table] = field(default_factory=list)
    other_lanes: list[LanePart] = field(default_factory=list)
    executions: list[Table] = field(default_factory=list)
    disturbance: Table | None = None
    unsteady: Table | None = None
    costs: Table | None = None
    networks: list[Table] = field(default_factory=list)
    trainings: list[Picture] = field(default_factory=list)
    sensitivities: list[Analysed] = field(default_factory=list)
    missing: Table | None = None
    inputs: list[Table] = field(default_factory=list)

    @property
    def contents(self) -> list[tuple[str, str]]:
        """Anchors of the sections that there are."""
        sections = [
            ("answer", "Does pruning pay", self.answers),
            ("choice", "Which to take", self.rankings),
            ("headline", "Which engine", True),
            ("since", "Since the night before", self.since),
            ("overview", "Instance types", self.overview),
            ("machines", "Networks and engines", self.machines),
            ("fake", "More sparsity", self.fakes),
            ("native", "Own precision", self.native),
            *((f"lane-{lane.name}", f"Lane {lane.name}", True) for lane in self.other_lanes),
            ("execution", "How engines compute", self.executions),
            ("disturbance", "Disturbances", self.disturbance),
            ("costs", "Load and memory", self.costs),
            ("networks", "Sizes and accuracy", self.networks),
            ("training", "Training", self.trainings),
            ("sensitivity", "Sensitivity", self.sensitivities),
            ("missing", "Missing", self.missing),
            ("inputs", "Runs, hosts and inputs", self.inputs),
        ]
        return [(anchor, name) for anchor, name, content in sections if content]


def render(page: Page) -> bytes:
    """The page as HTML in UTF-8. Every text is escaped."""
    here = files(__package__)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(here.joinpath("page.html.j2").read_text("utf-8"))
    css = here.joinpath("page.css").read_text("utf-8")
    script = here.joinpath("page.js").read_text("utf-8")
    return template.render(page=page, css=_colours(css), script=script).encode()


def _colours(css: str) -> str:
    """The page's colours are the figures': each has a variable, light and dark."""
    named = {"ink": INK, "muted": MUTED, "grid": GRID, "paper": PAPER}

    def variables(shade: dict[str, str]) -> str:
        chrome = {name: shade[colour] for name, colour in named.items()}
        return (
            " ".join(f"--{name}: {value};" for name, value in chrome.items())
            + " "
            + " ".join(f"--c{colour[1:]}: {value};" for colour, value in shade.items())
        )

    return css.replace("LIGHT", variables({colour: colour for colour in DARK})).replace("DARK", variables(DARK))
