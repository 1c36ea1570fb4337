"""Two systems on one machine leave each other alone."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from tests.support.services import free_port

from sparsebench.local.stack import Stack

pytestmark = pytest.mark.slow  # they listen


@pytest.fixture
def wanted(monkeypatch: pytest.MonkeyPatch) -> int:
    """The port that each system would have, if it were alone."""
    port = free_port()
    monkeypatch.setenv("SPARSEBENCH_PORT", str(port))
    return port


def test_two_systems_that_are_started_at_the_same_time_have_ports_of_their_own(wanted: int, tmp_path: Path) -> None:
    first, second = (Stack(home=tmp_path / name) for name in ("first", "second"))  # neither listens yet
    assert first.port == wanted
    assert len({first.port, first.cloud_port, second.port, second.cloud_port}) == 4


def test_a_port_on_which_somebody_listens_is_not_taken(wanted: int, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", wanted))
        other.listen()
        assert Stack(home=tmp_path).port != wanted
