"""The notice of an interruption, from a real metadata service."""

from __future__ import annotations

import pytest
from tests.support.instance import LIFE_CYCLE, NOTICE, TERMINATE, metadata_service

from sparsebench.instance import spot
from sparsebench.instance.exits import Interrupted
from sparsebench.instance.spot import SpotNotice

pytestmark = pytest.mark.slow

ENDPOINT = "AWS_EC2_METADATA_SERVICE_ENDPOINT"


def test_an_instance_on_demand_is_asked_once_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spot, "EVERY_S", 0)
    with metadata_service(life_cycle="on-demand", notice=TERMINATE) as service:
        monkeypatch.setenv(ENDPOINT, service.url)
        notice = SpotNotice()
        for _ in range(3):
            notice.check()

    assert service.asked == [LIFE_CYCLE]


def test_a_notice_interrupts_and_from_then_on_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spot, "EVERY_S", 0)
    with metadata_service(life_cycle="spot") as service:
        monkeypatch.setenv(ENDPOINT, service.url + "/")
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        notice = SpotNotice()
        notice.check()

        service.answers[NOTICE] = TERMINATE

        with pytest.raises(Interrupted, match=r"terminate.*2026-11-24T02:02:00Z"):
            notice.check()
    with pytest.raises(Interrupted):
        notice.check()


def test_it_looks_every_few_seconds_only(monkeypatch: pytest.MonkeyPatch) -> None:
    with metadata_service(life_cycle="spot") as service:
        monkeypatch.setenv(ENDPOINT, service.url)
        notice = SpotNotice()
        for _ in range(5):
            notice.check()

    assert service.asked == [LIFE_CYCLE, NOTICE]


def test_without_a_metadata_service_there_is_no_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:1")

    SpotNotice().check()


def test_a_service_that_goes_away_is_no_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    with metadata_service(life_cycle="spot", notice=TERMINATE) as service:
        monkeypatch.setenv(ENDPOINT, service.url)
        notice = SpotNotice()

    notice.check()

    assert service.asked == [LIFE_CYCLE]
