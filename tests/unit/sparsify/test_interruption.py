"""A spot instance that prunes is taken away, or held."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support.instance import TERMINATE, Shutdown, metadata_service
from tests.support.values import there
from tests.unit.sparsify.conftest import Sparsify

from sparsebench.instance.exits import INTERRUPTED, Interrupted
from sparsebench.instance.progress import ProgressReport
from sparsebench.instance.switch import MOMENT
from sparsebench.store import Store


def test_with_a_notice_it_ends_before_the_next_step(sparsify: Callable[[], Sparsify]) -> None:
    tool = sparsify()
    with metadata_service(life_cycle="spot", notice=TERMINATE) as service:
        done = tool.run("mobilenetv1", "base", AWS_EC2_METADATA_SERVICE_ENDPOINT=service.url)

    assert done.returncode == INTERRUPTED
    assert done.stderr.startswith("interrupted: EC2 takes this spot instance away")
    assert there(tool.store.progress("job-1")).what.startswith("mobilenetv1: interrupted: ")
    assert tool.store.model_cards() == []


def test_with_an_end_it_holds_the_switch(
    sparsify: Callable[[], Sparsify], environment: dict[str, str], tmp_path: Path
) -> None:
    shutdown = Shutdown(tmp_path / "bin")
    tool = sparsify()
    tool.options = ("--until", (datetime.now(UTC) + timedelta(hours=5)).strftime(MOMENT))
    with metadata_service(life_cycle="spot", notice=lambda: TERMINATE if shutdown.calls else None) as service:
        tool.run(
            "mobilenetv1",
            "base",
            AWS_EC2_METADATA_SERVICE_ENDPOINT=service.url,
            PATH=f"{shutdown.folder}:{environment['PATH']}",
        )

    assert shutdown.calls == ["--no-wall -h +60"]


@pytest.fixture
def report(tmp_path: Path) -> ProgressReport:
    return ProgressReport(Store(tmp_path.as_uri()), "job", "vgg19", 2)


def test_progress_tells_the_time_left_and_the_last_lines(report: ProgressReport, tmp_path: Path) -> None:
    store = Store(tmp_path.as_uri())
    report.step("base: building")
    assert there(store.progress("job")).left_s is None

    report.part_done("base: done")
    halfway = there(store.progress("job"))
    assert halfway.left_s == pytest.approx((halfway.updated_at - halfway.started_at).total_seconds())
    assert halfway.tail == ("vgg19: base: building", "vgg19: base: done")

    report.part_done("pruned: done")
    assert there(store.progress("job")).left_s == 0


@pytest.mark.parametrize("end", ["interrupted", "failed"])
def test_what_did_not_come_to_its_end_is_not_finished(report: ProgressReport, tmp_path: Path, end: str) -> None:
    getattr(report, end)(Interrupted("soon"))

    progress = there(Store(tmp_path.as_uri()).progress("job"))
    assert (progress.what, progress.finished) == (f"vgg19: {end}: soon", False)
