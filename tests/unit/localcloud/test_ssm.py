"""SSM: commands really run, and what is said of them is true."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import boto3
import pytest
from airflow.providers.amazon.aws.operators.ssm import SsmRunCommandOperator
from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError

from sparsebench.localcloud import LocalCloud

from .conftest import User, processes_of, wait_until


def test_an_agent_is_offline_at_first_then_online_and_gone_with_its_instance(user: User) -> None:
    instance_id = user.run_instances()[0]["InstanceId"]
    assert user.agent(instance_id) is None
    with pytest.raises(ClientError, match="InvalidInstanceId"):
        user.send(instance_id, "true")

    wait_until(lambda: user.agent(instance_id) == "Online")

    user.ec2.terminate_instances(InstanceIds=[instance_id])
    assert user.agent(instance_id) is None
    with pytest.raises(ClientError, match="InvalidInstanceId"):
        user.send(instance_id, "true")


def test_an_instance_that_does_not_exist_takes_no_command(user: User) -> None:
    with pytest.raises(ClientError, match="InvalidInstanceId"):
        user.send("i-0123456789abcdef0", "true")


def test_commands_run_as_one_script(user: User) -> None:
    result = user.run(user.launch(), "word=hello", "echo $word", "echo oops >&2")

    assert (result["Status"], result["StatusDetails"], result["ResponseCode"]) == ("Success", "Success", 0)
    assert (result["StandardOutputContent"], result["StandardErrorContent"]) == ("hello\n", "oops\n")
    assert result["ExecutionStartDateTime"] <= result["ExecutionEndDateTime"]


def test_a_script_chooses_its_interpreter(user: User) -> None:
    assert user.run(user.launch(), "#!/bin/bash", "echo ${BASH_VERSINFO[0]}")["StandardOutputContent"] > "3"


def test_the_exit_code_is_the_scripts(user: User) -> None:
    result = user.run(user.launch(), "exit 7")

    assert (result["Status"], result["ResponseCode"]) == ("Failed", 7)


def test_a_command_that_died_of_a_signal_failed(user: User) -> None:
    result = user.run(user.launch(), "kill -SEGV $$")

    assert (result["Status"], result["ResponseCode"]) == ("Failed", 139)


def test_a_working_directory_is_used_and_must_exist(user: User) -> None:
    instance_id = user.launch()

    assert user.run(instance_id, "pwd", workingDirectory="/usr")["StandardOutputContent"] == "/usr\n"
    result = user.run(instance_id, "pwd", workingDirectory="/nowhere")
    assert (result["Status"], result["ResponseCode"]) == ("Failed", 1)
    assert "/nowhere" in result["StandardErrorContent"]


def test_output_is_cut_where_ssm_cuts_it_and_kept_whole_in_the_log(user: User, localcloud: LocalCloud) -> None:
    instance_id = user.launch()
    script = "#!/usr/bin/env python3.11", "import sys; print('é' * 30_000, end=''); print('!' * 9_000, file=sys.stderr)"

    result = user.run(instance_id, *script)

    assert result["StandardOutputContent"] == "é" * 24_000
    assert result["StandardErrorContent"] == "!" * 8_000
    log = localcloud.root / "logs" / instance_id / result["CommandId"] / "stdout"
    assert log.read_text() == "é" * 30_000


def test_nothing_is_shown_before_the_end_except_in_the_log(user: User, localcloud: LocalCloud) -> None:
    instance_id = user.launch()
    command_id = user.send(instance_id, "echo begun", "sleep 60")
    log = localcloud.root / "instances" / instance_id / "commands" / command_id / "stdout"
    wait_until(lambda: log.is_file() and log.read_text() == "begun\n")

    running = user.invocation(command_id, instance_id)

    assert (running["Status"], running["ResponseCode"], running["StandardOutputContent"]) == ("InProgress", -1, "")


def test_a_command_that_takes_too_long_is_ended(user: User) -> None:
    instance_id = user.launch()

    result = user.run(instance_id, "echo begun", "sleep 60", executionTimeout="1")

    assert (result["Status"], result["StatusDetails"]) == ("TimedOut", "ExecutionTimedOut")
    assert (result["ResponseCode"], result["StandardOutputContent"]) == (137, "begun\n")
    assert not processes_of(instance_id)


@pytest.mark.parametrize("stubborn", ["", "trap '' TERM"])
def test_cancel_ends_the_whole_process_group(user: User, stubborn: str) -> None:
    instance_id = user.launch()
    command_id = user.send(instance_id, "#!/bin/bash", stubborn, "sleep 61 &", "sleep 62")
    wait_until(lambda: len(processes_of(instance_id)) >= 3)

    user.ssm.cancel_command(CommandId=command_id)

    assert user.ended(command_id, instance_id)["Status"] == "Cancelled"
    assert not processes_of(instance_id)


def test_a_command_that_waits_can_be_cancelled_and_never_runs(user: User, localcloud: LocalCloud) -> None:
    instance_id = user.launch()
    first = user.send(instance_id, "sleep 60")
    user.started(first, instance_id)
    waiting = user.send(instance_id, "true")
    assert user.invocation(waiting, instance_id)["Status"] == "InProgress"  # on EC2 nothing waits for its turn

    for command_id in (waiting, first):
        user.ssm.cancel_command(CommandId=command_id)

    assert user.invocation(waiting, instance_id)["Status"] == "Cancelled"
    user.run(instance_id, "true")  # what was queued before it has had its turn
    assert not (localcloud.root / "logs" / instance_id / waiting).exists()


def test_a_command_that_has_ended_cannot_be_cancelled(user: User) -> None:
    instance_id = user.launch()
    command_id = user.run(instance_id, "true")["CommandId"]

    user.ssm.cancel_command(CommandId=command_id)

    assert user.invocation(command_id, instance_id)["Status"] == "Success"


def test_two_commands_never_overlap_on_one_host_whatever_instance_they_are_on(user: User) -> None:
    instances = [user.launch(), user.launch()]
    script = "python3.11 -c 'import time; print(time.time()); time.sleep(0.2); print(time.time())'"
    sent = [(user.send(instance, script), instance) for instance in instances * 2]

    spans = [
        [float(moment) for moment in user.ended(*invocation)["StandardOutputContent"].split()] for invocation in sent
    ]

    assert all(before[1] <= after[0] for before, after in pairwise(spans)), spans


def test_a_background_process_outlives_its_command(user: User) -> None:
    instance_id = user.launch()

    assert user.run(instance_id, "nohup sleep 63 >/dev/null 2>&1 &")["Status"] == "Success"

    assert [process.name() for process in processes_of(instance_id)] == ["sleep"]


def test_nobody_reports_the_end_of_a_command_whose_instance_is_gone(user: User) -> None:
    instance_id = user.launch()
    ssm = boto3.client("ssm", config=BotoConfig(parameter_validation=False))
    sent = ssm.send_command(
        InstanceIds=[instance_id],
        DocumentName="AWS-RunShellScript",
        TimeoutSeconds=1,
        Parameters={"commands": ["sleep 60"], "executionTimeout": ["2"]},
    )
    command_id = sent["Command"]["CommandId"]
    user.started(command_id, instance_id)

    user.ec2.terminate_instances(InstanceIds=[instance_id])

    assert user.invocation(command_id, instance_id)["Status"] == "InProgress"
    result = user.ended(command_id, instance_id)
    assert (result["Status"], result["StatusDetails"]) == ("TimedOut", "DeliveryTimedOut")


def test_to_the_agent_137_is_a_time_out(user: User) -> None:
    result = user.run(user.launch(), "exit 137")

    assert (result["Status"], result["StatusDetails"], result["ResponseCode"]) == (
        "TimedOut",
        "ExecutionTimedOut",
        137,
    )


def test_to_the_agent_194_is_a_reboot_after_which_it_runs_the_script_again(user: User) -> None:
    result = user.run(user.launch(), "test -e booted && exit", "touch booted", "exit 194")

    assert result["Status"] == "Success"


def test_a_command_that_is_cancelled_is_killed_at_once(user: User, localcloud: LocalCloud) -> None:
    instance_id = user.launch()
    log = localcloud.root / "instances" / instance_id / "usr/bin/log"
    command_id = user.send(instance_id, "trap 'echo told > log' TERM", "echo begun > log", "sleep 60")
    wait_until(log.is_file)

    user.ssm.cancel_command(CommandId=command_id)

    assert user.ended(command_id, instance_id)["Status"] == "Cancelled"
    assert log.read_text() == "begun\n"


def test_lists_tell_what_ran(user: User) -> None:
    instance_id = user.launch()
    good = user.run(instance_id, "echo fine")["CommandId"]
    bad = user.run(instance_id, "echo broken >&2; exit 3")["CommandId"]

    commands = user.ssm.list_commands()["Commands"]
    assert [(command["CommandId"], command["Status"]) for command in commands] == [(bad, "Failed"), (good, "Success")]
    failed = user.ssm.list_commands(Filters=[{"key": "Status", "value": "Failed"}])["Commands"]
    assert [command["CommandId"] for command in failed] == [bad]

    invocation = user.ssm.list_command_invocations(CommandId=bad, Details=True)["CommandInvocations"][0]
    plugin = invocation["CommandPlugins"][0]
    assert (invocation["InstanceId"], plugin["Status"], plugin["ResponseCode"]) == (instance_id, "Failed", 3)
    assert "broken" in plugin["Output"]
    assert len(user.ssm.list_command_invocations(InstanceId=instance_id, MaxResults=1)["CommandInvocations"]) == 1
    paginator = user.ssm.get_paginator("list_command_invocations")
    pages = paginator.paginate(InstanceId=instance_id, PaginationConfig={"PageSize": 1})
    assert [page["CommandInvocations"][0]["CommandId"] for page in pages] == [bad, good]


def test_a_command_goes_to_instances_by_tag(user: User) -> None:
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "role", "Value": "bench"}]}]
    instance_id = user.launch(TagSpecifications=tags)
    user.launch()

    command = user.ssm.send_command(
        Targets=[{"Key": "tag:role", "Values": ["bench"]}],
        DocumentName="AWS-RunShellScript",
        Parameters={"commands": ["true"]},
    )["Command"]

    assert command["InstanceIds"] == [instance_id]
    assert user.ended(command["CommandId"], instance_id)["Status"] == "Success"


@pytest.mark.parametrize(
    ("document", "parameters", "code"),
    [
        ("AWS-RunPowerShellScript", {"commands": ["true"]}, "InvalidDocument"),
        ("AWS-RunShellScript", {}, "InvalidParameters"),
        ("AWS-RunShellScript", {"commands": ["true"], "folder": ["/"]}, "InvalidParameters"),
        ("AWS-RunShellScript", {"commands": ["true"], "executionTimeout": ["soon"]}, "InvalidParameters"),
        ("AWS-RunShellScript", {"commands": ["true"], "executionTimeout": ["172801"]}, "InvalidParameters"),
    ],
)
def test_what_cannot_be_run_is_refused(user: User, document: str, parameters: Any, code: str) -> None:
    with pytest.raises(ClientError, match=code):
        user.ssm.send_command(InstanceIds=[user.launch()], DocumentName=document, Parameters=parameters)


def test_a_command_that_was_never_sent_is_not_known(user: User) -> None:
    instance_id = user.launch()
    unknown = "00000000-0000-0000-0000-000000000000"

    with pytest.raises(ClientError, match="InvocationDoesNotExist"):
        user.ssm.get_command_invocation(CommandId=unknown, InstanceId=instance_id)
    with pytest.raises(ClientError, match="InvalidCommandId"):
        user.ssm.cancel_command(CommandId=unknown)
    with pytest.raises(ClientError, match="InvalidCommandId"):
        user.ssm.list_command_invocations(CommandId=unknown)


def test_airflows_operator_runs_a_command_and_waits_for_it(user: User) -> None:
    instance_id = user.launch()
    operator = SsmRunCommandOperator(
        task_id="run",
        document_name="AWS-RunShellScript",
        run_command_kwargs={"InstanceIds": [instance_id], "Parameters": {"commands": ["echo by airflow"]}},
        waiter_delay=1,
        aws_conn_id=None,
        region_name="us-east-1",
    )

    command_id = operator.execute({})

    assert user.invocation(command_id, instance_id)["StandardOutputContent"] == "by airflow\n"


def test_the_wait_for_an_answer_is_short_while_commands_run(user: User) -> None:
    instance_id = user.launch()
    user.started(user.send(instance_id, "sleep 60"), instance_id)

    began = time.monotonic()
    user.ec2.describe_instances()

    assert time.monotonic() - began < 2
