"""The operators and triggers against the emulated cloud, over HTTP."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import boto3
import httpx
import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import TaskDeferred
from botocore.exceptions import ClientError

from sparsebench import catalog
from sparsebench.contracts import ArtifactRef, BenchRequest, Job, Launch, Progress, Step
from sparsebench.fleet import commands, instances, launching, tags
from sparsebench.fleet.failures import (
    InstanceLost,
    LostTooOften,
    NoCapacity,
    NotOffered,
    OutOfMemory,
    OverBudget,
    QuotaReached,
    Refused,
    RequestRefused,
    StepFailed,
)
from sparsebench.instance.exits import INTERRUPTED, REFUSED
from sparsebench.localcloud import LocalCloud
from sparsebench.localcloud.credentials import KEY_HEADER
from sparsebench.settings import Settings
from sparsebench.store import Store
from sparsebench_airflow import triggers
from sparsebench_airflow.on_instance import RETRY_POLICY
from sparsebench_airflow.reap import left_over, reap
from sparsebench_airflow.step import InstanceStepOperator
from sparsebench_airflow.terminate import TerminateInstancesOperator
from sparsebench_airflow.triggers import AgentOnlineTrigger, CommandTrigger

pytestmark = pytest.mark.usefixtures("localcloud")

PARAMETER = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path.as_uri())


@pytest.fixture
def job(make_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch, store: Store) -> dict[str, Any]:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "aws://")
    monkeypatch.setenv("SPARSEBENCH_STORE", store.uri)
    monkeypatch.setattr(triggers, "POLL_S", 0.2)
    image = boto3.client("ssm").get_parameter(Name=PARAMETER)["Parameter"]["Value"]
    return make_job(image=image).model_dump(mode="json")


class Kept(dict[str, Any]):
    """What a task keeps over its attempts."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


def context(kept: Kept | None = None) -> Any:
    ti = MagicMock()
    return {"ti": ti, "task_instance": ti, "task_state_store": Kept() if kept is None else kept}


def step(job: dict[str, Any], name: Step = "work") -> InstanceStepOperator:
    return InstanceStepOperator(task_id=name, job=job, step=name)


def launch(job: dict[str, Any]) -> str:
    return step(job, "launch").execute(context())


def terminate(job: dict[str, Any]) -> list[str]:
    return TerminateInstancesOperator(task_id="terminate", job=job).execute(context())


def end(instance_id: str) -> None:
    """As somebody else would."""
    boto3.client("ec2").terminate_instances(InstanceIds=[instance_id])


def noted(job: dict[str, Any]) -> dict[str, Any]:
    """The launch of its last instance, as a trigger gets it."""
    store = Store(os.environ["SPARSEBENCH_STORE"])
    return store.launches(Job.model_validate(job).run_key)[-1].model_dump(mode="json")


@pytest.fixture
def instance(job: dict[str, Any]) -> Iterator[str]:
    instance_id = launch(job)
    carried_out(step(job, "agent"))
    yield instance_id
    terminate(job)


def fired(trigger: Any) -> Any:
    """The payload of a trigger's event."""

    async def first() -> Any:
        async for event in trigger.run():
            return event.payload
        return None

    return asyncio.run(asyncio.wait_for(first(), 30))


def deferred(operator: Any, event: Any = None, kept: Kept | None = None) -> Any:
    with pytest.raises(TaskDeferred) as stopped:
        operator.execute_complete(context(kept), event)
    return stopped.value.trigger


def carried_out(operator: InstanceStepOperator, kept: Kept | None = None) -> str:
    """What a step returns once everything that it waits for has happened."""
    event = None
    while True:
        try:
            return operator.execute_complete(context(kept), event)
        except TaskDeferred as stopped:
            event = fired(stopped.trigger)


def faults(*wanted: dict[str, Any]) -> None:
    headers = {KEY_HEADER: os.environ["AWS_SECRET_ACCESS_KEY"]}
    answer = httpx.post(f"{os.environ['AWS_ENDPOINT_URL']}/localcloud/faults", json=list(wanted), headers=headers)
    assert answer.status_code == 200, answer.text


