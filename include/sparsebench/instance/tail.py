"""The end of what a program has printed, as its progress shows it."""

from __future__ import annotations

from collections import deque

LINES = 15
CHARACTERS = 300
"""Of each line: an engine's error may be a page long."""


class Tail:
    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=LINES)

    def add(self, text: str) -> None:
        self._lines.extend(line[:CHARACTERS] for line in text.splitlines())

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(self._lines)
