"""How every figure looks, and figures as bytes: the same figure is the same bytes, on any day and machine."""

from __future__ import annotations

import io
import json
import re
import textwrap
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any
from xml.sax.saxutils import escape

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D

from sparsebench import catalog

INK, MUTED, GRID, PAPER = "#1f2328", "#636c76", "#d8dee4", "#ffffff"

PALETTE = {  # Okabe and Ito's colours, which colour-blind readers tell apart, and their like on a dark page
    "#009e73": "#2cc295",
    "#e69f00": "#f0b429",
    "#0072b2": "#4aa3e0",
    "#56b4e9": "#9ad4f7",
    "#cc79a7": "#e29cc4",
    "#d55e00": "#ff8a47",
    "#7f7f7f": "#a8a8a8",
}
COLOURS = tuple(PALETTE)
DASHES = ("-", "-", "-", (0, (1.2, 1.2)))  # so that DeepSparse shows under its own tool, which is as fast
DPI = 200
"""Of a PNG: twice as many dots as a page has."""

FAST = {"compress_level": 3}
"""Half the time of 6, for a fifth more bytes."""

MARKERS = ("o", "s", "^", "D", "v", "<", ">")

DARK = {INK: "#e6edf3", MUTED: "#9aa4ae", GRID: "#373e47", PAPER: "#161b22", **PALETTE}
"""Each colour of a figure, and what stands for it on a dark page."""

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # matplotlib brings it: the same letters everywhere
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": MUTED,
    "axes.edgecolor": GRID,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": PAPER,
    "figure.dpi": 100,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "text.color": INK,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "svg.hashsalt": "sparsebench",
    "svg.fonttype": "path",
    "text.parse_math": False,  # a $ in a CPU's name is a $
}


def style() -> AbstractContextManager[object]:
    """The look of the figures, whatever a user's matplotlibrc says."""
    stack = ExitStack()
    stack.enter_context(mpl.rc_context())
    mpl.rcdefaults()
    mpl.rcParams.update(STYLE)
    return stack


def colours(names: list[str], known: tuple[str, ...]) -> dict[str, str]:
    """A colour for each name; those that the catalog knows keep theirs from report to report."""
    every = [*known, *(name for name in names if name not in known)]
    return {name: COLOURS[every.index(name) % len(COLOURS)] for name in names}


def engine_colours(names: list[str]) -> dict[str, str]:
    return colours(names, catalog.engines())


FOOT = 0.22
"""Inches below a figure for where it comes from."""


POINTED = "points-"
"""How the id of a line begins whose points have texts."""


def pointed(line: Line2D, texts: Sequence[str]) -> None:
    """Have each point of a line say its text to who points at it, in the SVG."""
    line.set_gid(POINTED + b64encode(json.dumps(list(texts)).encode()).decode())


def _with_texts(svg: str) -> str:
    """An SVG with the texts of its points as titles, which browsers show."""

    def titled(line: re.Match[str]) -> str:
        texts = iter(json.loads(b64decode(line["texts"])))

        def point(use: re.Match[str]) -> str:
            return f"<g><title>{escape(next(texts))}</title>{use[0]}</g>"

        return "<g>" + re.sub(r"<use [^>]*/>", point, line["inside"])

    inside = r"\s*(?:<path [^>]*/>\s*)?(?:<defs>.*?</defs>\s*)?<g[^>]*>.*?</g>"  # a line, its marker, its points
    return re.sub(rf'<g id="{POINTED}(?P<texts>[^"]*)">(?P<inside>{inside})', titled, svg, flags=re.DOTALL)


def stamp(figure: Figure, title: str, source: str) -> None:
    """Write into a figure what it shows and where it comes from, so that it can be shared without its page."""
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + FOOT)
    foot = FOOT / (height + FOOT)
    if engine := figure.get_layout_engine():
        engine.set(rect=(0, foot, 1, 1 - foot))  # type: ignore[call-arg]
    figure.text(0.01, 0.25 * foot, source, fontsize=6.5, color=MUTED, in_layout=False)
    head = textwrap.wrap(title, int(11 * width))
    if figure.legends:
        legend = figure.legends[0]
        legend.set_alignment("left")
        legend.set_title("\n".join([*head, *filter(None, [legend.get_title().get_text()])]), HEAD)
    else:
        above = figure.get_suptitle()
        figure.suptitle("\n".join([*head, *filter(None, [above])]), x=0.01, ha="left", fontproperties=HEAD)


HEAD = FontProperties(size=9.5, weight="bold")


def render(draw: Callable[[], Figure], title: str, source: str) -> tuple[bytes, bytes]:
    """A figure as SVG and as PNG, with what it shows and where it comes from."""
    with style():
        figure = draw()
        stamp(figure, title, source)
        # Not savefig, which would lay it out again for each format.
        figure.set_dpi(FigureCanvasSVG.fixed_dpi)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        svg, png = io.StringIO(), io.BytesIO()
        FigureCanvasSVG(figure).print_svg(svg, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))  # type: ignore[no-untyped-call]
        figure.set_dpi(DPI)
        FigureCanvasAgg(figure).print_png(png, metadata={"Software": None}, pil_kwargs=FAST)  # type: ignore[no-untyped-call]
    return _with_texts(svg.getvalue()).encode(), png.getvalue()


def inline(svg: bytes, prefix: str) -> str:
    """An SVG as a part of a page: its ids are its own, its colours are the page's, it asks for nothing outside."""
    text = svg.decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' (xmlns(:\w+)?|version)="[^"]*"', "", text).replace("xlink:href=", "href=")
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'href="#', f'href="#{prefix}-', text)
    text = re.sub(r"url\(#", f"url(#{prefix}-", text)
    text = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true">', text, count=1)
    for colour in DARK:
        text = text.replace(colour, f"var(--c{colour[1:]})")
    return text
