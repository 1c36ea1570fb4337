"""What a million inferences cost on each machine: its price over what it does in an hour."""

from __future__ import annotations

from math import isnan

import pandas as pd

from sparsebench.analysis.prices import Types, offer
from sparsebench.analysis.results import CELL, Results, Row, table
from sparsebench.contracts import Protocol

COSTS: dict[str, str] = {
    **dict.fromkeys(CELL, "str"),
    "emulated": "bool",
    "usd_per_million": "float64",
    "low": "float64",
    "high": "float64",
    "usd_per_hour": "float64",
    "region": "str",
    "market": "str",
    "as_of": "str",
    "scenario": "str",
}
"""Columns of ``per_million``. low, high: the 95 % interval of the throughput, turned round; the price has none. All
that is of money is NaN or empty where no price is known. scenario: that was measured; empty: a CSV."""

HOUR_S = 3600
MILLION = 1e6


def per_million(results: Results, protocol: Protocol | None, types: Types) -> pd.DataFrame:
    """One row a cell (columns: COSTS), on demand. types: of the nights."""
    return table([_row(row, protocol, types) for row in results.cells.to_dict("records")], COSTS)


def _row(cell: dict[object, object], protocol: Protocol | None, types: Types) -> Row:
    price = offer(str(cell["instance_type"]), types)
    known = not isnan(price.usd_per_hour)
    return {
        **{name: cell[name] for name in CELL},
        "usd_per_million": _usd(price.usd_per_hour, cell["mean_img_s"]),
        "low": _usd(price.usd_per_hour, cell["high_img_s"]),
        "high": _usd(price.usd_per_hour, cell["low_img_s"]),
        "usd_per_hour": price.usd_per_hour,
        "region": price.region,
        "market": price.market if known else "",
        "as_of": price.as_of,
        "scenario": protocol.scenario if protocol else "",
    }


def _usd(per_hour: float, img_s: object) -> float:
    return per_hour / (float(str(img_s)) * HOUR_S) * MILLION
