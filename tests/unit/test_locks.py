"""A lock is what its declaration resolves to: nobody forgot `make lock`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LOCKS = [*sorted(ROOT.glob("requirements*.txt")), *sorted((ROOT / "include/sparsebench/locks").glob("*.txt"))]


def test_a_lock_matches_its_declaration(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(ROOT, copy, ignore=lambda folder, names: [name for name in names if name.startswith(".")])
    (copy / ".tools").symlink_to(ROOT / ".tools")
    # Without an upgrade its pins are kept as long as the declaration admits them.
    subprocess.run(["make", "lock", "LOCK_OPTIONS="], cwd=copy, check=True, capture_output=True)
    for lock in LOCKS:
        name = lock.relative_to(ROOT)
        assert (copy / name).read_text() == lock.read_text(), f"what {name} is made from has changed: run `make lock`"


def test_the_control_environment_has_neither_torch_nor_an_engine() -> None:
    lock = (ROOT / "requirements.txt").read_text()
    for package in ("torch", "onnxruntime", "openvino", "deepsparse", "sparseml"):
        assert f"\n{package}==" not in lock
