"""The dead man's switch: an instance shuts itself down unless a live job keeps moving that moment forward.

User data arms it first thing, the script that prepares the instance arms it again (``fleet.commands``), and then the
job holds it. A job that hangs, a lost agent or a dead Airflow leave nothing running for long.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from math import ceil, inf
from time import monotonic

ARMED_MINUTES = 30
"""For how long it is armed before there is a job: to boot and get online, and again to install an environment."""

EVERY_S = 60
"""Between two moves."""

MOMENT = "%Y-%m-%dT%H:%M:%S%z"
UNTIL = "end of this instance: keep it up until then, and shut it down when the job hangs; 2026-11-24T02:00:00+0000"
"""Format and help of the command line option --until."""

PATIENCE_S = 30
"""For ``shutdown`` to answer."""


class Switch:
    """
    Args:
        until: that the instance may run at most, however alive its job is.
        silence_s: the longest time between two calls of ``hold`` by a job that does not hang.
    """

    def __init__(self, until: datetime, silence_s: float) -> None:
        self._until = until
        # Not less than it may be armed for already: it would be moved back.
        self._minutes = max(ARMED_MINUTES, ceil(silence_s / 60))
        self._held_at = -inf
        self._ends_at: datetime | None = None

    def hold(self) -> None:
        """Move the shutdown forward, unless that was done just now. It starts a process: nothing may be timed."""
        if monotonic() - self._held_at < EVERY_S:
            return
        self._held_at = monotonic()
        now = datetime.now(UTC)
        minutes = min(self._minutes, int((self._until - now).total_seconds() // 60))  # whole ones: shutdown's unit
        ends_at = now + timedelta(minutes=minutes)
        if minutes < 1 or (self._ends_at and ends_at <= self._ends_at):
            return
        if problem := _shut_down_in(minutes):
            # What was measured meanwhile is worth more than an end now: the switch is armed, and is tried again.
            print(f"the shutdown was not put off: {problem}", file=sys.stderr)
        else:
            self._ends_at = ends_at


def _shut_down_in(minutes: int) -> str:
    """Plan it, in place of what was planned before. Returns why that was not possible; "" when it was."""
    command = ["shutdown", "--no-wall", "-h", f"+{minutes}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return f"exit code {done.returncode}: {done.stderr.strip()}" if done.returncode else ""
