"""What came of a run, in words: for its log, its note in Airflow, and the demo's last lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sparsebench.analysis.counts import Counts, of_run
from sparsebench.contracts import Collection, Job, MissingCell
from sparsebench.fleet.collect import passes
from sparsebench.report import labels
from sparsebench.store import Store

NO_FAULT = ("absent", "disturbed")
"""Reasons for which a cell may be without a number and the run still a success: its engine cannot run there, or the
host was never quiet while it was timed. Neither is mended by looking into a log."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of one run. missing: the cells of which it has no trial that was measured."""

    night: str
    counts: Counts
    missing: tuple[MissingCell, ...]
    cost_usd: float | None

    @property
    def summary(self) -> str:
        """One line: the night, the three counts, and the cost."""
        cost = "" if self.cost_usd is None else f" {self.cost_usd:.2f} USD at most."
        return f"Night {self.night}: {labels.counts(self.counts)}{cost}"

    @property
    def problem(self) -> str | None:
        """Why the run is no success; None where it is one."""
        return self._problem(NO_FAULT)

    @property
    def problem_of_a_choice(self) -> str | None:
        """The same of a run that says what to take: an engine whose outputs are others was tried, and is no choice."""
        return self._problem((*NO_FAULT, "invalid"))

    def _problem(self, no_fault: Sequence[str]) -> str | None:
        if not self.counts.with_number:
            return f"none of {labels.count(self.counts.planned, 'cell')} has a number"
        faults = sum(number for reason, number in self.counts.without.items() if reason not in no_fault)
        if faults:
            return f"{faults} of {labels.count(self.counts.planned, 'cell')} should have a number and have none"
        return None


def outcome(store: Store, jobs: Sequence[Job], collection: Collection) -> Outcome:
    """What came of a run's jobs, by the rule by which its night's report gives numbers."""
    requests = [store.bench_request(job.request) for job in jobs]
    trials = [trial for request in requests for spell in passes(store, request) for trial in spell]
    counts = of_run(requests, trials, store.hosts(collection.night), [collection])
    return Outcome(collection.night, counts, collection.missing, collection.cost_usd)
