"""What an instance installs: the wheel of the runner, and a lock. Both travel by digest."""

from __future__ import annotations

import tempfile
from importlib.resources import files
from pathlib import Path

from sparsebench.contracts import Environment
from sparsebench.errors import BadInput

RUNNER_PROJECT = Path(__file__).resolve().parents[2]
"""In a checkout: the folder whose pyproject.toml says what of this package runs on an instance."""


def wheel() -> bytes:
    """The wheel of what runs on an instance: the one that this installation carries; in a checkout, one of the code as
    it is now. The same sources give the same bytes (hatchling's default), so nothing else changes a night's identity.

    Raises:
        BadInput: this is neither an installation nor a checkout of the project.
    """
    carried = files(__package__).joinpath("runner.whl")
    return carried.read_bytes() if carried.is_file() else _built()


def _built() -> bytes:
    if not (RUNNER_PROJECT / "pyproject.toml").exists():
        raise BadInput(
            f"{RUNNER_PROJECT} has no pyproject.toml, and no runner.whl is installed: install sparsebench's wheel, or "
            "work in a checkout"
        )
    from hatchling.builders.wheel import WheelBuilder  # only a checkout's environment has it

    with tempfile.TemporaryDirectory() as folder:
        (built,) = WheelBuilder(str(RUNNER_PROJECT)).build(directory=folder, versions=["standard"])
        return Path(built).read_bytes()


def lock(environment: Environment | str) -> bytes:
    """A hashed lock as ``uv pip compile --generate-hashes`` wrote it: ``bench``, ``sparsify`` or ``uv``."""
    return files("sparsebench.locks").joinpath(f"{environment}.txt").read_bytes()
