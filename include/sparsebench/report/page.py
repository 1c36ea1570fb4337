"""One self-contained page: inline figures and styles, no script, nothing fetched; it opens from disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from sparsebench.report.drawing import DARK, GRID, INK, MUTED, PAPER
from sparsebench.report.tables import Table


@dataclass(frozen=True)
class Picture:
    """A figure on the page; it is also <name>.svg, <name>.png and <name>.csv beside it."""

    name: str
    caption: str
    inline: str


@dataclass(frozen=True)
class Tile:
    pair: str
    study: str
    sentence: str
    table: Table


@dataclass(frozen=True)
class Machine:
    bars: Picture | None
    table: Table


@dataclass(frozen=True)
class Lane:
    name: str
    words: str
    tables: Sequence[Table]


@dataclass
class Page:
    """What the template shows, top to bottom; what is empty is left out."""

    title: str
    subtitle: str
    warnings: list[str] = field(default_factory=list)
    empty: str = ""
    headlines: list[Tile] = field(default_factory=list)
    overview: Picture | None = None
    machines: list[Machine] = field(default_factory=list)
    fakes: list[Picture] = field(default_factory=list)
    other_lanes: list[Lane] = field(default_factory=list)
    networks: list[Table] = field(default_factory=list)
    missing: Table | None = None
    inputs: list[Table] = field(default_factory=list)

    @property
    def contents(self) -> list[tuple[str, str]]:
        """Anchors of the sections that there are."""
        sections = [
            ("headline", "Headline", True),
            ("overview", "Instance types", self.overview),
            ("machines", "Networks and engines", self.machines),
            ("fake", "More sparsity", self.fakes),
            *((f"lane-{lane.name}", f"Lane {lane.name}", True) for lane in self.other_lanes),
            ("networks", "Sizes and accuracy", self.networks),
            ("missing", "Missing", self.missing),
            ("inputs", "Hosts and inputs", self.inputs),
        ]
        return [(anchor, name) for anchor, name, content in sections if content]


def render(page: Page) -> bytes:
    """The page as HTML in UTF-8. Every text is escaped."""
    here = files(__package__)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(here.joinpath("page.html.j2").read_text("utf-8"))
    css = here.joinpath("page.css").read_text("utf-8")
    return template.render(page=page, css=_colours(css)).encode()


def _colours(css: str) -> str:
    """The page's colours are the figures': each has a variable, light and dark."""
    named = {"ink": INK, "muted": MUTED, "grid": GRID, "paper": PAPER}

    def variables(shade: dict[str, str]) -> str:
        words = {name: shade[colour] for name, colour in named.items()}
        return (
            " ".join(f"--{name}: {value};" for name, value in words.items())
            + " "
            + " ".join(f"--c{colour[1:]}: {value};" for colour, value in shade.items())
        )

    return css.replace("LIGHT", variables({colour: colour for colour in DARK})).replace("DARK", variables(DARK))