def without_faults() -> None:
    headers = {KEY_HEADER: os.environ["AWS_SECRET_ACCESS_KEY"]}
    httpx.delete(f"{os.environ['AWS_ENDPOINT_URL']}/localcloud/faults", headers=headers).raise_for_status()


@pytest.fixture(autouse=True)
def _without_faults(localcloud: LocalCloud) -> None:
    without_faults()


def refusal(code: str, **fields: Any) -> dict[str, Any]:
    return {"action": "RunInstances", "code": code, **fields}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets a test say what the steps run; preparing does nothing unless told otherwise."""

    def say(work: str, prepare: str = "true") -> None:
        texts = {"work": work, "prepare": prepare}
        monkeypatch.setattr(
            commands, "script", lambda step, job, store, until, region: texts[step].replace("JOB", job.job)
        )

    return say


# ------------------------------------------------------------------------------------------- launching


def test_a_retry_of_the_launch_finds_the_instance_of_before(job: dict[str, Any]) -> None:
    assert launch(job) == launch(job)
    assert len(terminate(job)) == 1


def test_an_instance_that_ec2_does_not_show_yet_is_not_lost(
    job: dict[str, Any], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults({"kind": "unseen", "seconds": 60, "times": 1})
    instance_id = launch(job)
    assert launch(job) == instance_id
    (launched,) = store.launches(Job.model_validate(job).run_key)
    assert not launched.lost
    with pytest.raises(ClientError, match="NotFound"):  # for the task to be tried again
        terminate(job)
    monkeypatch.setattr(launching, "UNSEEN", timedelta(0))
    assert launch(job) != instance_id  # it has not shown for too long
    terminate(job)


def test_the_wait_does_not_end_while_ec2_does_not_show_the_instance_yet(
    job: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    faults({"kind": "unseen", "seconds": 60, "times": 1}, {"kind": "agent_offline", "times": 1})
    launch(job)
    trigger = AgentOnlineTrigger(noted(job), datetime.now(UTC), "aws_default", None)
    assert fired(trigger)["status"] == "silent"
    monkeypatch.setattr(launching, "UNSEEN", timedelta(0))
    assert fired(trigger)["status"] == "gone"


def test_an_instance_that_was_launched_just_now_is_torn_down_though_its_tags_do_not_show_yet(
    job: dict[str, Any], localcloud: LocalCloud
) -> None:
    instance_id = launch(job)
    assert terminate(job) == [instance_id]


def test_a_token_that_a_failed_launch_has_used_up_gives_way_to_the_next(
    job: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = {**job, "single_thread_cores": 2}
    faults(refusal("InsufficientInstanceCapacity"))
    with pytest.raises(NoCapacity):
        launch(job)
    without_faults()
    monkeypatch.setenv("SPARSEBENCH_ONE_THREAD_PER_CORE", "1")  # somebody configures something meanwhile
    launch(job)
    assert len(terminate(job)) == 1


def test_a_launch_whose_answer_was_lost_is_repeated_as_it_was(job: dict[str, Any]) -> None:
    faults({"kind": "lost_answer", "action": "RunInstances", "times": 1})
    with pytest.raises(ClientError):
        launch(job)
    time.sleep(1.1)  # a tag with a moment would differ now
    launch(job)
    wait_for_tags(job)
    assert len(terminate(job)) == 1


def wait_for_tags(job: dict[str, Any]) -> None:
    """Until EC2 finds the job's instance by its tags."""
    uri, ec2 = os.environ["SPARSEBENCH_STORE"], boto3.client("ec2")
    deadline = time.monotonic() + 15
    while not instances.find(ec2, uri, job["job"]):
        assert time.monotonic() < deadline, "it is not found"
        time.sleep(0.05)


