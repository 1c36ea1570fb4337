"""Nights through the scheduler: a scheduled run, and a backfill of a new instance type."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from sparsebench.analysis.history import read
from sparsebench.fleet.plan import job_name
from sparsebench.report import build
from sparsebench.store import Store

from .conftest import System, as_json

pytestmark = pytest.mark.timeout(900)


def cells_by_instance_type(store: Store, night: str) -> dict[str, int]:
    measured = {trial.cell for trial in store.trials(night) if trial.status == "measured"}
    return dict(Counter(cell.instance_type for cell in measured))


def live_instances(run_id: str) -> list[str]:
    """Of a run: others go on meanwhile."""
    reservations = boto3.client("ec2").describe_instances(
        Filters=[
            {"Name": "instance-state-name", "Values": ["pending", "running"]},
            {"Name": "tag:sparsebench:run", "Values": [run_id]},
        ]
    )
    return [instance["InstanceId"] for group in reservations["Reservations"] for instance in group["Instances"]]


def launched_from(types: list[str]) -> dict[str, set[str]]:
    """The images of all instances of these types."""
    images: dict[str, set[str]] = {name: set() for name in types}
    filters: Any = [{"Name": "instance-type", "Values": types}]
    for group in boto3.client("ec2").describe_instances(Filters=filters)["Reservations"]:
        for instance in group["Instances"]:
            images[instance["InstanceType"]].add(instance["ImageId"])
    return images


@pytest.fixture(scope="module")
def swept(system: System) -> System:
    """The sweep's first scheduled run has ended; its time comes within five minutes of the start."""
    system.finished_runs("benchmark_sweep", lambda runs: any(run["run_type"] == "scheduled" for run in runs))
    return system


def scheduled_run(system: System) -> dict[str, Any]:
    (run,) = [run for run in system.api.runs("benchmark_sweep") if run["run_type"] == "scheduled"]
    return run


def page(system: System, address: str) -> str:
    """A page of the plugin, as someone sees it who has logged in."""
    login = {"username": "admin", "password": system.stack.password}
    token = httpx.post(f"{system.stack.url}/auth/token", json=login).json()["access_token"]
    answer = httpx.get(f"{system.stack.url}/sparsebench/{address}", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    return answer.text


def test_a_scheduled_run_measures_localhost_and_publishes_the_report_of_its_night(swept: System) -> None:
    run = scheduled_run(swept)
    night = run["partition_key"]
    assert run["state"] == "success"
    # one network, two variants, four engines
    trials = swept.store.trials(night, job=job_name("benchmark_sweep", run["dag_run_id"], "localhost"))
    assert {(trial.status, trial.cell.instance_type) for trial in trials} == {("measured", "localhost")}
    processes = Counter(trial.cell for trial in trials)
    assert len(processes) == 8
    assert len(set(processes.values())) <= 2  # of each variant's engines as many
    assert all(host.emulated for host in swept.store.hosts(night))
    reports = swept.finished_runs("report", lambda runs: night in [run["partition_key"] for run in runs])
    assert {report["state"] for report in reports} == {"success"}
    assert live_instances(run["dag_run_id"]) == []


def test_after_its_report_the_history_is_looked_at(swept: System) -> None:
    (first, *_) = swept.finished_runs("history", bool)
    states = {task["task_id"]: task["state"] for task in swept.api.task_instances("history", first["dag_run_id"])}
    assert states == {"look": "success", "tell": "skipped", "judge": "success"}  # nothing can have changed yet
    changes = swept.store.changes()
    assert changes
    assert changes.nights
    assert "0 changes in " in page(swept, "history")


def test_a_bucket_and_a_folder_give_the_same_report_byte_for_byte(swept: System, tmp_path: Path) -> None:
    run = scheduled_run(swept)
    folder = Store(tmp_path.as_uri())
    for path in swept.store.paths("nights"):
        if "/report/" not in path:
            folder.write(path, swept.store.read(path))
    drawn = build(folder, run["partition_key"])
    assert drawn
    for name, content in drawn.items():
        assert swept.store.read(swept.store.report_path(run["partition_key"], name)) == content


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("instance_types", ["m7i xlarge"]),
        ("networks", ["alex net"]),
        ("engines", ["tensorrt"]),
        ("variants", ["half"]),
        ("protocol", "hasty"),
    ],
)
def test_a_wrong_value_is_refused_before_anything_runs(system: System, field: str, value: Any) -> None:
    with pytest.raises(Exception, match="400"):
        system.api.trigger("benchmark_sweep", {field: value})


