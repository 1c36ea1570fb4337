"""A lock is what its input resolves to: nobody forgot `make lock`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = [
    "requirements",
    "requirements-dev",
    *(f"include/sparsebench/locks/{name}" for name in ("uv", "bench", "sparsify")),
]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_matches_its_input(lock: str, tmp_path: Path) -> None:
    copy = tmp_path / "lock.txt"
    shutil.copy(ROOT / f"{lock}.txt", copy)  # its pins are kept as long as the input admits them
    command = [ROOT / ".tools/bin/uv", "pip", "compile", "--quiet", "--python-version", "3.11", "--generate-hashes"]
    subprocess.run([*command, "--no-header", f"{lock}.in", "--output-file", copy], cwd=ROOT, check=True)
    assert copy.read_text() == (ROOT / f"{lock}.txt").read_text(), f"{lock}.in has changed: run `make lock`"


def test_the_control_environment_has_neither_torch_nor_an_engine() -> None:
    lock = (ROOT / "requirements.txt").read_text()
    for package in ("torch", "onnxruntime", "openvino", "deepsparse", "sparseml"):
        assert f"\n{package}==" not in lock
