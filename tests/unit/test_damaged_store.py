"""What is damaged or false in a store costs that object, and nothing else; the report says which it was, and why."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.golden import NIGHT, golden_store

from sparsebench import report
from sparsebench.analysis.pooling import Night, pooled
from sparsebench.contracts import Progress, Trial, is_night
from sparsebench.errors import BadInput, IntegrityError, StoreError
from sparsebench.fleet.nights import Sweep
from sparsebench.fleet.plan import Run, plan_sweep
from sparsebench.local.follow import Follower
from sparsebench.report import terminal
from sparsebench.store import Store, Unreadable

NOW = datetime(2026, 12, 24, 12, tzinfo=UTC)
CELL = f"nights/{NIGHT}/trials/localhost/efficientnet_b0-base-onnxruntime-f32"
TRIAL = f"{CELL}/localhost-4fdcc8855b-0.json"
"""The only trial of its cell."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return golden_store(tmp_path)


def changed(data: bytes, place: tuple[str | int, ...], value: object) -> bytes:
    content = json.loads(data)
    part = content
    for step in place[:-1]:
        part = part[step]
    part[place[-1]] = value
    return json.dumps(content).encode()


def left_out(store: Store) -> list[Unreadable]:
    return list(Night.read(store, NIGHT).unreadable)


BLOCK = ("blocks", 0)
FOREIGN = (*BLOCK, "interference", "foreign_cores")


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        ((*BLOCK, "seconds"), 1e-300, "blocks.0 is .*: Value error, seconds is 1e-300: expected from 0.0"),
        ((*BLOCK, "seconds"), 60.0, "seconds is 60: expected from"),
        ((*BLOCK, "seconds"), float("nan"), "not finite: NaN"),
        ((*BLOCK, "seconds"), float("inf"), "not finite: Infinity"),
        ((*BLOCK, "seconds"), "0.2", "blocks.0.seconds is '0.2': Input should be a valid number"),
        ((*BLOCK, "seconds"), 10**400, "blocks.0.seconds is "),
        ((*BLOCK, "images"), 10**12, "nothing is that fast"),
        ((*BLOCK, "images"), 10**400, "nothing is that fast|blocks.0.images is "),
        ((*BLOCK, "latencies_ms", 0), -1.0, "blocks.0.latencies_ms.0 is -1.0"),
        (FOREIGN, float("nan"), "not finite: NaN"),
        (FOREIGN, -9.0, "blocks.0.interference.foreign_cores is -9.0"),
        (FOREIGN, 1e9, "blocks.0.interference.foreign_cores is 1000000000.0"),
        ((*BLOCK, "interference", "throttled"), -1, "blocks.0.interference.throttled is -1"),
        (("parity", "same_top1"), 800, "same_top1 is 800, of 8 images"),
        (("threads",), 10**9, "threads is 1000000000"),
        (("started_at",), "2126-01-01T00:00:00Z", "started_at is 2126-01-01T00:00:00.00:00, in the future"),
        (("ended_at",), "2026-11-26T10:00:00", "ended_at is .* should have timezone info"),
        (("night",), "2026-11-25", "it is the Trial that belongs at nights/2026-11-25/trials"),
        (("cell", "engine"), "openvino", "it is the Trial that belongs at .*efficientnet_b0-base-openvino-f32"),
        (("cell", "instance_type"), "m5.xlarge", "it is the Trial that belongs at .*/trials/m5.xlarge/"),
        (("job",), "another", "it is the Trial that belongs at .*another-0.json"),
        (("generation",), 7, "it is the Trial that belongs at .*-7.json"),
        (("artifact",), "0" * 64, "it measured the artifact 000000000000, and the night's manifest has [0-9a-f]{12}"),
        (("humidity",), 0.5, "humidity is 0.5: Extra inputs are not permitted"),
        (("format",), 99, "it has format 99, .*: upgrade sparsebench"),
    ],
)
def test_a_false_trial_is_left_out_with_its_reason(
    store: Store, place: tuple[str | int, ...], value: object, reason: str
) -> None:
    store.write(TRIAL, changed(store.read(TRIAL), place, value))
    ((path, told),) = left_out(store)
    assert path == TRIAL
    assert re.search(reason, told)
    assert "\n" not in told
    assert len(Night.read(store, NIGHT).trials) == 43


