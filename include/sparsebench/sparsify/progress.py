"""How far a request has come: one line a step on the terminal, and the same in the store."""

from __future__ import annotations

from datetime import UTC, datetime

from sparsebench.contracts import Progress, SparsifyRequest
from sparsebench.store import Store


class ProgressReport:
    def __init__(self, store: Store, request: SparsifyRequest):
        self._store = store
        self._request = request
        self._started = datetime.now(UTC)
        self._done = 0

    def step(self, what: str) -> None:
        self._tell(what)

    def variant_done(self, what: str) -> None:
        self._done += 1
        self._tell(what)

    def finished(self) -> None:
        self._tell("finished", finished=True)

    def failed(self, error: Exception) -> None:
        self._tell(f"failed: {error}", failed=len(self._request.variants) - self._done, finished=True)

    def _tell(self, what: str, failed: int = 0, finished: bool = False) -> None:
        now = datetime.now(UTC)
        line = f"{self._request.network}: {what}"
        print(f"{(now - self._started).total_seconds():6.1f} s  {line}", flush=True)
        self._store.put_progress(
            Progress(
                job=self._request.job,
                what=line,
                done=self._done,
                total=len(self._request.variants),
                started_at=self._started,
                updated_at=now,
                failed=failed,
                finished=finished,
            )
        )
