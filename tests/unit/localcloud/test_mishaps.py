"""Faults of instances and of commands on them."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config as BotoConfig

from sparsebench.localcloud import LocalCloud

from .conftest import User, processes_of, wait_until

Post = Callable[[Any], Any]
Struck = Callable[[], list[tuple[int, bool]]]
SPOT = {"InstanceMarketOptions": {"MarketType": "spot"}}


def metadata(localcloud: LocalCloud, instance_id: str, path: str) -> str | None:
    """What an instance reads of itself; None: it is not there."""
    base = f"{localcloud.of_instance(instance_id, 'imds')}/latest"
    headers = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    with urllib.request.urlopen(urllib.request.Request(f"{base}/api/token", method="PUT", headers=headers)) as answer:
        token = answer.read().decode()
    try:
        headers = {"X-aws-ec2-metadata-token": token}
        with urllib.request.urlopen(urllib.request.Request(f"{base}/meta-data/{path}", headers=headers)) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return None


def send(user: User, instance_id: str, script: str, comment: str = "", **parameters: Any) -> str:
    """Send a command; times below SSM's own minimum are let through."""
    ssm = boto3.client("ssm", config=BotoConfig(parameter_validation=False))
    sent = ssm.send_command(
        InstanceIds=[instance_id],
        DocumentName="AWS-RunShellScript",
        Parameters={"commands": [script], "executionTimeout": ["3"]},
        Comment=comment,
        **{"TimeoutSeconds": 1, **parameters},
    )
    return str(sent["Command"]["CommandId"])


# ----------------------------------------------------------------------------------------------- agents


def test_an_agent_may_never_come_online(user: User, post_faults: Post, struck: Struck) -> None:
    post_faults([{"kind": "agent_offline", "instance_type": "c4.xlarge", "times": 1}])
    silent = user.run_instances(InstanceType="c4.xlarge")[0]["InstanceId"]

    user.launch()
    user.launch(InstanceType="c4.xlarge")

    assert (user.agent(silent), user.state(silent)) == (None, "running")
    assert struck() == [(1, False)]


def test_an_agent_may_come_online_late(user: User, post_faults: Post) -> None:
    post_faults([{"kind": "agent_offline", "online_after_s": 1.5, "times": 1}])
    began = time.monotonic()

    user.launch()

    assert time.monotonic() - began > 1.5


# --------------------------------------------------------------------------------------------- commands


def test_a_lost_command_stays_pending_until_its_own_time_is_up(
    user: User, localcloud: LocalCloud, post_faults: Post, struck: Struck
) -> None:
    instance_id = user.launch()
    post_faults([{"kind": "lost_command", "times": 1}])
    lost = send(user, instance_id, "true", TimeoutSeconds=1)

    assert user.run(instance_id, "true")["Status"] == "Success"
    assert user.invocation(lost, instance_id)["Status"] == "Pending"

    result = user.ended(lost, instance_id)
    assert (result["Status"], result["StatusDetails"]) == ("TimedOut", "DeliveryTimedOut")
    assert not (localcloud.root / "logs" / instance_id / lost).exists()
    assert struck() == [(1, False)]


def test_a_command_whose_end_is_not_reported_has_run_and_stays_in_progress(
    user: User, localcloud: LocalCloud, post_faults: Post
) -> None:
    instance_id = user.launch()
    post_faults([{"kind": "lost_command", "stays": "InProgress", "times": 1}])
    lost = send(user, instance_id, "echo done")

    assert user.run(instance_id, "true")["Status"] == "Success"  # the lost one has left its slot
    assert (localcloud.root / "logs" / instance_id / lost / "stdout").read_text() == "done\n"
    assert user.invocation(lost, instance_id)["Status"] == "InProgress"

    result = user.ended(lost, instance_id)
    assert (result["Status"], result["StatusDetails"]) == ("TimedOut", "DeliveryTimedOut")


@pytest.mark.parametrize("stays", ["Pending", "InProgress"])
def test_a_lost_command_can_be_cancelled(user: User, post_faults: Post, stays: str) -> None:
    instance_id = user.launch()
    post_faults([{"kind": "lost_command", "stays": stays, "times": 1}])
    lost = user.send(instance_id, "true")
    user.run(instance_id, "true")

    user.ssm.cancel_command(CommandId=lost)

    assert user.invocation(lost, instance_id)["Status"] == "Cancelled"


def test_only_commands_with_the_comment_are_lost(user: User, post_faults: Post) -> None:
    instance_id = user.launch()
    post_faults([{"kind": "lost_command", "comment": ":work"}])

    prepare = send(user, instance_id, "true", comment="job:prepare")
    work = send(user, instance_id, "true", comment="job:work")

    assert user.ended(prepare, instance_id)["Status"] == "Success"
    assert user.invocation(work, instance_id)["Status"] == "Pending"