@pytest.mark.parametrize("data", [b"", b"{", b"\x89PNG\xff\x00", b"[]", b"null", b"[" * 50_000, b'{"a": 1}'])
def test_what_is_no_trial_is_left_out(store: Store, data: bytes) -> None:
    store.write(TRIAL, data)
    assert [path for path, _ in left_out(store)] == [TRIAL]


def test_the_report_lists_what_was_left_out_and_counts_it_among_what_is_missing(store: Store) -> None:
    before = report.build(store, NIGHT)
    assert "unreadable.csv" not in before
    store.write(TRIAL, store.read(TRIAL)[:1000])
    host = next(path for path in store.paths(f"nights/{NIGHT}/hosts"))
    another = f"nights/{NIGHT}/hosts/localhost/i-another.json"
    store.write(another, store.read(host))

    files = report.build(store, NIGHT)

    listed = files["unreadable.csv"].decode().splitlines()
    assert [line.partition(",")[0] for line in listed] == ["path", TRIAL, another]
    (missing,) = [line for line in files["missing.csv"].decode().splitlines() if ",unreadable," in line]
    assert all(text in missing for text in ("efficientnet_b0", "onnxruntime", TRIAL))
    page = files["index.html"].decode()
    assert "2 objects of the store could not be read" in page
    assert "1 unreadable (what the store has of it is damaged" in page
    screen = StringIO()
    Console(file=screen, width=200).print(
        report.summary(store, NIGHT), terminal.comparison(report.compare(store, [NIGHT]))
    )
    assert screen.getvalue().count(TRIAL) == 2


def test_a_cell_that_lost_one_of_its_trials_keeps_the_number_of_the_others(store: Store) -> None:
    trial = f"nights/{NIGHT}/trials/localhost/mobilenetv1-base-openvino-f32/localhost-4fdcc8855b-1.json"
    store.write(trial, b"")
    results = pooled([Night.read(store, NIGHT)])
    (lost,) = (row for row in results.missing.to_dict("records") if row["reason"] == "unreadable")
    assert (lost["network"], lost["engine"], lost["trials"], lost["valid_trials"]) == ("mobilenetv1", "openvino", 1, 3)


def test_copies_of_a_trial_do_not_narrow_an_interval(store: Store) -> None:
    trial = f"nights/{NIGHT}/trials/localhost/mobilenetv1-base-openvino-f32/localhost-4fdcc8855b-1.json"
    before = Night.read(store, NIGHT)
    for number in range(12):
        store.write(trial.replace("-1.json", f"-{10 + number}.json"), store.read(trial))
        store.write(trial.replace("4fdcc8855b", f"{number:010}"), store.read(trial))
    after = Night.read(store, NIGHT)
    assert after.trials == before.trials
    assert len(after.unreadable) == 24


@pytest.mark.parametrize("kind", ["hosts", "collections", "jobs"])
def test_other_damaged_objects_of_a_night_cost_themselves(store: Store, kind: str) -> None:
    path = next(store.paths(f"nights/{NIGHT}/{kind}"))
    store.write(path, store.read(path)[:50])
    assert [damaged.path for damaged in left_out(store)] == [path]
    assert path in report.build(store, NIGHT)["unreadable.csv"].decode()


def test_a_trial_is_measured_again_where_a_damaged_one_is(store: Store) -> None:
    data = store.read(TRIAL)
    store.put_trial(Trial.from_json(data))  # it is there already
    another = Trial.from_json(data).model_copy(update={"load_s": 1.0})
    with pytest.raises(StoreError, match="never replaced"):
        store.put_trial(another)
    store.write(TRIAL, data[:100])
    store.put_trial(another)
    assert store.read(TRIAL) == another.to_json()


