"""Long-running processes of one machine, each the head of a process group, so that all of it can be ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sparsebench.errors import SparsebenchError

PRIVATE = 0o600
"""Of a file that only its owner may read."""


@dataclass
class Process:
    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(
        cls, name: str, command: Sequence[str], env: Mapping[str, str], log: Path, idle: bool, cwd: Path | None = None
    ) -> Process:
        """Start a command with its output in ``log``.

        ``idle``: in Linux's SCHED_IDLE class, where it only gets what nobody else wants: what shares a host
        with a benchmark must not disturb it.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch(mode=PRIVATE)
        log.chmod(PRIVATE)  # Airflow logs the password that it makes up
        with log.open("ab") as output:
            popen = subprocess.Popen(
                command,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd=cwd,
            )
        if idle and hasattr(os, "SCHED_IDLE"):
            # Set from here rather than in the child before exec: no preexec_fn, so no fork hazards.
            os.sched_setscheduler(popen.pid, os.SCHED_IDLE, os.sched_param(0))
        return cls(name, popen, log)

    def check(self) -> None:
        """Raises SparsebenchError with the end of its log if it has ended."""
        if (code := self.popen.poll()) is not None:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
            raise SparsebenchError(f"{self.name} ended with exit code {code}; the end of {self.log}:\n{tail}")


def stop_all(processes: Sequence[Process], grace_s: float = 15) -> None:
    """End all process groups, politely first; nothing of them lives on afterwards."""
    for process in processes:
        _signal_group(process, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    for process in processes:
        while _group_lives(process) and time.monotonic() < deadline:
            process.popen.poll()
            time.sleep(0.1)
        _signal_group(process, signal.SIGKILL)
        process.popen.wait()


def _signal_group(process: Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.popen.pid, number)


def _group_lives(process: Process) -> bool:
    try:
        os.killpg(process.popen.pid, 0)
    except ProcessLookupError:
        return False
    return True
