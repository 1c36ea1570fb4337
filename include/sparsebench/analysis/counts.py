"""How many cells were planned, how many have a number, and why the others have none: everywhere the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from sparsebench.analysis.results import FILE, REASONS, Results
from sparsebench.analysis.trials import from_trials
from sparsebench.contracts import BenchRequest, Cell, Collection, HostFacts, Trial
from sparsebench.fleet.plan import cells

PLANNED_CELL = ["instance_type", *FILE, "engine", "precision"]
"""What is planned: which CPU it will meet is not known then."""


@dataclass(frozen=True)
class Counts:
    """The counts of cells. planned = with_number + the sum of without, which is by reason (a key of REASONS) in their
    order."""

    planned: int
    with_number: int
    without: dict[str, int] = field(default_factory=dict)

    @property
    def expected(self) -> int:
        """Cells that should have a number: all but those of engines that cannot run there."""
        return self.planned - self.without.get("absent", 0)

    @property
    def unexpected(self) -> int:
        """Cells without a number that should have one."""
        return self.expected - self.with_number


def counts(results: Results) -> Counts:
    """The counts of everything that results speak of. A cell that is lost in several ways counts by the first of
    REASONS."""
    return of_frames(results.cells, results.missing)


def of_frames(with_number: pd.DataFrame, missing: pd.DataFrame) -> Counts:
    """The counts of cells (as of Results.cells) and what is missing beside them (as of Results.missing)."""
    measured = set(with_number[PLANNED_CELL].itertuples(index=False, name=None))
    lost: dict[tuple[str, ...], set[str]] = {}
    for *cell, reason in missing[[*PLANNED_CELL, "reason"]].itertuples(index=False, name=None):
        if tuple(cell) not in measured:
            lost.setdefault(tuple(cell), set()).add(reason)
    chosen = [next(reason for reason in REASONS if reason in reasons) for reasons in lost.values()]
    without = {reason: chosen.count(reason) for reason in REASONS if reason in chosen}
    return Counts(len(measured) + len(lost), len(measured), without)


def of_run(
    requests: Sequence[BenchRequest],
    trials: Sequence[Trial],
    hosts: Sequence[HostFacts],
    collections: Sequence[Collection] = (),
) -> Counts:
    """The counts of what one run was to measure, whatever else its night holds."""
    planned: set[Cell] = {cell for request in requests for cell in cells(request)}
    results = from_trials([trial for trial in trials if trial.cell in planned], hosts, collections, requests)
    asked = {tuple(cell.model_dump().values()) for cell in planned}

    def of_this_run(frame: pd.DataFrame) -> pd.DataFrame:
        named = frame[list(Cell.model_fields)].itertuples(index=False, name=None)
        return frame[pd.Series([cell in asked for cell in named], index=frame.index, dtype=bool)]

    return of_frames(of_this_run(results.cells), of_this_run(results.missing))