@pytest.fixture
def artifacts_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The golden store has none: they are 100 MB."""
    monkeypatch.setattr(Store, "fetch_artifact", lambda *_: None)


RUN = Run("benchmark_sweep", "r1", "ami-1")


@pytest.mark.usefixtures("artifacts_are_there")
def test_a_damaged_model_card_costs_that_model_and_is_logged(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    store.write("models/mobilenetv1/pruned.json", b"{")
    with caplog.at_level(logging.WARNING):
        plan = plan_sweep(store, Sweep(("localhost",)), "2026-12-24", RUN, NOW, "quick")
    assert len(plan.requests[0].models) == 5
    assert "models/mobilenetv1/pruned.json is left out: Expecting property name" in caplog.text


@pytest.mark.usefixtures("artifacts_are_there")
def test_a_damaged_night_does_not_stop_the_plan_of_another(store: Store) -> None:
    store.write(f"nights/{NIGHT}/manifest.json", b"{")
    store.write("nights/junk/manifest.json", b"{}")
    assert plan_sweep(store, Sweep(("localhost",)), "2026-12-24", RUN, NOW, "quick").jobs
    with pytest.raises(IntegrityError, match=f"{NIGHT}/manifest.json is not a Manifest that can be read: Expecting"):
        report.build(store, NIGHT)


NO_NIGHTS = ["2026-13-45", "9999-99-99", "2026-02-30", "２０２６-11-24", "2026-11-24\n", "2026-11-24.", "2026-1-4", ""]


@pytest.mark.parametrize("name", NO_NIGHTS)
def test_a_night_is_a_day_of_the_calendar(store: Store, name: str) -> None:
    before = list(store.paths("."))
    with pytest.raises(BadInput, match=r"partition key is .*; expected a day of the calendar"):
        plan_sweep(store, Sweep(("localhost",)), name, RUN, NOW, "quick")
    with pytest.raises(BadInput, match="night is "):
        report.build(store, name)
    assert list(store.paths(".")) == before
    assert not is_night(name)


@pytest.mark.parametrize("name", ["2026-11-24", "2028-02-29", "2026-11-24.2", "2026-11-24.999"])
def test_a_night_may_have_a_number(name: str) -> None:
    assert is_night(name)


@pytest.mark.parametrize("budget", [float("nan"), float("inf"), -1.0, "twenty"])
def test_a_budget_is_an_amount(budget: Any) -> None:
    with pytest.raises(BadInput, match=r"budget_usd is .*; expected an amount of USD"):
        Run("benchmark_sweep", "r1", "ami-1", budget_usd=budget)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("instance_types", ("localhost", "m5.xlarge", "localhost")),
        ("networks", ("vgg19", "vgg19")),
        ("engines", ("onnxruntime", "onnxruntime")),
        ("variants", ("base", "base")),
    ],
)
def test_nothing_is_asked_for_twice(field: str, values: tuple[str, ...]) -> None:
    with pytest.raises(BadInput, match=f"{field}: '{values[0]}' is given twice"):
        Sweep(**{"instance_types": ("localhost",), field: values})  # type: ignore[arg-type]


@pytest.mark.parametrize("scheme", ["ftp", "memory", "http", "ssh", "gs", "S3x"])
def test_a_store_with_another_scheme_says_so(scheme: str) -> None:
    with pytest.raises(StoreError) as raised:
        Store(f"{scheme}://somewhere/store")
    assert str(raised.value) == (
        f"store '{scheme}://somewhere/store': {scheme}:// is not supported; expected file:///folder or s3://bucket/prefix"
    )


@pytest.mark.parametrize("is_terminal", [True, False])
def test_an_error_with_brackets_does_not_break_the_display(is_terminal: bool) -> None:
    screen = StringIO()
    console = Console(file=screen, force_terminal=is_terminal, width=200)
    with Follower(console, {"job": "[/b]m5"}) as follower:
        follower.show(Progress(job="job", what="failed: [/x] [red", done=1, total=2, started_at=NOW, updated_at=NOW))
    assert "failed: [/x] [red" in screen.getvalue()
    assert "[/b]m5" in screen.getvalue()
