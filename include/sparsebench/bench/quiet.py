"""Whoever shares this machine and listens, keeps still while a round is timed.

On an instance nobody listens. On one machine Airflow and the emulated cloud do: local/quiet.py answers here.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

SOCKET = "SPARSEBENCH_QUIET_SOCKET"
"""Environment variable: the Unix socket at which they listen."""

HOLD, LET_GO, HELD = b"h", b"g", b"k"
"""What is asked, a byte each, and what is answered to HOLD once they keep still."""

ANSWER_S = 5.0
"""Who has not answered by then is not waited for."""


class Quiet:
    """A way to those that share the machine; they go on when it ends, however it ends."""

    def __init__(self) -> None:
        self._connection: socket.socket | None = None
        if path := os.environ.get(SOCKET):
            self._connection = socket.socket(socket.AF_UNIX)
            self._connection.settimeout(ANSWER_S)
            try:
                self._connection.connect(path)
            except OSError:
                self._give_up()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """They keep still meanwhile, or for as long as they can."""
        self._ask(HOLD, answer=True)
        try:
            yield
        finally:
            self._ask(LET_GO)

    def _ask(self, what: bytes, answer: bool = False) -> None:
        if self._connection:
            try:
                self._connection.sendall(what)
                if answer and self._connection.recv(1) != HELD:
                    self._give_up()
            except OSError:
                self._give_up()

    def _give_up(self) -> None:
        if self._connection:
            with suppress(OSError):
                self._connection.close()
            self._connection = None