def test_a_backfill_adds_instance_types_to_past_nights_that_no_catalog_has_graviton_among_them(swept: System) -> None:
    last = date.fromisoformat(scheduled_run(swept)["partition_key"])
    nights = [(last - timedelta(days=days)).isoformat() for days in (1, 0)]
    kept = {path: swept.store.read(path) for path in swept.store.paths(f"nights/{last}/trials")}
    manifest = swept.store.manifest(str(last))
    known = len(swept.api.runs("benchmark_sweep"))
    swept.airflow(
        *("backfill", "create", "--dag-id", "benchmark_sweep", "--from-date", nights[0], "--to-date", f"{last}T23:59"),
        *("--reprocess-behavior", "completed", "--dag-run-conf"),
        json.dumps({"instance_types": ["m8i.large", "c8g.xlarge"], "variants": ["base"], "engines": ["onnxruntime"]}),
    )
    runs = swept.finished_runs("benchmark_sweep", lambda runs: len(runs) >= known + 2)
    backfilled = {run["partition_key"]: run["state"] for run in runs if run["run_type"] == "backfill"}
    assert backfilled == dict.fromkeys(nights, "success")
    for night in nights:
        counts = cells_by_instance_type(swept.store, night)
        assert (counts["m8i.large"], counts["c8g.xlarge"]) == (1, 1)
    # the night that had results keeps them and its manifest; the other is frozen late, and says so
    assert {path: swept.store.read(path) for path in kept} == kept
    assert swept.store.manifest(str(last)) == manifest
    assert swept.store.manifest(nights[0]).frozen_late
    drawn = swept.finished_runs("report", lambda runs: {run["partition_key"] for run in runs} >= set(nights))
    assert {run["state"] for run in drawn} == {"success"}
    page = swept.store.read(swept.store.report_path(str(last))).decode()
    assert all(name in page for name in ("localhost", "m8i.large", "c8g.xlarge"))
    images = launched_from(["m8i.large", "c8g.xlarge"])
    assert images == {"m8i.large": {manifest.image}, "c8g.xlarge": {manifest.arm_image}}
    assert [live_instances(run["dag_run_id"]) for run in runs] == [[]] * len(runs)


def test_two_nights_are_bisected_and_the_note_says_what_the_inputs_do(swept: System) -> None:
    """Of two nights with the same inputs they do nothing, or nothing is said where an instance was never quiet, as
    beside other tests; neither side is part of the history, or is joined."""
    after = date.fromisoformat(scheduled_run(swept)["partition_key"])
    before = after - timedelta(days=1)
    swept.api.unpause("bisect")
    asked = {"before": str(before), "after": str(after), "instance_type": "localhost", "each": 2}
    run = swept.api.trigger("bisect", asked)
    assert swept.finished("bisect", run) == "success"
    (sentence,) = as_json(swept.api.xcom("bisect", run, "answer"))
    sides = [night for night in swept.store.nights() if swept.store.manifest(night).repeats]
    assert [swept.store.manifest(night).repeats for night in sides] == [str(before), str(after)]
    blocks = [block for night in sides for trial in swept.store.trials(night) for block in trial.blocks]
    of_quiet, head = "2 and 2 instances: with the inputs alone none of ", f"{before} and {after} on localhost, "
    if any(block.tolerated for block in blocks):
        assert sentence.startswith((head + of_quiet, f"{head}nothing can be said: no ratio was measured on two quiet "))
    else:
        assert sentence.startswith(head + of_quiet)
    swept.finished_runs("report", lambda runs: {run["partition_key"] for run in runs} >= set(sides))
    for night in sides:
        assert len({trial.instance_id for trial in swept.store.trials(night)}) == 2
        assert "no part of the history" in swept.store.read(swept.store.report_path(night)).decode()
    history = [ratios.night for ratios in read(swept.store, [])]
    assert str(after) in history
    assert not set(sides) & set(history)
    assert live_instances(run) == []


def test_the_report_page_is_behind_the_login(swept: System) -> None:
    run = scheduled_run(swept)
    address = f"{swept.stack.url}/sparsebench/nights/{run['partition_key']}/index.html"
    assert httpx.get(address).status_code == 401
    assert "sparsebench" in page(swept, f"nights/{run['partition_key']}/index.html")
