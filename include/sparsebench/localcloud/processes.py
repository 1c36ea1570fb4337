"""The processes of an instance: how they are found, and ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time

import psutil

MARKER = "SPARSEBENCH_LOCALCLOUD_INSTANCE"
"""Environment variable of every process of an instance: children inherit it, whatever session they make."""

GRACE_S = 2.0
"""Between SIGTERM and SIGKILL."""

_POLL_S = 0.05


def of_instance(instance_id: str) -> set[psutil.Process]:
    """Every process that carries the instance's marker, and the descendants of those.

    What clears its environment *and* leaves its parent is not found; nothing that runs on an instance does both.
    """
    marked: set[psutil.Process] = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARKER) == instance_id:
                marked.update([process, *process.children(recursive=True)])
    return {process for process in marked if _alive(process)}


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def end(instance_id: str, grace_s: float = GRACE_S) -> None:
    """End every process of an instance, as a machine that shuts down does; returns when none is left."""
    deadline = time.monotonic() + grace_s
    asked: set[psutil.Process] = set()
    while alive := of_instance(instance_id) | {process for process in asked if _alive(process)}:
        too_late = time.monotonic() >= deadline
        for process in alive:
            with contextlib.suppress(psutil.Error):
                if too_late:
                    process.kill()
                elif process not in asked:
                    process.terminate()
        asked |= alive
        # Not psutil.wait_procs: it would take the exit status from whoever waits for the process.
        time.sleep(_POLL_S)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a command's process group at once, as the SSM agent does; children in a session of their own live on."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
