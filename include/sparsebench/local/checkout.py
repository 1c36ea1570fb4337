"""The checkout of the project that this machine's system is started from: its DAGs, its plugins, its environments."""

from __future__ import annotations

from pathlib import Path

from sparsebench.errors import BadInput

ROOT = Path(__file__).resolve().parents[3]


def bench_python() -> Path:
    """The interpreter of the bench environment.

    Raises:
        BadInput: it is not installed here.
    """
    python = ROOT / ".envs" / "bench" / "bin" / "python"
    if not python.exists():
        raise BadInput(f"the bench environment {python.parents[1]} is not there: run `make setup` in a checkout first")
    return python
