"""What sealing a night saves: reading its trials before and after, in one run, and the objects that were asked.

    python -m benchmarks.sealing

The night is the golden one with its generations many times over. A folder's seconds are the machine's; the requests
are what S3 would be asked for trials, beside one listing for each thousand of them.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer
from tests.golden import NIGHT, golden_store

from sparsebench.analysis import columns
from sparsebench.store import Store


class Counting(Store):
    """Counts the objects that are read."""

    reads = 0

    def read(self, path: str) -> bytes:
        self.reads += 1
        return super().read(path)


def timed(store: Counting, call: Callable[[], Any]) -> tuple[float, int]:
    """Seconds and objects read."""
    store.reads, start = 0, time.perf_counter()
    call()
    return time.perf_counter() - start, store.reads


def main(copies: int = 108) -> None:
    """Print them; 108 copies are about 33 files x 4 engines x 6 processes on six types."""
    with tempfile.TemporaryDirectory() as folder:
        store = Counting(golden_store(Path(folder)).uri)
        for trial in store.trials(NIGHT):
            for copy in range(1, copies):
                store.put_trial(trial.model_copy(update={"generation": trial.generation + 1000 * copy}))
        before = timed(store, lambda: columns.trials(store, NIGHT))
        sealing = timed(store, lambda: columns.seal(store, NIGHT))
        after = timed(store, lambda: columns.trials(store, NIGHT))
        count = len(store.trial_paths(NIGHT))
        for name, (seconds, reads) in {"objects": before, "seal": sealing, "columns": after}.items():
            print(f"{name:8} {count} trials  {seconds:6.2f} s  {reads} objects read")
        print(f"ratio    {after[0] / before[0]:.2f} of the seconds")


if __name__ == "__main__":
    typer.run(main)
