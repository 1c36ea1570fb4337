"""The heartbeat of a job: what it does for its instance whenever it has a moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import TypeVar

from sparsebench.instance.spot import SpotNotice
from sparsebench.instance.switch import Switch

T = TypeVar("T")

Heartbeat = Callable[[], None]
"""It is called between two things that are timed, the more often the better: it does no more than is due.

Raises:
    Interrupted: the job is to end, now.
"""


def instance_heartbeat(until: datetime | None, silence_s: float) -> Heartbeat:
    """The heartbeat looks for EC2's notice and, where there is an end, holds the dead man's switch: a person's own
    machine has no end, and must never be shut down. Arguments as of ``Switch``."""
    notice = SpotNotice()
    switch = Switch(until, silence_s) if until else None

    def beat() -> None:
        notice.check()
        if switch:
            switch.hold()

    return beat


def no_heartbeat() -> None:
    """A job that runs on no instance has nothing to do for it."""


def with_heartbeat(items: Iterable[T], heartbeat: Heartbeat) -> Iterator[T]:
    """The same items; before each, the job does what it does for its instance."""
    for item in items:
        heartbeat()
        yield item
