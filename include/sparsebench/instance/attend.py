"""What a job does for its instance whenever it has a moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import TypeVar

from sparsebench.instance.spot import SpotNotice
from sparsebench.instance.switch import Switch

T = TypeVar("T")

Attend = Callable[[], None]
"""To be called between two things that are timed, the more often the better: it does no more than is due.

Raises:
    Interrupted: the job is to end, now.
"""


def attend(until: datetime | None, silence_s: float) -> Attend:
    """Look for EC2's notice and, where there is an end, hold the dead man's switch: a person's own machine has no end,
    and must never be shut down. Arguments as of ``Switch``."""
    notice = SpotNotice()
    switch = Switch(until, silence_s) if until else None

    def carry_out() -> None:
        notice.check()
        if switch:
            switch.hold()

    return carry_out


def nothing() -> None:
    """Of a job that runs on no instance."""


def attended(items: Iterable[T], attend: Attend) -> Iterator[T]:
    """The same items; before each, the job does what it does for its instance."""
    for item in items:
        attend()
        yield item
