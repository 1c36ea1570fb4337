"""A live display of jobs: bars on a terminal, lines elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from sparsebench.contracts import Progress


class Follower:
    """Shows the progress of jobs, each under its label. labels: of the jobs that are known from the beginning."""

    def __init__(self, console: Console, labels: Mapping[str, str] = {}):
        self._console = console
        self._labels: dict[str, str] = {}
        self._printed: dict[str, str] = {}
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[what]}", markup=False),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        for job, label in labels.items():
            self.add(job, label)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bars.stop()

    @property
    def jobs(self) -> list[str]:
        return list(self._labels)

    def add(self, job: str, label: str) -> None:
        """Show this job too, unless it is shown already."""
        if job not in self._labels:
            self._labels[job] = label
            self._tasks[job] = self._bars.add_task(label, total=None, what="waiting for its instance")

    def show(self, progress: Progress) -> None:
        """Bring a job's bar up to date; without a terminal, print a line when something has changed."""
        self._bars.update(self._tasks[progress.job], completed=progress.done, total=progress.total, what=progress.what)
        line = f"{self._labels[progress.job]}: {progress.done}/{progress.total} {progress.what}"
        if not self._console.is_terminal and self._printed.get(progress.job) != line:
            self._printed[progress.job] = line
            self._console.print(line, highlight=False, markup=False)
