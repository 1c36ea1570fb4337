"""When the shutdown of an instance is moved, and how far."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.instance import Shutdown

from sparsebench.instance import switch
from sparsebench.instance.heartbeat import instance_heartbeat
from sparsebench.instance.switch import Switch

pytestmark = pytest.mark.slow


def after(**span: float) -> datetime:
    return datetime.now(UTC) + timedelta(**span)


@pytest.mark.parametrize(
    ("silence_s", "minutes"),
    [
        (60, 30),  # it may be armed for 30 already
        (1801, 31),
    ],
)
def test_it_is_held_for_the_longest_silence(shutdown: Shutdown, silence_s: float, minutes: int) -> None:
    Switch(after(hours=9), silence_s).hold()

    assert shutdown.calls == [f"--no-wall -h +{minutes}"]


def test_it_is_moved_once_a_minute_at_most(shutdown: Shutdown, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Switch(after(hours=9), 60)
    for _ in range(5):
        held.hold()
    assert len(shutdown.calls) == 1

    monkeypatch.setattr(switch, "EVERY_S", 0.01)
    time.sleep(0.02)
    held.hold()

    assert len(shutdown.calls) == 2


def test_it_is_never_moved_past_the_end(shutdown: Shutdown) -> None:
    Switch(after(minutes=7, seconds=50), 3600).hold()

    assert shutdown.calls == ["--no-wall -h +7"]


@pytest.mark.parametrize("left_s", [50, -50])
def test_in_the_last_minute_it_is_left_as_it_is(shutdown: Shutdown, left_s: float) -> None:
    Switch(after(seconds=left_s), 3600).hold()

    assert shutdown.calls == []


def test_it_is_never_moved_back(shutdown: Shutdown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switch, "EVERY_S", 0)
    held = Switch(after(minutes=2, seconds=0.5), 3600)
    held.hold()
    time.sleep(0.6)  # now there is one whole minute left, and a half

    held.hold()

    assert shutdown.calls == ["--no-wall -h +2"]


def test_a_shutdown_that_cannot_be_moved_is_told_and_tried_again(
    shutdown: Shutdown, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = shutdown.folder / "shutdown"
    working = program.read_text()
    program.write_text("#!/bin/sh\necho no bus >&2\nexit 4\n")
    monkeypatch.setattr(switch, "EVERY_S", 0)
    held = Switch(after(hours=9), 60)

    held.hold()

    assert capsys.readouterr().err == "the shutdown was not put off: exit code 4: no bus\n"
    program.write_text(working)
    held.hold()
    assert len(shutdown.calls) == 1


def test_a_machine_without_an_end_is_never_shut_down(shutdown: Shutdown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")

    instance_heartbeat(None, 60)()
    assert shutdown.calls == []

    instance_heartbeat(after(hours=9), 60)()
    assert len(shutdown.calls) == 1
