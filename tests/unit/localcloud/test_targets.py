"""To which instances SSM sends a command, how many at a time, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from sparsebench.localcloud import running

from .conftest import User, wait_until

SHELL: Any = {"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": ["true"]}}


def tagged(user: User, **tags: str) -> str:
    named: Any = [{"Key": key, "Value": value} for key, value in tags.items()]
    return user.launch(TagSpecifications=[{"ResourceType": "instance", "Tags": named}])


def targets(**tags: str) -> Any:
    return [{"Key": f"tag:{key}", "Values": [value]} for key, value in tags.items()]


def test_several_tags_must_all_fit(user: User) -> None:
    both = tagged(user, role="bench", owner="ann")
    tagged(user, role="bench", owner="bob")
    tagged(user, role="web", owner="ann")

    command = user.ssm.send_command(Targets=targets(role="bench", owner="ann"), **SHELL)["Command"]

    assert command["InstanceIds"] == [both]


def test_a_tag_that_nobody_has_is_a_command_without_instances(user: User) -> None:
    instance = user.launch()

    command = user.ssm.send_command(Targets=targets(role="nobody"), **SHELL)["Command"]

    assert (command["StatusDetails"], command["TargetCount"]) == ("NoInstancesInTag", 0)
    listed = user.ssm.list_commands()["Commands"]  # which failed for ever after such a command
    assert [invocation["StatusDetails"] for invocation in listed] == ["NoInstancesInTag"]
    assert user.run(instance, "true")["Status"] == "Success"


def test_a_command_is_not_known_at_once(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(tmp_path, "--agent-delay-s", "0", "--lag-s", "6") as cloud:
        user = User(cloud)
        instance = user.run_instances()[0]["InstanceId"]
        sent = user.ssm.send_command(InstanceIds=[instance], **SHELL)["Command"]["CommandId"]
        with pytest.raises(ClientError, match="InvocationDoesNotExist"):
            user.ssm.get_command_invocation(CommandId=sent, InstanceId=instance)
        assert user.ended(sent, instance)["Status"] == "Success"


def test_no_more_instances_than_max_concurrency_have_a_command_at_a_time(user: User) -> None:
    instances = [tagged(user, role="bench") for _ in range(3)]
    script = {"commands": ["sleep 0.3"]}
    command = user.ssm.send_command(
        Targets=targets(role="bench"), MaxConcurrency="1", **{**SHELL, "Parameters": script}
    )["Command"]["CommandId"]

    seen = set()

    def is_over() -> bool:
        each = user.ssm.list_command_invocations(CommandId=command)["CommandInvocations"]
        statuses = [invocation["Status"] for invocation in each]
        seen.add(statuses.count("InProgress"))
        return statuses == ["Success"] * len(instances)

    wait_until(is_over)
    assert max(seen) == 1


@pytest.mark.parametrize(("most", "begun"), [("0", 1), ("1", 2), ("100%", 4)])
def test_after_more_failures_than_max_errors_no_other_instance_gets_the_command(
    user: User, most: str, begun: int
) -> None:
    for _ in range(4):
        tagged(user, role="bench")
    script = {"commands": ["exit 1"]}
    command = user.ssm.send_command(
        Targets=targets(role="bench"), MaxConcurrency="1", MaxErrors=most, **{**SHELL, "Parameters": script}
    )["Command"]["CommandId"]

    def details() -> list[str]:
        each = user.ssm.list_command_invocations(CommandId=command)["CommandInvocations"]
        return sorted(invocation["StatusDetails"] for invocation in each)

    wait_until(lambda: set(details()) <= {"Failed", "Terminated"})
    assert details() == ["Failed"] * begun + ["Terminated"] * (4 - begun)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"InstanceIds": [f"i-{number:017x}" for number in range(51)]}, "ValidationException"),
        ({"Comment": "x" * 101}, "ValidationException"),
        ({"Targets": targets(role="bench")}, "InvalidParameters"),  # beside InstanceIds
        ({"MaxErrors": "many"}, "InvalidParameters"),
        ({"MaxConcurrency": "0"}, "InvalidParameters"),
        ({"Parameters": {"commands": ["x" * 100_000]}}, "MaxDocumentSizeExceeded"),
    ],
)
def test_what_ssm_refuses_is_refused(user: User, asked: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError, match=code):
        user.ssm.send_command(**{"InstanceIds": [user.launch()], **SHELL, **asked})
