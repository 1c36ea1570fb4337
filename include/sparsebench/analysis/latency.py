"""Latency percentiles of every cell, and their ratios, with intervals; or how little there is for one."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from sparsebench.analysis import order
from sparsebench.analysis.results import CELL, MACHINE, Machine, Results, Row, table
from sparsebench.contracts import Trial
from sparsebench.statistics.pairs import Blocks, Treatment, by_treatment, pairs
from sparsebench.statistics.percentiles import Percentile, latencies, paired, percentile_ratios, percentiles

_VALUE = {"percentile": "int64", "value": "float64", "low": "float64", "high": "float64", "too_few": "str"}

LATENCIES: dict[str, str] = {**dict.fromkeys(CELL, "str"), "emulated": "bool", **_VALUE}
"""Columns of ``of_cells``: one row a cell and percentile. value: ms, with its 95 % interval; all three are NaN where
the inferences cannot carry one, and too_few then says how many there are of how many that it needs."""

RATIOS: dict[str, str] = {
    **dict.fromkeys([*MACHINE, "network"], "str"),
    "emulated": "bool",
    **{f"{name}_{side}": "str" for side in "ab" for name in Treatment._fields},
    **_VALUE,
}
"""Columns of ``of_pairs``: one row a pair and percentile. value: A's latency over B's, of the rounds that both have."""


def of_cells(results: Results) -> pd.DataFrame:
    """Columns: LATENCIES."""
    rows: list[Row] = [
        {**machine._asdict(), "network": network, **treatment._asdict(), **_columns(percentile)}
        for machine, network, treatments in _undisturbed(results)
        for treatment, blocks in treatments.items()
        for percentile in percentiles(latencies(blocks))
    ]
    return table(rows, LATENCIES)


def of_pairs(results: Results) -> pd.DataFrame:
    """Columns: RATIOS."""
    rows: list[Row] = [
        {
            **machine._asdict(),
            "network": network,
            **{f"{name}_a": value for name, value in a._asdict().items()},
            **{f"{name}_b": value for name, value in b._asdict().items()},
            **_columns(percentile),
        }
        for machine, network, treatments in _undisturbed(results)
        for a, b in pairs(order.treatments(treatments))
        for percentile in percentile_ratios(*paired(treatments[a], treatments[b]))
    ]
    return table(rows, RATIOS)


def _undisturbed(results: Results) -> Iterator[tuple[Machine, str, dict[Treatment, Blocks]]]:
    networks: dict[tuple[Machine, str], list[Trial]] = {}
    for machine, trial in results.trials:
        networks.setdefault((machine, trial.cell.network), []).append(trial)
    for (machine, network), trials in networks.items():
        yield machine, network, by_treatment(trials)


def _columns(percentile: Percentile) -> Row:
    known = not percentile.too_few
    return {
        "percentile": percentile.percentile,
        "value": percentile.value if known else None,
        "low": percentile.low,
        "high": percentile.high,
        "too_few": percentile.too_few,
    }
