"""One night or several pooled, for a terminal and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from rich.console import Group, RenderableType
from rich.text import Text

from sparsebench.analysis.compare import Comparison, headlines
from sparsebench.analysis.pooling import Night, pooled
from sparsebench.analysis.ratios import measure, ratios
from sparsebench.analysis.results import MACHINE, Results, grouped
from sparsebench.report import words
from sparsebench.report.basis import Basis
from sparsebench.report.tables.headline import headline, headline_frame
from sparsebench.report.tables.ratios import pairs
from sparsebench.report.terminal import shown


@dataclass(frozen=True)
class Pooled:
    """Headlines (of the main lane) and ratios (of all) of one or several nights."""

    nights: Sequence[Night]
    results: Results
    headlines: Sequence[Comparison]
    ratios: pd.DataFrame

    @classmethod
    def of(cls, nights: Sequence[Night]) -> Pooled:
        """Raises BadInput when the nights did not measure the same."""
        results = pooled(nights)
        measured = measure(results)
        main = results.lane(results.lanes[0]).cells if results.lanes else results.cells
        return cls(nights, results, headlines(main, measured), ratios(measured, nights[0].manifest.protocol.target))

    def render(self) -> RenderableType:
        """For a terminal (rich)."""
        parts: list[RenderableType] = []
        if self.ratios.empty:
            parts.append(Text("No two engines have a throughput of the same network, so there is nothing to compare."))
        for found in self.headlines:
            content = headline(found)
            parts += [shown(content, content.title), Text(words.headline(found)), Text()]
        protocol = self.nights[0].manifest.protocol
        for (*_, a, b), mine in grouped(self.ratios, [*MACHINE, "precision_a", "precision_b"]):
            lane = f"lane {a}" if a == b else f"{a} against {b}"
            basis = Basis(self.results.lane(a), mine, protocol).words(mine.iloc[0])
            content = pairs(mine, protocol.target, basis)
            parts += [shown(content, f"{content.title}, {lane}"), Text(content.note), Text()]
        if len({night.manifest.bench_lock for night in self.nights}) > 1:
            parts.append(Text("The nights' bench environments differ: the engines may be of other versions."))
        return Group(*parts)

    def to_json(self) -> bytes:
        """UTF-8 JSON: nights, protocol (its name), headlines and ratios (one object a row of the report's CSVs)."""
        content = {
            "nights": [night.name for night in self.nights],
            "protocol": self.nights[0].manifest.protocol.name,
            "headlines": _records(headline_frame(self.headlines)) if self.headlines else [],
            "ratios": _records(self.ratios),
        }
        return json.dumps(content, indent=1, allow_nan=False).encode() + b"\n"


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(name): None if pd.isna(value) or value in (math.inf, -math.inf) else value for name, value in row.items()}
        for row in frame.astype(object).to_dict("records")
    ]
