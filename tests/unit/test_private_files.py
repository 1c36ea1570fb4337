"""What a password may stand in is for its owner alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from sparsebench.local.processes import Process

pytestmark = pytest.mark.slow


def test_the_log_of_a_process_is_its_owners_alone_also_where_an_older_one_was_not(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "x.log"
    log.parent.mkdir()
    log.write_text("before\n")
    log.chmod(0o644)

    process = Process.start("x", [sys.executable, "-c", "print('password: x')"], dict(os.environ), log, idle=False)
    process.popen.wait()

    assert log.stat().st_mode & 0o777 == 0o600
    assert log.read_text() == "before\npassword: x\n"
