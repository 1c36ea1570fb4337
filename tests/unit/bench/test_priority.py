"""Who may come first does, and who may not is left as it is."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from sparsebench.bench import priority

SAY = "from sparsebench.bench.priority import come_first, may_come_first; print(may_come_first(), come_first())"
WITHOUT = ["setpriv", "--bounding-set", "-sys_nice", "--inh-caps", "-sys_nice"]


def said(*before: str) -> str:
    """Whether a process may come first, and the niceness that it has then."""
    command = [*before, sys.executable, "-c", SAY]
    return subprocess.run(command, start_new_session=True, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.slow
def test_it_comes_first_where_it_may() -> None:
    assert said() in ("True -20", f"False {os.getpriority(os.PRIO_PROCESS, 0)}")


@pytest.mark.slow
def test_without_the_right_to_it_keeps_its_place() -> None:
    without = WITHOUT if os.geteuid() == 0 else []
    assert said(*without) == f"False {os.getpriority(os.PRIO_PROCESS, 0)}"


def test_a_limit_gives_the_right_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nCapEff:\t0000000000000000\n")
    monkeypatch.setattr(priority, "STATUS", status)
    for limit, may in ((0, False), (39, False), (40, True)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, limit=limit: (limit, limit))
        assert priority.may_come_first() == may
    status.write_text("CapEff:\t0000000000800000\n")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (0, 0))
    assert priority.may_come_first()
