"""How far a job has come: one line a step on the terminal, and the same in the store."""

from __future__ import annotations

from datetime import UTC, datetime

from sparsebench.contracts import Progress
from sparsebench.instance.exits import Interrupted
from sparsebench.instance.heartbeat import Heartbeat, no_heartbeat
from sparsebench.instance.tail import Tail
from sparsebench.store import Store


class ProgressReport:
    """The report of a job of so many parts. label: what it is about, before every line."""

    def __init__(self, store: Store, job: str, label: str, parts: int, heartbeat: Heartbeat = no_heartbeat):
        self._store = store
        self._job = job
        self._label = label
        self._parts = parts
        self._started = datetime.now(UTC)
        self._done = 0
        self.heartbeat = heartbeat
        self._tail = Tail()

    def step(self, what: str, left_s: float | None = None) -> None:
        """What is begun now; left_s: how long it will take, where that is known.

        Raises:
            Interrupted: it is not to be begun.
        """
        self._tell(what, left_s=left_s)
        self.heartbeat()

    def part_done(self, what: str) -> None:
        self._done += 1
        self._tell(what)

    def finished(self) -> None:
        self._tell("finished", finished=True)

    def interrupted(self, notice: Interrupted) -> None:
        self._tell(f"interrupted: {notice}")

    def failed(self, error: Exception) -> None:
        self._tell(f"failed: {error}", failed=self._parts - self._done)

    def _tell(self, what: str, failed: int = 0, finished: bool = False, left_s: float | None = None) -> None:
        now = datetime.now(UTC)
        line = f"{self._label}: {what}"
        elapsed_s = (now - self._started).total_seconds()
        print(f"{elapsed_s:6.1f} s  {line}", flush=True)
        self._tail.add(line)
        if left_s is None and self._done:
            left_s = elapsed_s / self._done * (self._parts - self._done)
        self._store.put_progress(
            Progress(
                job=self._job,
                what=line,
                done=self._done,
                total=self._parts,
                started_at=self._started,
                updated_at=now,
                failed=failed,
                finished=finished,
                left_s=left_s
                if left_s is not None
                else elapsed_s / self._done * (self._parts - self._done)
                if self._done
                else None,
                tail=self._tail.lines,
            )
        )
