"""Airflow and localcloud keep still while a benchmark on the same machine times a round: bench/quiet.py asks here."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from sparsebench.bench.quiet import HELD, HOLD

BREATH_S = 0.2
"""Between two holds everybody has this long, and nobody else wants the CPUs then."""

AT_ONCE_S = 5.0
LONG_BREATH_S = 0.5
"""In a hold that lasts longer they have this long now and then: Airflow's components take each other for dead after
30 s without a sign of life."""


class Listener:
    """Stops process groups while a runner holds them. One runner at a time: the next is heard when that has gone."""

    def __init__(self, groups: Callable[[], Sequence[int]]):
        """groups: the process groups that are to keep still."""
        self._groups = groups
        # In a folder that only its owner enters; a path below the project could be too long for a socket.
        self._folder = Path(tempfile.mkdtemp(prefix="sparsebench-"))
        self.path = self._folder / "quiet"
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(self.path))
        self._server.listen()
        self._runner: socket.socket | None = None
        self._let_go_at = 0.0
        self._thread = threading.Thread(target=self._serve, name="quiet", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Nobody is held any more, nor will be."""
        for each in (self._server, self._runner):
            if each:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _serve(self) -> None:
        while True:
            try:
                self._runner, _ = self._server.accept()
            except OSError:  # closed
                return
            with self._runner, suppress(OSError):
                while self._runner.recv(1) == HOLD:
                    self._hold(self._runner)

    def _hold(self, runner: socket.socket) -> None:
        """Until the runner lets go, or is gone."""
        time.sleep(max(0.0, self._let_go_at + BREATH_S - time.monotonic()))
        try:
            self._signal(signal.SIGSTOP)
            runner.sendall(HELD)
            while not select.select([runner], [], [], AT_ONCE_S)[0]:
                self._signal(signal.SIGCONT)
                time.sleep(LONG_BREATH_S)
                self._signal(signal.SIGSTOP)
            runner.recv(1)
        finally:
            self._signal(signal.SIGCONT)
            self._let_go_at = time.monotonic()

    def _signal(self, number: signal.Signals) -> None:
        for group in self._groups():
            with suppress(ProcessLookupError):
                os.killpg(group, number)