def test_an_instance_whose_note_was_lost_is_found_and_noted(job: dict[str, Any], store: Store, tmp_path: Path) -> None:
    instance_id = launch(job)
    shutil.rmtree(tmp_path / "launches")
    wait_for_tags(job)
    assert launch(job) == instance_id
    (noted,) = store.launches(Job.model_validate(job).run_key)
    assert (noted.instance_id, noted.job) == (instance_id, job["job"])
    terminate(job)


def test_after_its_end_a_retry_launches_another(job: dict[str, Any], store: Store) -> None:
    first = launch(job)
    end(first)
    second = launch(job)
    assert second != first
    noted = {launched.instance_id: launched.lost for launched in store.launches(Job.model_validate(job).run_key)}
    assert noted == {first: True, second: False}
    terminate(job)


def test_what_ended_before_it_was_noted_is_not_taken_for_the_launch(job: dict[str, Any], tmp_path: Path) -> None:
    first = launch(job)
    end(first)
    shutil.rmtree(tmp_path / "launches")
    assert launch(job) != first  # though the first token gives the first instance again
    terminate(job)


def test_too_many_lost_instances_are_the_end(job: dict[str, Any]) -> None:
    for _ in range(launching.MAX_LOST):
        end(launch(job))
    with pytest.raises(LostTooOften):
        launch(job)


def test_one_zone_after_another_is_tried(job: dict[str, Any], store: Store) -> None:
    faults(
        refusal("InsufficientInstanceCapacity", availability_zone="us-east-1a"),
        refusal("Unsupported", availability_zone="us-east-1b"),
    )
    launch(job)
    (noted,) = store.launches(Job.model_validate(job).run_key)
    assert noted.zone == "us-east-1c"
    terminate(job)


@pytest.mark.parametrize(
    ("code", "error", "reason"),
    [
        ("InsufficientInstanceCapacity", NoCapacity, "capacity"),
        ("Unsupported", NotOffered, "unsupported"),
    ],
)
def test_what_no_zone_has_is_said_and_noted(
    job: dict[str, Any], store: Store, code: str, error: type[Exception], reason: str
) -> None:
    faults(refusal(code))
    with pytest.raises(error, match=code):
        launch(job)
    noted = store.failure(job["job"])
    assert noted
    assert (noted.step, noted.reason) == ("launch", reason)


@pytest.mark.parametrize(
    ("code", "message", "advice"),
    [
        (
            "UnauthorizedOperation",
            "User: a is not authorized to perform: ec2:RunInstances on resource: arn:aws:ec2:x because of no policy",
            "may not ec2:RunInstances on arn:aws:ec2:x",
        ),
        ("InvalidAMIID.NotFound", "The image id '[ami-1]' does not exist", "SPARSEBENCH_IMAGE"),
        ("InvalidSubnetID.NotFound", "The subnet ID 'subnet-1' does not exist", "SPARSEBENCH_SUBNETS"),
        ("InvalidParameterValue", "Value (x) for parameter iamInstanceProfile.name is invalid", "iamInstanceProfile"),
    ],
)
def test_what_no_retry_mends_says_at_once_what_to_change(
    job: dict[str, Any], store: Store, code: str, message: str, advice: str
) -> None:
    faults(refusal(code, message=message))
    with pytest.raises(Refused, match=advice) as refused:
        launch(job)
    noted = store.failure(job["job"])
    assert noted
    assert advice in noted.detail
    assert RETRY_POLICY.evaluate(refused.value, 1, 5).action is RetryAction.FAIL


def arm_job(job: dict[str, Any]) -> dict[str, Any]:
    image = boto3.client("ssm").get_parameter(Name=Settings().arm_image)["Parameter"]["Value"]
    return {**job, "instance_type": "c8g.xlarge", "architecture": "arm64", "image": image}


def disk_of(instance_id: str) -> str:
    """The name under which the disk was launched."""
    (described,) = boto3.client("ec2").describe_instances(InstanceIds=[instance_id])["Reservations"]
    (mapping,) = described["Instances"][0]["BlockDeviceMappings"]
    return str(mapping["DeviceName"])


