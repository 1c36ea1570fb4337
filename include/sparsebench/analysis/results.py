"""Trials of a night -> one tidy table of what is valid, and one of what is missing and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from sparsebench.analysis.order import LANES, ordered
from sparsebench.contracts import Cell, Collection, HostFacts, Trial

Row = dict[str, object]
Key = tuple[object, ...]

MACHINE = ["instance_type", "cpu_model", "emulated"]
"""What results are keyed by. The type alone is not enough: the CPU behind it can differ from launch to launch.
Nor is the CPU: several types share one."""

CELL = [*MACHINE, "network", "variant", "engine", "precision"]

REPEATS: dict[str, str] = {
    "instance_type": "str",
    "cpu_model": "str",
    "emulated": "bool",
    "network": "str",
    "variant": "str",
    "engine": "str",
    "precision": "str",
    "repeat": "int64",
    "throughput_img_s": "float64",
    "supported_ops": "float64",
}
"""Columns of ``Results.repeats``: one row a valid trial.

precision: f32, native, or unstated (a CSV without that column). repeat: numbers the trials of a cell from 0.
throughput_img_s: img/s at batch 1. supported_ops: the fraction of the network's operators that the engine ran
itself; NaN where it does not tell.
"""

MISSING: dict[str, str] = {
    "instance_type": "str",
    "cpu_model": "str",
    "emulated": "boolean",
    "network": "str",
    "variant": "str",
    "engine": "str",
    "precision": "str",
    "reason": "str",
    "trials": "int64",
    "valid_trials": "int64",
    "detail": "str",
}
"""Columns of ``Results.missing``: one row a cell and reason.

