from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support.instance import Shutdown


@pytest.fixture
def shutdown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shutdown:
    """The program that a switch calls."""
    program = Shutdown(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{program.folder}{os.pathsep}{os.environ['PATH']}")
    return program
