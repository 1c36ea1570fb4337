"""What an instance installs: a wheel of this package, and a lock. Both travel by digest."""

from __future__ import annotations

import tempfile
from importlib.resources import files
from pathlib import Path

from sparsebench.contracts import Environment
from sparsebench.errors import BadInput

PROJECT_ROOT = Path(__file__).resolve().parents[3]


def wheel() -> bytes:
    """A wheel of the code as it is now. The same sources give the same bytes (hatchling's default).

    Raises:
        BadInput: this is not a checkout of the project.
    """
    from hatchling.builders.wheel import WheelBuilder  # only the control environment has it

    if not (PROJECT_ROOT / "pyproject.toml").exists():
        raise BadInput(f"{PROJECT_ROOT} has no pyproject.toml: the payload is built from a checkout of the project")
    with tempfile.TemporaryDirectory() as folder:
        builder = WheelBuilder(str(PROJECT_ROOT))
        (built,) = builder.build(directory=folder, versions=["standard"])
        return Path(built).read_bytes()


def lock(environment: Environment | str) -> bytes:
    """A hashed lock as ``uv pip compile --generate-hashes`` wrote it: ``bench``, ``sparsify`` or ``uv``."""
    return files("sparsebench.locks").joinpath(f"{environment}.txt").read_bytes()