def test_a_disk_is_launched_under_the_name_of_its_images_root_device(job: dict[str, Any]) -> None:
    assert disk_of(launch(job)) == "/dev/xvda"
    assert disk_of(launch({**arm_job(job), "job": "arm"})) == "/dev/sda1"


def test_who_may_not_look_at_images_launches_the_architectures_own(job: dict[str, Any]) -> None:
    faults({"service": "ec2", "action": "DescribeImages", "code": "UnauthorizedOperation"})
    assert disk_of(launch({**arm_job(job), "job": "arm"})) == "/dev/sda1"


def test_a_disk_of_which_the_name_is_not_known_yet_is_not_launched(job: dict[str, Any]) -> None:
    """As a second disk it would leave the first too small."""
    faults({"service": "ec2", "action": "DescribeImages", "code": "RequestLimitExceeded"})
    with pytest.raises(ClientError, match="RequestLimitExceeded"):
        launch(arm_job(job))


def test_spot_is_bought_where_it_is_wanted_and_on_demand_where_there_is_none(job: dict[str, Any], store: Store) -> None:
    wanted = {**job, "market": "spot"}
    launch(wanted)
    terminate(wanted)
    faults(refusal("InsufficientInstanceCapacity", market="spot"))
    launch(wanted)
    terminate(wanted)
    assert [launched.market for launched in store.launches(Job.model_validate(job).run_key)] == ["spot", "on_demand"]


