"""How evenly fast each host was while it was measured, and how steady each cell.

A neighbour on the same processor, or the clock, can slow a host down for minutes without a trace in what it counts.
What all engines suffer alike is in no ratio, but they do not suffer alike, those least that need little of the caches
and the memory that hosts share: docs/measuring.md has how much.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from math import isnan, nan
from statistics import median
from typing import NamedTuple

import pandas as pd

from sparsebench.analysis.order import ordered
from sparsebench.analysis.results import CELL, MACHINE, Machine, Measured, Row
from sparsebench.contracts import Trial
from sparsebench.statistics.generations import compare
from sparsebench.statistics.pairs import Logs, Treatment, by_treatment, logs
from sparsebench.statistics.scatter import scatter

EVEN = 0.9
"""Of its speed that a host keeps, at least, that is not said to have changed it."""

P = 0.001
"""Of the test: few and noisy processes can be that far apart by chance."""

UNSTEADY = 0.03
"""A scatter of less is no cell's own."""

TIMES_USUAL = 2
"""A scatter of less, in that of the other cells of the network, is what the host does to all."""

HOSTS: dict[str, str] = {
    **dict.fromkeys(MACHINE, "str"),
    "emulated": "bool",
    "host": "str",
    "measured_from": "str",
    "measured_until": "str",
    "minutes": "float64",
    "generations": "int64",
    "speed_kept": "float64",
    "p": "float64",
    "uneven": "bool",
}
"""One row a host. measured_from, measured_until: ISO 8601, when its first and its last block began. minutes: between
them. generations, speed_kept, p: number, slowest and p of statistics.generations.Generations. uneven: whether it
changed its speed."""

CELLS: dict[str, str] = {
    **dict.fromkeys(CELL, "str"),
    "emulated": "bool",
    "scatter": "float64",
    "usual": "float64",
    "unsteady": "bool",
}
"""One row a cell. scatter: as of statistics.scatter, of all its processes on the machine. usual: the median of that of
the network's other cells there, in the same lane. unsteady: above UNSTEADY, and TIMES_USUAL
times what is usual."""


class Steadiness(NamedTuple):
    """hosts: columns HOSTS. cells: columns CELLS."""

    hosts: pd.DataFrame
    cells: pd.DataFrame


def steadiness(trials: Iterable[Measured]) -> Steadiness:
    """trials: those that were measured."""
    networks: dict[tuple[Machine, str], list[Trial]] = {}
    begun: dict[tuple[Machine, str], list[datetime]] = {}
    for machine, trial in trials:
        networks.setdefault((machine, trial.cell.network), []).append(trial)
        begun.setdefault((machine, trial.instance_id), []).extend(block.started_at for block in trial.blocks)
    hosts: dict[tuple[Machine, str], list[Mapping[Treatment, Logs]]] = {}
    cells: list[Row] = []
    for (machine, network), of_network in networks.items():
        treatments = {treatment: logs(blocks) for treatment, blocks in by_treatment(of_network).items()}
        cells += _of_cells({**machine._asdict(), "network": network}, treatments)
        for host in dict.fromkeys(trial.instance_id for trial in of_network):
            of_host = {treatment: _of_host(of_treatment, host) for treatment, of_treatment in treatments.items()}
            hosts.setdefault((machine, host), []).append(of_host)
    rows = [_host(machine, host, begun[machine, host], of_host) for (machine, host), of_host in hosts.items()]
    return Steadiness(_frame(rows, HOSTS), _frame(cells, CELLS))


def _frame(rows: Sequence[Row], columns: Mapping[str, str]) -> pd.DataFrame:
    return ordered(pd.DataFrame(rows, columns=list(columns)).astype(dict(columns)))


def _of_host(of_treatment: Logs, host: str) -> Logs:
    return {unit: of_unit for unit, of_unit in of_treatment.items() if unit.instance_id == host}


def _host(machine: Machine, host: str, begun: list[datetime], networks: Sequence[Mapping[Treatment, Logs]]) -> Row:
    """begun: when each of its blocks began."""
    generations, first, last = compare(networks), min(begun), max(begun)
    return {
        **machine._asdict(),
        "host": host,
        "measured_from": first.isoformat(timespec="seconds"),
        "measured_until": last.isoformat(timespec="seconds"),
        "minutes": (last - first).total_seconds() / 60,
        "generations": generations.number,
        "speed_kept": generations.slowest,
        "p": generations.p,
        "uneven": generations.slowest < EVEN and generations.p < P,
    }


def _of_cells(network: Row, treatments: Mapping[Treatment, Logs]) -> list[Row]:
    scatters = {treatment: scatter(of_treatment) for treatment, of_treatment in treatments.items()}
    rows = []
    for treatment, own in scatters.items():
        others = [
            scatters[other] for other in scatters if other.precision == treatment.precision and other != treatment
        ]
        known = [other for other in others if not isnan(other)]
        usual = median(known) if known else nan
        unsteady = own > UNSTEADY and own > TIMES_USUAL * usual
        rows.append({**network, **treatment._asdict(), "scatter": own, "usual": usual, "unsteady": unsteady})
    return rows
