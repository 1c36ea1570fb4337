"""The Makefile: what it says, and what it does not do unasked."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder for the PATH of a machine without a browser, whose apt-get only notes how it was called."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "env", "id", "ls", "make"):
        where = shutil.which(name)
        assert where
        (programs / name).symlink_to(where)
    for name, then in {"apt-get": "", "sudo": 'exec "$@"'}.items():
        (programs / name).write_text(f'#!/usr/bin/bash\necho "{name} $*" >> {tmp_path}/calls\n{then}\n')
        (programs / name).chmod(0o755)
    return programs


def needs(bare: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(bare), **variables}
    return subprocess.run(
        [str(bare / "make"), f"SHELL={bare}/bash", "needs"], cwd=ROOT, env=environment, capture_output=True, text=True
    )


def test_what_the_tests_need_is_named_with_the_command_and_nothing_is_installed(bare: Path) -> None:
    done = needs(bare)
    assert done.returncode != 0
    assert "The tests need chromium" in done.stderr
    assert "`make system` installs them" in done.stderr
    assert not (bare.parent / "calls").exists()


def test_in_ci_it_is_installed(bare: Path) -> None:
    done = needs(bare, CI="true")
    assert done.returncode == 0, done.stderr
    calls = (bare.parent / "calls").read_text()
    assert "install --quiet --yes --no-install-recommends chromium redis-server postgresql" in calls


def test_bytecode_is_kept_where_the_machine_wants_none() -> None:
    command = ["make", "--eval=environment: ; @env", "environment"]
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "KEPT": "1"}
    told = subprocess.check_output(command, cwd=ROOT, env=environment, text=True)
    assert "KEPT=1" in told
    assert "PYTHONDONTWRITEBYTECODE" not in told