# ------------------------------------------------------------------------------------- killed instances


def test_an_instance_is_killed_some_time_after_its_launch(
    user: User, localcloud: LocalCloud, post_faults: Post, struck: Struck
) -> None:
    post_faults([{"kind": "kill", "after_s": 1, "instance_type": "localhost", "times": 1}])
    began = time.monotonic()
    user_data = "#!/bin/bash\ntrap 'echo asked to end' TERM\nsleep 60 &\nwait\n"
    instance_id = user.run_instances(UserData=user_data)[0]["InstanceId"]
    spared = user.run_instances(InstanceType="c4.xlarge")[0]["InstanceId"]

    wait_until(lambda: user.state(instance_id) == "terminated")

    assert time.monotonic() - began > 1
    ended = user.described(instance_id)
    assert ended["StateReason"]["Code"] == ended["StateTransitionReason"] == "Server.InternalError"
    wait_until(lambda: not processes_of(instance_id))
    assert not (localcloud.root / "logs" / instance_id / "user-data" / "stdout").read_text()
    assert user.state(spared) == "running"
    assert struck() == [(1, False)]


def test_only_as_many_instances_are_killed_as_were_asked_for(user: User, post_faults: Post, struck: Struck) -> None:
    post_faults([{"kind": "kill", "after_s": 0.5, "times": 1}])
    user.run_instances(MinCount=2, MaxCount=2)

    wait_until(lambda: struck() == [(1, False)])
    time.sleep(0.5)

    assert sorted(user.state(instance_id) for instance_id in user.instances()) == ["running", "terminated"]


def test_an_instance_is_killed_some_time_after_a_command_started(user: User, post_faults: Post) -> None:
    post_faults([{"kind": "kill", "since": "command", "comment": ":work", "after_s": 0.5}])
    instance_id = user.launch()
    prepare = send(user, instance_id, "sleep 1", comment="job:prepare")
    assert user.ended(prepare, instance_id)["Status"] == "Success"

    work = send(user, instance_id, "sleep 60", comment="job:work")

    wait_until(lambda: user.state(instance_id) == "terminated")
    assert user.ended(work, instance_id)["StatusDetails"] == "DeliveryTimedOut"


def test_what_was_to_strike_later_is_cleared_too(user: User, post_faults: Post, clear_faults: Any) -> None:
    post_faults([{"kind": "kill", "after_s": 1}])
    instance_id = user.run_instances()[0]["InstanceId"]

    clear_faults()
    time.sleep(1.5)

    assert user.state(instance_id) == "running"


def test_a_comment_without_a_command_is_refused(post_faults: Post) -> None:
    with pytest.raises(urllib.error.HTTPError, match="400"):
        post_faults([{"kind": "kill", "after_s": 1, "comment": ":work"}])


# -------------------------------------------------------------------------------------- spot instances


def test_an_instance_knows_its_market(user: User, localcloud: LocalCloud) -> None:
    spot, other = user.launch(**SPOT), user.launch()

    assert user.described(spot)["InstanceLifecycle"] == "spot"
    assert "InstanceLifecycle" not in user.described(other)
    assert metadata(localcloud, spot, "instance-life-cycle") == "spot"
    assert metadata(localcloud, other, "instance-life-cycle") == "on-demand"


def test_a_spot_instance_gets_a_notice_and_is_then_terminated(
    user: User, localcloud: LocalCloud, post_faults: Post, struck: Struck
) -> None:
    post_faults([{"kind": "spot_notice", "after_s": 1.5, "notice_s": 2}])
    other, spot = (user.run_instances(**options)[0]["InstanceId"] for options in ({}, SPOT))
    assert metadata(localcloud, spot, "spot/instance-action") is None

    notice = json.loads(wait_until(lambda: metadata(localcloud, spot, "spot/instance-action")))

    assert notice["action"] == "terminate"
    at = datetime.fromisoformat(notice["time"])
    assert at - datetime.now(UTC) <= timedelta(seconds=2)
    assert user.state(spot) == "running"
    wait_until(lambda: user.state(spot) == "terminated")
    assert datetime.now(UTC) >= at
    ended = user.described(spot)
    assert ended["StateReason"]["Code"] == ended["StateTransitionReason"] == "Server.SpotInstanceTermination"
    assert metadata(localcloud, other, "spot/instance-action") is None
    assert user.state(other) == "running"
    assert struck() == [(1, True)]
