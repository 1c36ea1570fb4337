"""Those that share a machine with a benchmark keep still while it times a round, and never longer than it lives."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from sparsebench.bench.quiet import SOCKET, Quiet
from sparsebench.local import quiet as local_quiet
from sparsebench.local.quiet import Listener

pytestmark = pytest.mark.slow


@pytest.fixture
def neighbour() -> Iterator[psutil.Process]:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        yield psutil.Process(process.pid)
        process.kill()


@pytest.fixture
def listener(neighbour: psutil.Process, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    listener = Listener(lambda: [neighbour.pid])
    monkeypatch.setenv(SOCKET, str(listener.path))
    yield listener
    listener.close()


def becomes(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def stopped(process: psutil.Process) -> bool:
    return process.status() == psutil.STATUS_STOPPED


@pytest.mark.usefixtures("listener")
def test_a_neighbour_is_stopped_while_a_round_is_held(neighbour: psutil.Process) -> None:
    quiet = Quiet()
    for _ in range(3):
        with quiet.hold():
            assert becomes(lambda: stopped(neighbour))
        assert becomes(lambda: not stopped(neighbour))


@pytest.mark.usefixtures("listener")
def test_a_runner_that_dies_in_a_round_lets_go(neighbour: psutil.Process) -> None:
    code = "from sparsebench.bench.quiet import Quiet; h = Quiet().hold(); h.__enter__(); print('held', flush=True)"
    code += "; input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as runner:
        assert runner.stdout
        assert runner.stdout.readline() == b"held\n"
        assert becomes(lambda: stopped(neighbour))
        runner.kill()
        assert becomes(lambda: not stopped(neighbour))


@pytest.mark.usefixtures("listener")
def test_in_a_long_hold_a_neighbour_has_time_now_and_then(
    neighbour: psutil.Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_quiet, "AT_ONCE_S", 0.05)
    with Quiet().hold():
        assert becomes(lambda: not stopped(neighbour))
        assert becomes(lambda: stopped(neighbour))


def test_when_the_listener_closes_nobody_is_held(listener: Listener, neighbour: psutil.Process) -> None:
    with Quiet().hold():
        listener.close()
        assert becomes(lambda: not stopped(neighbour))
        assert not listener.path.exists()


@pytest.mark.parametrize("path", ["", "/nowhere/quiet"])
def test_where_nobody_listens_it_measures_as_it_is(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SOCKET, path)
    quiet = Quiet()
    for _ in range(2):
        with quiet.hold():
            pass
