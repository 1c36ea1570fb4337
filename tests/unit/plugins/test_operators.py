"""The operators and triggers against the emulated cloud, over HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import boto3
import pytest
from airflow.sdk.exceptions import TaskDeferred

from fleet import triggers
from fleet.agent import AgentOnlineSensor
from fleet.command import CommandFailed, RunOnInstanceOperator
from fleet.launch import LaunchInstanceOperator
from fleet.reap import reap
from fleet.terminate import TerminateInstancesOperator
from fleet.triggers import AgentOnlineTrigger, CommandTrigger
from sparsebench.contracts import Job
from sparsebench.fleet import commands, instances

pytestmark = pytest.mark.usefixtures("localcloud")

PARAMETER = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"


@pytest.fixture
def job(make_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "aws://")
    monkeypatch.setenv("SPARSEBENCH_STORE", tmp_path.as_uri())
    monkeypatch.setattr(triggers, "POLL_S", 0.2)
    image = boto3.client("ssm").get_parameter(Name=PARAMETER)["Parameter"]["Value"]
    return make_job(image=image).model_dump(mode="json")


def context(attempt: int = 1) -> Any:
    ti = MagicMock()
    ti.try_number = attempt
    return {"ti": ti, "task_instance": ti}


def launch(job: dict[str, Any], attempt: int = 1) -> str:
    return LaunchInstanceOperator(task_id="launch", job=job).execute(context(attempt))


def terminate(job: dict[str, Any]) -> list[str]:
    return TerminateInstancesOperator(task_id="terminate", job=job).execute(context())


@pytest.fixture
def instance(job: dict[str, Any]) -> Iterator[str]:
    instance_id = launch(job)
    assert fired(AgentOnlineTrigger(instance_id, "aws_default", None)) == {"status": "online"}
    yield instance_id
    terminate(job)


def fired(trigger: Any) -> Any:
    """The payload of a trigger's event."""

    async def first() -> Any:
        async for event in trigger.run():
            return event.payload
        return None

    return asyncio.run(asyncio.wait_for(first(), 30))


def deferred(operator: Any) -> Any:
    with pytest.raises(TaskDeferred) as stopped:
        operator.execute(context())
    return stopped.value.trigger


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets a test say what the step runs."""

    def say(text: str) -> None:
        monkeypatch.setattr(commands, "script", lambda step, job, store: text)

    return say


def run(job: dict[str, Any], instance_id: str) -> RunOnInstanceOperator:
    return RunOnInstanceOperator(task_id="work", job=job, instance_id=instance_id, step="work")


def test_a_retry_of_the_launch_finds_the_instance_of_before(job: dict[str, Any]) -> None:
    assert launch(job) == launch(job, attempt=2)
    assert len(terminate(job)) == 1


def test_after_its_end_a_retry_launches_another(job: dict[str, Any]) -> None:
    first = launch(job)
    terminate(job)
    assert launch(job, attempt=2) != first


def test_teardown_finds_the_instance_by_tag_and_no_other_jobs(job: dict[str, Any]) -> None:
    other = launch({**job, "job": "another-0123456789"})
    mine = launch(job)
    assert terminate(job) == [mine]
    assert terminate(job) == []
    assert terminate({**job, "job": "another-0123456789"}) == [other]


def test_waiting_for_the_agent_ends_with_the_instance(job: dict[str, Any]) -> None:
    instance_id = launch(job)
    terminate(job)
    event = fired(AgentOnlineTrigger(instance_id, "aws_default", None))
    assert event["status"] == "gone"
    with pytest.raises(RuntimeError, match="before its agent was online"):
        AgentOnlineSensor(task_id="agent", instance_id=instance_id).execute_complete(context(), event)


def test_an_online_agent_is_not_waited_for(instance: str) -> None:
    AgentOnlineSensor(task_id="agent", instance_id=instance).execute(context())


def test_a_command_runs_on_the_instance(job: dict[str, Any], instance: str, script: Any) -> None:
    script("echo hello from $HOME")
    event = fired(deferred(run(job, instance)))
    assert event["status"] == "Success"
    assert instance in event["stdout"]
    run(job, instance).execute_complete(context(), event)


def test_a_failed_command_fails_the_task_with_its_last_line(job: dict[str, Any], instance: str, script: Any) -> None:
    script("echo first >&2; echo no space left >&2; exit 3")
    with pytest.raises(CommandFailed, match="exit code 3: no space left"):
        run(job, instance).execute_complete(context(), fired(deferred(run(job, instance))))


def test_a_retry_waits_for_the_command_that_still_runs(job: dict[str, Any], instance: str, script: Any) -> None:
    script("sleep 3; echo once >> runs; cat runs")
    first, second = deferred(run(job, instance)), deferred(run(job, instance))
    assert first.command_id == second.command_id
    assert fired(second)["stdout"].split() == ["once"]


def test_a_retry_after_the_command_has_ended_sends_it_again(job: dict[str, Any], instance: str, script: Any) -> None:
    script("true")
    first = deferred(run(job, instance))
    fired(first)
    assert deferred(run(job, instance)).command_id != first.command_id


def test_the_end_of_the_instance_ends_the_wait(job: dict[str, Any], instance: str, script: Any) -> None:
    script("sleep 60")
    trigger = deferred(run(job, instance))
    terminate(job)
    event = fired(trigger)
    assert event["status"] == "gone"
    with pytest.raises(CommandFailed, match="ended before its command did"):
        run(job, instance).execute_complete(context(), event)


def test_killing_the_task_cancels_the_command(job: dict[str, Any], instance: str, script: Any) -> None:
    script("sleep 60")
    trigger = deferred(run(job, instance))
    time.sleep(0.5)
    asyncio.run(trigger.on_kill())
    assert fired(trigger)["status"] == "Cancelled"


def test_a_trigger_survives_serialisation(job: dict[str, Any]) -> None:
    path, arguments = CommandTrigger("c-1", "i-1", "aws_default", None).serialize()
    assert path == "fleet.triggers.CommandTrigger"
    assert CommandTrigger(**arguments).serialize() == (path, arguments)


def test_the_reaper_ends_what_outlived_its_run_and_nothing_else(job: dict[str, Any]) -> None:
    ended = launch({**job, "job": "ended-0123456789", "run_id": "over"})
    active = launch(job)
    ti = MagicMock()
    ti.get_dr_count.side_effect = lambda dag_id, run_ids, states: int((dag_id, run_ids) == ("benchmark_sweep", ["r1"]))
    assert reap(ti) == [ended]
    assert terminate(job) == [active]


def test_the_reaper_ends_what_has_expired_though_its_run_goes_on(
    job: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    expired = launch(job)
    ti = MagicMock()
    ti.get_dr_count.return_value = 1
    assert reap(ti) == []
    monkeypatch.setattr(instances.Instance, "has_expired", lambda self, now: self.expires < now + timedelta(hours=2))
    assert reap(ti) == [expired]
