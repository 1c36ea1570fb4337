"""What the fleet does by itself when something dies, and what it asks of a person."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from sparsebench.contracts import BenchRequest, Collection, Job, run_key
from sparsebench.errors import SparsebenchError
from sparsebench.fleet import tags
from sparsebench.local.api import FINISHED

from .conftest import System, as_json
from .test_sweep import live_instances

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import FilterTypeDef

pytestmark = pytest.mark.timeout(900)

SWEEP = "benchmark_sweep"


def collection(system: System, run: str) -> Collection:
    return Collection.model_validate(as_json(system.api.xcom(SWEEP, run, "collect")))


def request(system: System, run: str) -> BenchRequest:
    (job,) = as_json(system.api.xcom(SWEEP, run, "plan"))
    return system.store.bench_request(Job.model_validate(job).request)


@pytest.fixture(scope="module")
def interrupted(system: System) -> str:
    """A run whose first instance broke in the middle of its work."""
    broken = {"kind": "kill", "since": "command", "comment": ":work", "instance_type": "c4.xlarge", "after_s": 5}
    system.faults({**broken, "times": 1})
    asked = {"instance_types": ["c4.xlarge"], "variants": ["base"], "engines": ["onnxruntime"]}
    run = system.api.trigger(SWEEP, asked)
    assert system.finished(SWEEP, run) == "success"
    system.faults()
    return run


def test_an_instance_that_breaks_is_replaced_and_what_it_measured_counts(system: System, interrupted: str) -> None:
    collected = collection(system, interrupted)
    assert (collected.planned, collected.measured, collected.missing) == (1, 1, ())
    launches = system.store.launches(run_key(SWEEP, interrupted))
    assert [launch.lost for launch in launches] == [True, False]
    assert all(launch.ended_at for launch in launches)
    assert live_instances(interrupted) == []
    asked = request(system, interrupted)
    trials = system.store.trials(asked.night, "c4.xlarge", asked.job)
    assert len({(trial.cell, trial.generation) for trial in trials}) == len(trials)
    assert {trial.instance_id for trial in trials} <= {launch.instance_id for launch in launches}


def test_work_that_is_cleared_is_done_again_on_an_instance_of_its_own(system: System, interrupted: str) -> None:
    asked = request(system, interrupted)
    before = system.store.trials(asked.night, "c4.xlarge", asked.job)
    system.clear(SWEEP, interrupted, "on_instance.work")
    assert system.finished(SWEEP, interrupted) == "success"
    assert system.store.trials(asked.night, "c4.xlarge", asked.job) == before
    assert system.store.trials(asked.night, "c4.xlarge", f"{asked.job}.2")
    assert live_instances(interrupted) == []


def test_a_sweep_that_costs_much_starts_nothing_until_a_person_approves(system: System) -> None:
    types = ["t3.xlarge", "c4.xlarge", "m6a.xlarge", "m5.xlarge", "m5n.xlarge", "m7i.xlarge"]
    run = system.api.trigger(SWEEP, {"instance_types": types, "protocol": "standard"})
    system.wait(SWEEP, run, "ask", {"awaiting_input"})
    assert live_instances(run) == []
    path = f"/dags/{SWEEP}/dagRuns/{run}/taskInstances/ask/-1/hitlDetails"
    asked = system.api.call("GET", path)
    assert "expected to cost" in asked["subject"]
    assert "m7i.xlarge: about" in asked["body"]
    while system.api.run_state(SWEEP, run) not in FINISHED:  # as often as it asks: see docs/on-call.md
        system.wait(SWEEP, run, "ask", {"awaiting_input", "failed"})
        with suppress(SparsebenchError):  # it was answered meanwhile
            system.api.call("PATCH", path, json={"chosen_options": ["Reject"], "params_input": {}})
        time.sleep(2)
    assert system.finished(SWEEP, run) == "failed"
    assert {cell.reason for cell in collection(system, run).missing} == {"over_budget"}
    assert system.store.launches(run_key(SWEEP, run)) == []


def test_a_parameter_that_does_not_exist_is_refused_before_anything_is_launched(system: System) -> None:
    run = system.api.trigger(SWEEP, {"network": ["mobilenetv1"], "variants": ["base"], "engines": ["onnxruntime"]})
    assert system.finished(SWEEP, run) == "failed"
    assert {task["task_id"]: task["state"] for task in system.api.task_instances(SWEEP, run)}["plan"] == "failed"
    assert system.store.launches(run_key(SWEEP, run)) == []


@pytest.mark.parametrize("dag_id", [SWEEP, "sparsify"])
def test_a_run_that_a_person_marks_failed_ends_as_failed_and_its_instance_is_terminated(
    system: System, dag_id: str
) -> None:
    system.api.unpause(dag_id)
    asked = {"engines": ["onnxruntime"]} if dag_id == SWEEP else {"networks": ["mobilenetv1"]}
    run = system.api.trigger(dag_id, {"variants": ["base"], **asked})
    system.wait(dag_id, run, "on_instance.prepare", {"deferred", "running"}, map_index=0)
    system.api.call("PATCH", f"/dags/{dag_id}/dagRuns/{run}", json={"state": "failed"})
    assert system.finished(dag_id, run) == "failed"
    assert live_instances(run) == []


def test_nothing_is_left_over_and_if_it_is_that_is_said(system: System) -> None:
    system.api.unpause("nothing_left_over")
    run = system.api.trigger("nothing_left_over", {})
    assert system.finished("nothing_left_over", run) == "success"
    ec2 = boto3.client("ec2")
    image = ec2.describe_images()["Images"][0]["ImageId"]
    marks = {tags.PROJECT: SWEEP, tags.DEPLOYMENT: tags.deployment(system.store.uri)}
    named: Any = [{"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in marks.items()]}]
    launched = ec2.run_instances(
        ImageId=image, MinCount=1, MaxCount=1, InstanceType="m5.xlarge", TagSpecifications=named
    )
    leaked = launched["Instances"][0]["InstanceId"]
    by_tag: list[FilterTypeDef] = [{"Name": f"tag:{key}", "Values": [value]} for key, value in marks.items()]
    # EC2 finds an instance by its tags only seconds after its launch, and the DAG is quicker than that.
    seen = ec2.get_waiter("instance_exists")
    seen.wait(InstanceIds=[leaked], Filters=by_tag, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    run = system.api.trigger("nothing_left_over", {})
    assert system.finished("nothing_left_over", run) == "failed"
    system.api.unpause("reap_instances")
    system.api.trigger("reap_instances", {})
    runs = system.finished_runs("reap_instances", lambda runs: bool(runs))  # its schedule may have been first
    assert {run["state"] for run in runs} == {"success"}
    reaped = [as_json(system.api.xcom("reap_instances", run["dag_run_id"], "terminate_leaked")) for run in runs]
    assert [instance for ids in reaped for instance in ids] == [leaked]
    (described,) = ec2.describe_instances(InstanceIds=[leaked])["Reservations"]
    assert described["Instances"][0]["State"]["Name"] == "terminated"