cpu_model: empty, and emulated NA, where no trial was begun or the host is unknown. trials: that gave no
throughput for this reason (0: none was begun). valid_trials: of the same cell; 0 means that the cell has no
throughput at all. detail: of the first such trial.
"""

REASONS: dict[str, str] = {
    "absent": "the engine cannot run this here",
    "invalid": "its output disagrees with ONNX Runtime's, so it is not ranked",
    "unchecked": "its output was not compared with ONNX Runtime's",
    "unidentified": "the store has no facts of the host, so its CPU is unknown",
    "failed": "the trial crashed or ran out of time",
    "launch": "the instance could not be launched",
    "agent": "the instance's agent did not come online",
    "prepare": "the instance could not be prepared",
    "work": "the work on the instance ended before it",
}


@dataclass(frozen=True)
class Results:
    """Every valid throughput (columns: REPEATS), and everything else with its reason (columns: MISSING)."""

    repeats: pd.DataFrame
    missing: pd.DataFrame

    @cached_property
    def cells(self) -> pd.DataFrame:
        """One row a cell: the CELL columns; median_img_s, low_img_s and high_img_s over the repeats; repeats (how
        many); supported_ops (the least over the repeats)."""
        groups = self.repeats.groupby(CELL, sort=False)
        cells = groups.agg(
            median_img_s=("throughput_img_s", "median"),
            low_img_s=("throughput_img_s", "min"),
            high_img_s=("throughput_img_s", "max"),
            repeats=("throughput_img_s", "size"),
            supported_ops=("supported_ops", "min"),
        )
        return ordered(cells.reset_index())

    def by_machine(self) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
        """The cells of each machine that has one, and what is missing there: no valid trial, one row a cell.

        What was never begun is missing on every machine of its instance type.
        """
        found = []
        for _, cells in self.cells.groupby(MACHINE, sort=False):
            first, missing = cells.iloc[0], self.missing
            here = missing["cpu_model"].isin([first["cpu_model"], ""])
            mine = missing[(missing["instance_type"] == first["instance_type"]) & here & (missing["valid_trials"] == 0)]
            found.append(
                (cells.reset_index(drop=True), mine.drop_duplicates(["network", "variant", "engine", "precision"]))
            )
        return found

    @property
    def lanes(self) -> list[str]:
        """The lanes that have results; the first is the one that figures and the headline use."""
        return [lane for lane in LANES if lane in set(self.repeats["precision"])]

    def lane(self, precision: str) -> Results:
        """The results of one lane. Lanes are never mixed in a figure or a mean."""
        return Results(
            self.repeats[self.repeats["precision"] == precision].reset_index(drop=True),
            self.missing[self.missing["precision"] == precision].reset_index(drop=True),
        )


def table(rows: Sequence[Row], columns: dict[str, str]) -> pd.DataFrame:
    """A table of exactly these columns and types, in the order in which it is shown."""
    return ordered(pd.DataFrame(list(rows), columns=list(columns)).astype(columns))


def from_trials(trials: Sequence[Trial], hosts: Sequence[HostFacts], collections: Sequence[Collection] = ()) -> Results:
    """The results of a night's trials.

    A throughput enters when its trial was measured, its output agrees with ONNX Runtime's, and its host is
    known. A cell of which one trial disagreed is invalid on that machine as a whole: whichever of its
    processes was right, it is not ranked.
    """
    valid, refused = _judged(trials, {(host.instance_type, host.instance_id): host for host in hosts})
    valid_trials = Counter(_key(row) for row in valid)
    numbered: Counter[Key] = Counter()
    for row in valid:
        row["repeat"] = numbered[_key(row)]
        numbered[_key(row)] += 1

    lost = Counter((_key(row), row["reason"]) for row in refused)
    first = {(_key(row), row["reason"]): row for row in reversed(refused)}
    missing = [
        {**row, "trials": lost[key, reason], "valid_trials": valid_trials[key]} for (key, reason), row in first.items()
    ]
    return Results(table(valid, REPEATS), table([*missing, *_never_begun(trials, collections)], MISSING))


def _judged(trials: Sequence[Trial], hosts: dict[tuple[str, str], HostFacts]) -> tuple[list[Row], list[Row]]:
    """One row a trial: those whose throughput enters, and those that are refused, with their reason."""
    valid: list[Row] = []
    refused: list[Row] = []
    for trial in sorted(trials, key=lambda trial: (trial.cell.key, trial.job, trial.round)):
        host = hosts.get((trial.cell.instance_type, trial.instance_id))
        reason, detail = _refusal(trial, host)
        if reason:
            refused.append({**_identity(trial.cell, host), "reason": reason, "detail": detail})
        else:
            supported = trial.engine_facts.get("fraction_of_supported_ops")
            measured = {"throughput_img_s": trial.throughput_img_s, "supported_ops": supported}
            valid.append({**_identity(trial.cell, host), **measured})
    invalid = {_key(row) for row in refused if row["reason"] == "invalid"}
    return [row for row in valid if _key(row) not in invalid], refused


def _never_begun(trials: Sequence[Trial], collections: Sequence[Collection]) -> list[Row]:
    """What a run was to measure, and of which the night has no trial at all."""
    begun = {trial.cell for trial in trials}
    planned = {
        miss.cell: miss
        for collection in sorted(collections, key=lambda collection: collection.run_id)
        for miss in collection.missing
        if miss.cell not in begun
    }
    return [
        {**_identity(cell, None), "reason": miss.reason, "trials": 0, "valid_trials": 0, "detail": miss.detail}
        for cell, miss in planned.items()
    ]


def _identity(cell: Cell, host: HostFacts | None) -> Row:
    machine = {"cpu_model": host.cpu_model, "emulated": host.emulated} if host else {"cpu_model": "", "emulated": None}
    return {**cell.model_dump(), **machine}


def _key(row: Row) -> Key:
    return tuple(row[column] for column in CELL)


def _refusal(trial: Trial, host: HostFacts | None) -> tuple[str, str]:
    """Why a trial's throughput does not enter, and what is known about it; empty when it does."""
    if trial.absence is not None and trial.status == "absent":
        return "absent", f"{trial.absence.reason}: {trial.absence.detail}"
    if trial.status == "failed":
        return "failed", " ".join(str(trial.error).split())[-300:]
    if trial.parity is None:
        return "unchecked", "measured without a comparison of its output"
    if trial.status == "invalid" or not trial.parity.agrees:
        relative = trial.parity.relative
        difference = "output not finite" if relative is None else f"relative difference {relative:.2g}"
        top1 = "same top-1" if trial.parity.same_top1 else "another top-1"
        return "invalid", f"{difference} (tolerance {trial.parity.tolerance:.2g}), {top1}"
    if host is None:
        return "unidentified", f"no host facts of {trial.instance_id}"
    return "", ""
