"""The control environment of a server: the project's wheel beside Airflow, and no checkout on any path."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with requirements.txt and the project's wheel."""
    folder = tmp_path_factory.mktemp("installed")
    python = folder / "env" / "bin" / "python"
    uv = ROOT / ".tools" / "bin" / "uv"
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder / "env"], check=True)
    subprocess.run(
        [uv, "pip", "sync", "--quiet", "--python", python, "--require-hashes", ROOT / "requirements.txt"], check=True
    )
    # Offline: all that it needs must be there already.
    install = [str(uv), "pip", "install", "--quiet", "--offline", "--python", str(python)]
    subprocess.run([*install, f"{wheel}[localcloud]"], check=True)
    return python
