"""What the runner does for its instance while it measures: the dead man's switch, EC2's notice, its progress."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.instance import TERMINATE, Shutdown, metadata_service
from tests.support.values import there
from tests.unit.bench.conftest import Bench

from sparsebench.bench.runner import silence_s
from sparsebench.contracts import Progress
from sparsebench.instance.exits import INTERRUPTED
from sparsebench.instance.switch import MOMENT
from sparsebench.store import Store

NIGHT = "2026-11-24"


@pytest.fixture
def shutdown(bench: Bench, tmp_path: Path) -> Shutdown:
    """The program that the runner would call."""
    program = Shutdown(tmp_path / "bin")
    bench.environment = bench.environment | {"PATH": f"{program.folder}{os.pathsep}{os.environ['PATH']}"}
    return program


@pytest.fixture
def marker(bench: Bench, tmp_path: Path) -> Iterator[Path]:
    """A file; from when an engine leaves it there, this spot instance has notice of its end."""
    file = tmp_path / "marker"
    with metadata_service(life_cycle="spot", notice=lambda: TERMINATE if file.exists() else None) as service:
        bench.environment = bench.environment | {
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": service.url,
            "MARKER": str(file),
        }
        yield file


def test_with_an_end_it_holds_the_switch(bench: Bench, network: Path, shutdown: Shutdown) -> None:
    bench.options = ("--until", (datetime.now(UTC) + timedelta(hours=5)).strftime(MOMENT))

    assert bench.run(bench.request(network, ("onnxruntime",))).returncode == 0

    assert shutdown.calls == ["--no-wall -h +30"]


def test_without_an_end_it_never_calls_shutdown(bench: Bench, network: Path, shutdown: Shutdown) -> None:
    assert bench.run(bench.request(network, ("onnxruntime",))).returncode == 0

    assert shutdown.calls == []


def test_with_a_notice_it_ends_after_the_round_and_another_instance_goes_on(
    bench: Bench, network: Path, store: Store, marker: Path
) -> None:
    engines = ("telling", "onnxruntime")
    # So many that they take longer than the runner waits between two looks for the notice.
    rounds: dict[str, Any] = {"min_rounds": 150, "max_rounds": 150}
    request = bench.request(network, engines, min_processes=2, max_processes=2, **rounds)

    done = bench.run(request)

    assert done.returncode == INTERRUPTED
    assert done.stderr.startswith("interrupted: EC2 takes this spot instance away")
    progress = there(store.progress("job"))
    assert progress.what.startswith("interrupted: ")
    assert (progress.done, progress.finished) == (2, False)
    first, second = store.trials(NIGHT)
    assert first.status == second.status == "measured"
    assert 1 < len(first.blocks) < 150
    # A block that was disturbed is timed again in its round, so a round may have more than one of a cell.
    assert {block.round for block in first.blocks} == {block.round for block in second.blocks}

    marker.unlink()
    bench.environment = bench.environment | {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1"}
    assert bench.run(request).returncode == 0
    assert sorted((t.cell.engine, t.generation) for t in store.trials(NIGHT)) == [
        ("onnxruntime", 0), ("onnxruntime", 1), ("telling", 0), ("telling", 1),
    ]  # fmt: skip
    assert there(store.progress("job")).finished


@pytest.mark.parametrize(
    ("engines", "interleaved"), [(("not-installed", "slow", "onnxruntime"), True), (("onnxruntime", "slow"), False)]
)
def test_a_generation_in_which_an_engine_has_not_timed_anything_is_left_out(
    bench: Bench, network: Path, store: Store, marker: Path, engines: tuple[str, ...], interleaved: bool
) -> None:
    done = bench.run(bench.request(network, engines, order="fixed", interleaved=interleaved))

    assert done.returncode == INTERRUPTED
    assert marker.exists()
    assert store.trials(NIGHT) == []


def test_engines_that_did_not_fit_into_memory_are_not_loaded_together_by_the_next_instance(
    bench: Bench, network: Path, store: Store
) -> None:
    request = bench.request(network, ("onnxruntime", "openvino"), min_processes=2, max_processes=2)
    quiet = bench.environment
    bench.environment = quiet | {"AVAILABLE_MEMORY": "9 9 5"}  # as in test_runner
    assert bench.run(request).returncode == 0
    for path in [path for path in store.paths("nights") if path.endswith("job-1.json")]:
        Path(store.url(path).removeprefix("file://")).unlink()

    bench.environment = quiet
    assert bench.run(request).returncode == 0

    assert {(t.generation, t.interleaved) for t in store.trials(NIGHT)} == {(0, False), (1, False)}


def test_progress_has_the_end_of_the_output_and_is_not_written_in_every_round(
    bench: Bench, network: Path, store: Store
) -> None:
    request = bench.request(
        network, ("onnxruntime",), min_rounds=100, max_rounds=100, min_processes=2, max_processes=2, budget_s=50
    )
    runner = bench.start(request)
    seen: dict[datetime, Progress] = {}
    while runner.poll() is None:
        if progress := store.progress("job"):
            seen[progress.updated_at] = progress
        time.sleep(0.05)

    assert runner.returncode == 0
    # The reference, two processes and the end; and one for each ten seconds, where the machine is slow.
    span = max(seen) - min(seen)
    assert 3 <= len(seen) <= 4 + span.total_seconds() / 10
    assert min(seen.items())[1].what == "0 of 1 networks; tiny: reference"
    assert 0 < there(min(seen.items())[1].left_s) <= 50
    last = there(store.progress("job"))
    assert (last.what, last.left_s) == ("finished", 0)
    assert last.tail[0].startswith("the host is")
    assert last.tail[1].startswith("[1/2] tiny")
    assert last.tail[-1].startswith("tiny: ")


def test_the_longest_silence_is_that_of_a_process_or_of_a_round(bench: Bench, network: Path, store: Store) -> None:
    path = bench.request(
        network, ("onnxruntime", "openvino"), precisions=("f32", "native"), trial_timeout_s=600, block_s=60, settle_s=1
    )

    assert silence_s(store.bench_request(path)) == 2 * 600 + 3 * 4 * 61
