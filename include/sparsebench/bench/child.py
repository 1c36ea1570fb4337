"""Child processes: what an engine does to its process stays there, and nothing outlives the runner."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from sparsebench.contracts import Contract

TAIL = 2000
"""Characters of a child's output that are kept when it fails."""


class ChildFailed(Exception):
    """It crashed, was killed or ran out of time; the message says which, with the end of what it printed."""


def run_child(module: str, task: Contract, timeout_s: float, log: Path) -> None:
    """Run ``python -m module`` with the task as JSON on stdin, and both its outputs in ``log``.

    Raises:
        ChildFailed: it did not exit with 0 in time.
    """
    # A group of its own, so that what the child starts can be ended with it. Without the working folder on
    # its path: a folder named like an engine would hide the engine.
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
        ) as process,
    ):
        try:
            process.communicate(task.to_json(), timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise ChildFailed(f"ran longer than {timeout_s:g} s{_tail(log)}") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode < 0:
        name = signal.Signals(-process.returncode).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        raise ChildFailed(f"killed by {name}{hint}{_tail(log)}")
    if process.returncode:
        raise ChildFailed(f"exit code {process.returncode}{_tail(log)}")


def _tail(log: Path) -> str:
    text = log.read_text("utf-8", errors="replace").strip()
    return f"\n{text[-TAIL:]}" if text else ""


def die_with_parent() -> None:
    """Called first thing in a child: the kernel kills it when the runner goes, however the runner went."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
