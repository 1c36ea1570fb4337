"""What is known of a night or a CSV: every valid throughput, and everything else with its reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import exp
from math import log as log_of
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sparsebench.analysis.order import LANES, ordered
from sparsebench.bench.engines import ENGINES
from sparsebench.contracts import Trial
from sparsebench.statistics.hosts import over_hosts
from sparsebench.store import Unreadable

Row = dict[str, object]


class Machine(NamedTuple):
    """What results are keyed by. The type alone is not enough: the CPU behind it can differ from launch to launch.
    Nor is the CPU: several types share one."""

    instance_type: str
    cpu_model: str
    emulated: bool


MACHINE = list(Machine._fields)
FILE = ["network", "variant"]
CELL = [*MACHINE, *FILE, "engine", "precision"]

_CELL_TYPES = dict.fromkeys(CELL, "str") | {"emulated": "bool"}

REPEATS: dict[str, str] = {
    **_CELL_TYPES,
    "repeat": "int64",
    "throughput_img_s": "float64",
    "blocks": "Int64",
    "disturbed_blocks": "Int64",
    "tolerated_blocks": "Int64",
    "batch": "Int64",
    "streams": "Int64",
    "supported_ops": "float64",
    "load_s": "float64",
    "peak_memory_bytes": "Int64",
    "output_error": "float64",
    "host": "str",
}
"""Columns of ``Results.repeats``: one row a valid trial (a process). Those of a CSV have none of the columns after
throughput_img_s.

precision: f32, native, or unstated (a CSV without that column). repeat: numbers the generations of a network's variant
on a machine from 0; the trials of one number took turns. throughput_img_s: img/s over the blocks that enter. blocks:
that were timed; disturbed_blocks of them are left out, tolerated_blocks enter although disturbed. batch: images an
inference. streams: that the engine ran side by side; NA where it does not tell. supported_ops: the fraction of the
network's operators that the engine ran itself; NaN where it does not tell. output_error: Parity.relative.
"""

CELLS: dict[str, str] = {
    **_CELL_TYPES,
    "mean_img_s": "float64",
    "low_img_s": "float64",
    "high_img_s": "float64",
    "log_error": "float64",
    "log_freedom": "float64",
    "over": "str",
    "median_img_s": "float64",
    "processes": "int64",
    "blocks": "Int64",
    "disturbed_blocks": "Int64",
    "tolerated_blocks": "Int64",
    "batch": "Int64",
    "streams": "Int64",
    "supported_ops": "float64",
}
"""Columns of ``Results.cells``.

mean_img_s: geometric mean over the processes, in which each host weighs the same; low_img_s, high_img_s: its 95 %
interval, log_error the standard error of its log (all NaN where there is a single process), log_freedom its degrees of
freedom. over: what the units of the interval are, hosts or processes (statistics/hosts.py). median_img_s: over the
processes, as the study has it. blocks, disturbed_blocks, tolerated_blocks: of all processes. supported_ops: the least.
"""

MISSING: dict[str, str] = {
    **_CELL_TYPES,
    "emulated": "boolean",
    "reason": "str",
    "trials": "int64",
    "valid_trials": "int64",
    "detail": "str",
    "disturbed_by": "str",
    "disturbed_value": "float64",
}
"""Columns of ``Results.missing``: one row a cell and reason.