def test_a_full_account_is_waited_for(job: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    faults(refusal("VcpuLimitExceeded", times=1))
    with pytest.raises(TaskDeferred) as stopped:
        launch(job)
    assert stopped.value.method_name == "execute_complete"
    assert stopped.value.kwargs
    assert step(job, "launch").execute_complete(context(), None, **stopped.value.kwargs)
    terminate(job)


def test_a_full_account_is_not_waited_for_without_end(job: dict[str, Any], store: Store) -> None:
    faults(refusal("VcpuLimitExceeded"))
    with pytest.raises(QuotaReached):
        step(job, "launch").execute_complete(
            context(), None, waiting_since=(datetime.now(UTC) - timedelta(hours=7)).isoformat()
        )
    noted = store.failure(job["job"])
    assert noted
    assert noted.reason == "quota"


def test_no_more_run_at_a_time_than_may(job: dict[str, Any]) -> None:
    first, other = {**job, "max_live": 1}, {**job, "max_live": 1, "job": "another-0123456789"}
    launch(first)
    with pytest.raises(TaskDeferred):
        launch(other)
    terminate(first)
    launch(other)
    assert len(terminate(other)) == 1


def test_what_may_still_be_spent_is_kept_free(job: dict[str, Any]) -> None:
    """An instance may cost 0.20 USD in its hour."""
    priced = {**job, "usd_per_hour": 0.2, "budget_usd": 0.3}
    other = {**priced, "job": "another-0123456789"}
    launch(priced)
    with pytest.raises(TaskDeferred):  # what the first may still cost is all that is left
        launch(other)
    terminate(priced)
    launch(other)
    terminate(other)


def test_an_instance_that_the_budget_cannot_pay_is_not_launched(job: dict[str, Any], store: Store) -> None:
    with pytest.raises(OverBudget):
        launch({**job, "usd_per_hour": 0.2, "budget_usd": 0.1})
    assert terminate(job) == []
    noted = store.failure(job["job"])
    assert noted
    assert noted.reason == "over_budget"


def test_teardown_finds_the_instance_by_tag_and_no_other_jobs(job: dict[str, Any], store: Store) -> None:
    other = launch({**job, "job": "another-0123456789"})
    own = launch(job)
    assert terminate(job) == [own]
    assert terminate(job) == []
    ended = {
        launched.instance_id: launched.ended_at is not None
        for launched in store.launches(Job.model_validate(job).run_key)
    }
    assert ended == {own: True, other: False}
    assert terminate({**job, "job": "another-0123456789"}) == [other]


# ------------------------------------------------------------------------------------------- the agent


def test_waiting_for_the_agent_ends_with_the_instance(job: dict[str, Any]) -> None:
    faults({"kind": "agent_offline", "times": 1})
    instance_id = launch(job)
    trigger = deferred(step(job, "agent"))
    end(instance_id)
    event = fired(trigger)
    assert event["status"] == "gone"
    with pytest.raises(InstanceLost, match=instance_id):
        step(job, "agent").execute_complete(context(), event)
    assert carried_out(step(job, "agent")) != instance_id  # a retry is on another one
    terminate(job)


def test_an_instance_whose_agent_is_never_online_is_given_up(job: dict[str, Any]) -> None:
    faults({"kind": "agent_offline", "times": 1})
    launch(job)
    event = fired(AgentOnlineTrigger(noted(job), datetime.now(UTC), "aws_default", None))
    assert event["status"] == "silent"
    with pytest.raises(InstanceLost, match="that its agent is online"):
        step(job, "agent").execute_complete(context(), event)
    assert terminate(job) == []  # it has been ended


def test_an_online_agent_is_not_waited_for(job: dict[str, Any], instance: str) -> None:
    assert step(job, "agent").execute(context()) == instance


# ------------------------------------------------------------------------------------------- commands


def test_work_prepares_first_and_returns_when_it_is_done(job: dict[str, Any], instance: str, script: Any) -> None:
    script("cat prepared; echo worked on $HOME", "echo prepared > prepared")
    assert carried_out(step(job)) == instance


def test_what_is_prepared_is_not_prepared_again(job: dict[str, Any], instance: str, script: Any) -> None:
    script("test $(wc -l < times) = 1", "echo once >> times")
    carried_out(step(job, "prepare"))
    carried_out(step(job))


def test_a_failed_command_fails_the_task_with_its_last_line(
    job: dict[str, Any], instance: str, script: Any, store: Store
) -> None:
    script("echo first >&2; echo no space left >&2; exit 3")
    with pytest.raises(StepFailed, match="exit code 3: no space left"):
        carried_out(step(job))
    noted = store.failure(job["job"])
    assert noted
    assert (noted.step, noted.reason) == ("work", "failed")


def test_work_that_can_never_be_done_is_not_tried_again(job: dict[str, Any], instance: str, script: Any) -> None:
    script(f"echo error: not an ONNX file >&2; exit {REFUSED}")
    with pytest.raises(RequestRefused, match="error: not an ONNX file") as refused:
        carried_out(step(job))
    assert RETRY_POLICY.evaluate(refused.value, 1, 5).action is RetryAction.FAIL


def test_a_retry_waits_for_the_command_that_still_runs(
    job: dict[str, Any], instance: str, script: Any, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    script(f"until test -e {go}; do sleep 0.1; done; echo once >> runs; cat runs")
    carried_out(step(job, "prepare"))
    first, second = deferred(step(job)), deferred(step(job))
    go.touch()
    assert first.command_id == second.command_id
    assert fired(second)["stdout"].split() == ["once"]


def test_a_retry_after_the_command_has_failed_sends_it_again(job: dict[str, Any], instance: str, script: Any) -> None:
    script("test -e tried && exit; touch tried; exit 1")
    with pytest.raises(StepFailed):
        carried_out(step(job))
    carried_out(step(job))


def test_a_worker_that_dies_after_success_does_not_repeat_it(job: dict[str, Any], instance: str, script: Any) -> None:
    script("echo once >> runs; test $(wc -l < runs) = 1")
    carried_out(step(job))
    carried_out(step(job))  # nothing was kept of the first


def test_clearing_work_that_was_done_does_it_again_under_another_name(
    job: dict[str, Any], instance: str, script: Any, store: Store, request_of: Callable[[str], BenchRequest]
) -> None:
    job = {**job, "request": store.put_bench_request(request_of(job["job"]))}
    script("echo JOB >> names")
    kept = Kept()
    carried_out(step(job), kept)
    carried_out(step(job), kept)
    assert kept["done"]["times"] == 2
    script("cat names >&2; exit 1")
    with pytest.raises(StepFailed, match=rf"{job['job']}\.2"):
        carried_out(step(job), kept)
    assert kept["done"]["times"] == 2  # a retry goes on with the third


@pytest.fixture
def request_of() -> Callable[[str], BenchRequest]:
    def made(name: str) -> BenchRequest:
        return BenchRequest(
            job=name,
            night="2026-11-24",
            manifest="0" * 64,
            instance_type="m5.xlarge",
            protocol=catalog.protocols()["quick"],
            models=(ArtifactRef(network="vgg19", variant="base", artifact="1" * 64, input_shape=(3, 224, 224)),),
            engines=("onnxruntime",),
            seed=1,
        )

    return made


def test_an_instance_that_is_told_to_go_is_left_and_another_goes_on(
    job: dict[str, Any], instance: str, script: Any
) -> None:
    script(f"exit {INTERRUPTED}")
    with pytest.raises(InstanceLost, match="taken away"):
        carried_out(step(job))
    script("true")
    assert carried_out(step(job)) != instance


def test_the_end_of_the_instance_ends_the_wait_and_a_retry_is_on_another(
    job: dict[str, Any], instance: str, script: Any
) -> None:
    script("sleep 60")
    carried_out(step(job, "prepare"))
    trigger = deferred(step(job))
    end(instance)
    event = fired(trigger)
    assert event["status"] == "gone"
    with pytest.raises(InstanceLost):
        step(job).execute_complete(context(), event)
    script("true")
    assert carried_out(step(job)) != instance


def test_an_end_that_ssm_does_not_report_is_seen_in_the_store(
    job: dict[str, Any], instance: str, script: Any, store: Store
) -> None:
    script("sleep 60")
    carried_out(step(job, "prepare"))
    trigger = deferred(step(job))
    long_ago = datetime.now(UTC) - timedelta(minutes=5)
    store.put_progress(
        Progress(job=job["job"], what="done", done=1, total=1, started_at=long_ago, updated_at=long_ago, finished=True)
    )
    event = fired(trigger)
    assert event["status"] == "finished"
    assert step(job).execute_complete(context(), event) == instance


def test_a_command_that_is_not_delivered_is_sent_again_and_then_the_instance_is_given_up(
    job: dict[str, Any], instance: str, script: Any
) -> None:
    """SSM itself would wait for as long as the command may run."""
    script("true")
    faults({"kind": "lost_command", "times": 2})

    def undelivered(event: Any = None) -> Any:
        trigger = deferred(step(job, "prepare"), event)
        assert trigger.deliver_by > datetime.now(UTC) + timedelta(minutes=5)
        trigger.deliver_by = datetime.now(UTC)
        return fired(trigger)

    first = undelivered()
    assert first["status"] == "undelivered"
    second = undelivered(first)
    assert second["status"] == "undelivered"
    listed = boto3.client("ssm").list_commands(InstanceId=instance)["Commands"]
    assert [command["Status"] for command in listed] == ["Cancelled", "Cancelled"]
    with pytest.raises(InstanceLost, match="takes no commands"):
        step(job, "prepare").execute_complete(context(), second)
    assert carried_out(step(job, "agent")) != instance


def test_a_job_that_was_killed_for_want_of_memory_is_not_tried_again(
    job: dict[str, Any], instance: str, script: Any
) -> None:
    script("exit 137")
    with pytest.raises(OutOfMemory):
        carried_out(step(job))
    assert RETRY_POLICY.evaluate(OutOfMemory("so it is"), 1, 5).action is RetryAction.FAIL


def test_an_aws_that_does_not_answer_is_waited_for(job: dict[str, Any], instance: str, script: Any) -> None:
    script("true")
    carried_out(step(job, "prepare"))
    trigger = deferred(step(job))
    faults({"action": "GetCommandInvocation", "code": "ThrottlingException", "times": 2})
    assert fired(trigger)["status"] == "Success"


def test_killing_the_task_cancels_the_command(job: dict[str, Any], instance: str, script: Any) -> None:
    script("sleep 60")
    carried_out(step(job, "prepare"))
    trigger = deferred(step(job))
    time.sleep(0.5)
    asyncio.run(trigger.on_kill())
    assert fired(trigger)["status"] == "Cancelled"


def test_a_trigger_survives_serialisation() -> None:
    until = datetime(2026, 1, 1, tzinfo=UTC)
    launched = Launch(
        instance_id="i-1",
        instance_type="m5.xlarge",
        job="a",
        zone="us-east-1a",
        market="on_demand",
        usd_per_hour=None,
        launched_at=until,
        ends_by=until,
    ).model_dump(mode="json")
    path, arguments = CommandTrigger("c-1", until, "work", "a", "r", launched, until, "aws_default", None).serialize()
    assert path == "sparsebench_airflow.triggers.CommandTrigger"
    assert CommandTrigger(**arguments).serialize() == (path, arguments)


# ------------------------------------------------------------------------------------------- left over


def test_the_reaper_ends_what_outlived_its_run_and_nothing_else(job: dict[str, Any], store: Store) -> None:
    over = {**job, "job": "ended-0123456789", "run_id": "over"}
    ended = launch(over)
    active = launch(job)
    wait_for_tags(over)
    wait_for_tags(job)
    ti = MagicMock()
    ti.get_dr_count.side_effect = lambda dag_id, run_ids, states: int((dag_id, run_ids) == ("benchmark_sweep", ["r1"]))
    assert [line.split(":")[0] for line in left_over(ti)] == [ended]
    assert reap(ti) == [ended]
    assert left_over(ti) == []
    (noted,) = store.launches(Job.model_validate(over).run_key)
    assert noted.ended_at
    assert terminate(job) == [active]


def test_the_reaper_ends_what_has_expired_though_its_run_goes_on(
    job: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    expired = launch(job)
    wait_for_tags(job)
    ti = MagicMock()
    ti.get_dr_count.return_value = 1
    assert reap(ti) == []
    monkeypatch.setattr(instances.Instance, "has_expired", lambda self, now: self.expires < now + timedelta(hours=2))
    assert reap(ti) == [expired]


def test_two_installations_in_one_account_leave_each_other_alone(
    job: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The other one has another store; what it launches has the same name, and its run is unknown here."""
    here, there = os.environ["SPARSEBENCH_STORE"], (tmp_path / "there").as_uri()
    monkeypatch.setenv("SPARSEBENCH_STORE", there)
    other = launch(job)
    wait_for_tags(job)
    volume = boto3.client("ec2").create_volume(
        AvailabilityZone="us-east-1a",
        Size=1,
        TagSpecifications=[
            {
                "ResourceType": "volume",
                "Tags": [{"Key": "sparsebench:deployment", "Value": tags.deployment(there)}],
            }
        ],
    )["VolumeId"]
    ti = MagicMock()
    ti.get_dr_count.return_value = 0
    assert len(left_over(ti)) == 2

    monkeypatch.setenv("SPARSEBENCH_STORE", here)
    assert left_over(ti) == []
    own = launch({**job, "max_live": 1})
    assert own != other
    wait_for_tags(job)
    assert reap(ti) == [own]
    assert terminate(job) == []
    assert (
        boto3.client("ec2").describe_instances(InstanceIds=[other])["Reservations"][0]["Instances"][0]["State"]["Name"]
        == "running"
    )

    monkeypatch.setenv("SPARSEBENCH_STORE", there)
    assert terminate(job) == [other]
    boto3.client("ec2").delete_volume(VolumeId=volume)


def test_a_volume_that_its_instance_left_behind_is_found(job: dict[str, Any]) -> None:
    ec2 = boto3.client("ec2")
    mark = {"Key": tags.DEPLOYMENT, "Value": tags.deployment(os.environ["SPARSEBENCH_STORE"])}
    tag: Any = [{"ResourceType": "volume", "Tags": [mark]}]
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, TagSpecifications=tag)["VolumeId"]
    assert left_over(MagicMock()) == [f"{volume}: its instance has ended"]
    ec2.delete_volume(VolumeId=volume)
