"""What is damaged or false in a store costs that object, and nothing else; the report says which it was, and why."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

import pytest
from rich.console import Console
from tests.golden import FOLDER, NIGHT, golden_store

from sparsebench import report
from sparsebench.analysis import history
from sparsebench.analysis.pooling import Night, pooled
from sparsebench.contracts import (
    Failure,
    ImportRequest,
    Launch,
    NightRatios,
    Profile,
    Progress,
    SparsifyRequest,
    Stored,
    Trial,
    is_night,
)
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


C = TypeVar("C", bound=Stored)


def golden(kind: type[C]) -> C:
    return kind.from_json((FOLDER / kind.__name__ / "1.json").read_bytes())


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
        (("parity", "images"), 10**400, "parity.images is 1000.*: expected a number of 64 bits"),
        (("peak_memory_bytes",), 10**30, "peak_memory_bytes is 1000.*: expected a number of 64 bits"),
        (("peak_memory_bytes",), 2**63, "peak_memory_bytes is 9223372036854775808: "),
        (("batch",), 10**9, "batch is 1000000000: "),
        (("engine_facts",), {"streams": "many"}, "engine_facts.streams is 'many': expected a whole number from 1"),
        (("engine_facts",), {"streams": 1.5}, "engine_facts.streams is 1.5: expected a whole number from 1"),
        (("engine_facts",), {"streams": -4}, "engine_facts.streams is -4: expected a whole number from 1"),
        (
            ("engine_facts",),
            {"fraction_of_supported_ops": "all"},
            "engine_facts.fraction_of_supported_ops is 'all': expected a fraction",
        ),
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


def test_a_block_that_is_there_twice_makes_a_trial_false(store: Store) -> None:
    blocks = json.loads(store.read(TRIAL))["blocks"]
    store.write(TRIAL, changed(store.read(TRIAL), ("blocks",), [*blocks, blocks[0]]))
    assert [reason for _, reason in left_out(store)] == ["Value error, blocks has a block twice"]


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("engine", "another", "the night's payload has no engine another"),
        ("precision", "native", "the night's protocol has no lane native"),
    ],
)
def test_a_trial_of_what_the_night_does_not_have_is_left_out(store: Store, field: str, value: str, reason: str) -> None:
    false = Trial.from_json(changed(store.read(TRIAL), ("cell", field), value))
    store.write(store.trial_path(false), false.to_json())
    assert left_out(store) == [(store.trial_path(false), reason)]


OTHER_NIGHT = "2026-11-25"


def test_ratios_that_were_copied_from_another_night_are_not_a_nights(store: Store) -> None:
    ratios = golden(NightRatios).model_copy(update={"night": NIGHT})
    store.put_night_ratios(ratios)
    store.write(f"nights/{OTHER_NIGHT}/ratios.json", ratios.to_json())
    with pytest.raises(IntegrityError, match=f"it is the NightRatios that belongs at nights/{NIGHT}/ratios.json"):
        store.night_ratios(OTHER_NIGHT)
    unreadable: list[Unreadable] = []
    assert [night.night for night in history.read(store, unreadable)] == [NIGHT]
    assert unreadable[0].path == f"nights/{OTHER_NIGHT}/ratios.json"


def test_a_ratio_counts_once_in_a_night(store: Store) -> None:
    content = json.loads(golden(NightRatios).model_copy(update={"night": NIGHT}).to_json())
    content["ratios"].append(content["ratios"][0] | {"error": 1e-9})
    store.write(store.night_ratios_path(NIGHT), json.dumps(content).encode())
    with pytest.raises(IntegrityError, match=r"the ratio of .* is there twice"):
        store.night_ratios(NIGHT)


def test_a_ratio_is_not_larger_than_any_can_be(store: Store) -> None:
    ratios = golden(NightRatios).model_copy(update={"night": NIGHT})
    store.write(store.night_ratios_path(NIGHT), changed(ratios.to_json(), ("ratios", 0, "log_ratio"), 1e308))
    with pytest.raises(IntegrityError, match=r"log_ratio is 1e\+308: nothing is that much faster"):
        store.night_ratios(NIGHT)


def test_an_object_is_read_at_its_own_place_only(store: Store) -> None:
    profile = golden(Profile)
    progress, failure, launch = golden(Progress), golden(Failure), golden(Launch)
    sparsify, imported = golden(SparsifyRequest), golden(ImportRequest)
    store.write(store.profile_path("0" * 64), profile.to_json())
    store.write("progress/another.json", progress.to_json())
    store.write("failures/another.json", failure.to_json())
    store.write("launches/run/i-copy.json", launch.to_json())
    store.write("requests/another.json", sparsify.to_json())
    store.write("requests/third.json", imported.to_json())
    job = next(store.paths(f"nights/{NIGHT}/jobs"))
    store.write(f"nights/{OTHER_NIGHT}/jobs/copy.json", store.read(job))
    reads: list[Callable[[], object]] = [
        lambda: store.profile("0" * 64),
        lambda: store.progress("another"),
        lambda: store.failure("another"),
        lambda: store.launches("run"),
        lambda: store.sparsify_request("requests/another.json"),
        lambda: store.import_request("requests/third.json"),
        lambda: store.bench_request(f"nights/{OTHER_NIGHT}/jobs/copy.json"),
    ]
    for read in reads:
        with pytest.raises(IntegrityError, match=r"it is the .* that belongs at"):
            read()


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
