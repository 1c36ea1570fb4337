"""How many commands run at a time, over all instances: they share this machine, which EC2's do not."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Slots:
    """The others wait their turn, in the order in which they came."""

    def __init__(self, count: int):
        self._changed = threading.Condition()
        self._count, self._taken = count, 0
        self._waiting: deque[object] = deque()
        self._closed = False

    @property
    def count(self) -> int:
        return self._count

    def resize(self, count: int) -> None:
        """What runs goes on, though it should be more than that by now."""
        with self._changed:
            self._count = count
            self._changed.notify_all()

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """A slot, once there is one. False: there will be none any more."""
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            self._changed.wait_for(lambda: self._closed or (self._waiting[0] is ticket and self._taken < self._count))
            self._waiting.remove(ticket)
            self._taken += 1
            self._changed.notify_all()
            has = not self._closed
        try:
            yield has
        finally:
            with self._changed:
                self._taken -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """Nobody who waits has a turn."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