cpu_model: empty, and emulated NA, where no trial was begun or the host is unknown. trials: that gave no
throughput for this reason (0: none was begun). valid_trials: of the same cell; 0 means that the cell has no
throughput at all. detail: of the first such trial. disturbed_by: where all blocks were disturbed, the DisturbanceKind
of most of them, and disturbed_value the median of it; empty and NaN otherwise.
"""

REASONS: dict[str, str] = {
    "absent": "the engine cannot run this here",
    "invalid": "its output disagrees with ONNX Runtime's, so it is not ranked",
    "disturbed": "something else took the CPU or the disk while it was timed, so it says nothing about the engine",
    "unchecked": "its output was not compared with ONNX Runtime's",
    "unidentified": "the store has no facts of the host, so its CPU is unknown",
    "unreadable": "what the store has of it is damaged, or is not what its place says",
    "failed": "the trial, or a step of its instance, failed or ran out of time",
    "quota": "the account's quota had no room for the instance",
    "capacity": "no zone had such an instance",
    "unsupported": "no zone offers the instance type",
    "over_budget": "the run's budget did not pay for it",
    "interrupted": "its instances were taken away before it, again and again",
    "not_begun": "it was planned, and no run has said yet what became of it",
}


class Measured(NamedTuple):
    """A trial that was measured, and where."""

    machine: Machine
    trial: Trial


class OnMachine(NamedTuple):
    """cells: as of Results.cells. missing: as of Results.missing, of cells without a number."""

    machine: Machine
    cells: pd.DataFrame
    missing: pd.DataFrame


@dataclass(frozen=True)
class Results:
    """Every valid throughput (columns: REPEATS), and everything else with its reason (columns: MISSING).

    trials: those whose output agrees, on known hosts, the disturbed ones among them; none where the results are from
    a CSV. unreadable: objects of the store that were left out, whatever they should have been. notes: what is unusual
    about how a CSV is written. known_cells: its cells, where they have been computed already.
    """

    repeats: pd.DataFrame
    missing: pd.DataFrame
    trials: tuple[Measured, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    notes: tuple[str, ...] = ()
    known_cells: pd.DataFrame | None = None

    @cached_property
    def cells(self) -> pd.DataFrame:
        """One row a cell (columns: CELLS)."""
        return _cells(self.repeats) if self.known_cells is None else self.known_cells

    def by_machine(self) -> list[OnMachine]:
        """Every machine with its cells, and what is missing there: no valid trial, one row a cell.

        What was never begun is missing on every machine of its instance type; a type of which nothing was begun is a
        machine without a CPU.
        """
        without = self.missing[self.missing["valid_trials"] == 0].drop_duplicates([*CELL])
        cells = {Machine(*key): frame for key, frame in grouped(self.cells, MACHINE)}
        lost = {
            Machine(instance_type, cpu_model, bool(emulated is not pd.NA and emulated)): frame
            for (instance_type, cpu_model, emulated), frame in grouped(without, MACHINE)
        }
        known = {*cells, *(machine for machine in lost if machine.cpu_model)}
        types = {machine.instance_type for machine in known}
        known |= {machine for machine in lost if machine.instance_type not in types}
        listed = ordered(pd.DataFrame(known, columns=MACHINE)).itertuples(index=False, name=None)
        parts = []
        for machine in (Machine(*row) for row in listed):
            never = Machine(machine.instance_type, "", False)
            frames = [lost[key] for key in dict.fromkeys((machine, never)) if key in lost]
            missing = ordered(pd.concat(frames)) if frames else without.iloc[:0]
            here = cells.get(machine, self.cells.iloc[:0]).reset_index(drop=True)
            parts.append(OnMachine(machine, here, missing.drop_duplicates([*FILE, "engine", "precision"])))
        return parts

    @cached_property
    def precision(self) -> str:
        """The precision of the only lane that there is."""
        (precision,) = {*self.repeats["precision"], *self.missing["precision"]}
        return str(precision)

    @cached_property
    def lanes(self) -> list[str]:
        """The lanes that have results; the first is the one that figures and the headline use."""
        measured = set(self.repeats["precision"])
        return [lane for lane in LANES if lane in measured]

    def lane(self, precision: str) -> Results:
        """The results of one lane. Lanes are never mixed in a figure or a mean."""
        return Results(
            self.repeats[self.repeats["precision"] == precision].reset_index(drop=True),
            self.missing[self.missing["precision"] == precision].reset_index(drop=True),
            tuple(measured for measured in self.trials if measured.trial.cell.precision == precision),
            known_cells=self.cells[self.cells["precision"] == precision].reset_index(drop=True),
        )


def _cells(repeats: pd.DataFrame) -> pd.DataFrame:
    """Columns: CELLS. Grouped as a whole: a frame for each of thousands of cells takes a minute."""
    hosts = repeats["host"].astype(object).where(repeats["host"].notna(), "")  # a CSV does not tell
    units: dict[tuple[object, ...], dict[str, list[list[float]]]] = {}
    keys = repeats[CELL].itertuples(index=False, name=None)
    for key, host, throughput in zip(keys, hosts, repeats["throughput_img_s"], strict=True):
        units.setdefault(key, {}).setdefault(host, []).append([log_of(throughput)])
    groups = repeats.groupby(CELL, sort=False, dropna=False)  # in the order of their first rows, as the units
    counts = groups[["blocks", "disturbed_blocks", "tolerated_blocks"]].sum(min_count=1)
    largest, least = groups[["batch", "streams"]].max(), groups["supported_ops"].min()
    rows = [{**dict(zip(CELL, key, strict=True)), **_mean(of_hosts)} for key, of_hosts in units.items()]
    frame = pd.DataFrame(rows, columns=list(CELLS))
    frame["median_img_s"] = groups["throughput_img_s"].median().to_numpy()
    frame["processes"] = groups.size().to_numpy()
    for columns in (counts, largest, least.to_frame()):
        for name in columns:
            frame[name] = columns[name].array
    return ordered(frame.astype(CELLS))


def _mean(units: dict[str, list[list[float]]]) -> Row:
    """The mean of a cell's processes, by host."""
    pooled = over_hosts(units)
    log = pooled.mean
    known = np.isfinite(log.error)
    low, high = log.interval()
    return {
        "mean_img_s": exp(log.mean),
        "low_img_s": exp(low) if known else np.nan,
        "high_img_s": exp(high) if known else np.nan,
        "log_error": log.error if known else np.nan,
        "log_freedom": log.freedom,
        "over": pooled.over,
    }


def is_tool(engine: str) -> bool:
    """Whether it only times another engine's network in a way of its own, so that nobody would take it for serving."""
    return engine in ENGINES and ENGINES[engine].times is not None


def grouped(frame: pd.DataFrame, columns: list[str]) -> list[tuple[tuple[Any, ...], pd.DataFrame]]:
    """The rows that share these columns, in the order in which they come."""
    return list(frame.groupby(columns, sort=False, dropna=False))


def by_machine(frame: pd.DataFrame) -> Callable[[Machine], pd.DataFrame]:
    """The rows of each machine; of one that has none, no rows."""
    groups = {Machine(*key): rows for key, rows in grouped(frame, MACHINE)}
    return lambda machine: groups.get(machine, frame.iloc[:0])


def table(rows: Sequence[Row], columns: dict[str, str]) -> pd.DataFrame:
    """A table of exactly these columns and types, in the order in which it is shown."""
    return ordered(pd.DataFrame(list(rows), columns=list(columns)).astype(columns))
