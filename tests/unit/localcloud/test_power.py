"""The command lines of shutdown and its relatives."""

from __future__ import annotations

from datetime import datetime

import pytest

from sparsebench.localcloud.power import request_of, seconds_until

NOON = datetime(2026, 11, 24, 12, 0)


@pytest.mark.parametrize(
    ("when", "seconds"), [("now", 0), ("+0", 0), ("+90", 5400), ("5", 300), ("12:30", 1800), ("11:00", 23 * 3600)]
)
def test_times(when: str, seconds: float) -> None:
    assert seconds_until(when, NOON) == seconds


@pytest.mark.parametrize("when", ["tomorrow", "+-5", "25:00", ""])
def test_times_that_are_none(when: str) -> None:
    with pytest.raises(ValueError):
        seconds_until(when, NOON)


@pytest.mark.parametrize(
    ("line", "method", "body"),
    [
        ("shutdown", "POST", {"after_s": 60, "reboot": False}),
        ("shutdown -h +15 benchmarks are over", "POST", {"after_s": 900, "reboot": False}),
        ("shutdown -r now", "POST", {"after_s": 0, "reboot": True}),
        ("reboot", "POST", {"after_s": 0, "reboot": True}),
        ("poweroff", "POST", {"after_s": 0, "reboot": False}),
        ("shutdown -c", "DELETE", {}),
    ],
)
def test_what_a_command_line_asks_for(line: str, method: str, body: dict[str, object]) -> None:
    program, *arguments = line.split()

    assert request_of(program, arguments) == (method, body)


def test_an_option_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="--sometime"):
        request_of("shutdown", ["--sometime"])
