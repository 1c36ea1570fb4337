"""A user of the emulated cloud: real boto3, over HTTP."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import boto3
import psutil
import pytest
from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError

from sparsebench.localcloud import LocalCloud
from sparsebench.localcloud.processes import MARKER

IMAGE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
OVER = ("Success", "Failed", "TimedOut", "Cancelled")


def wait_until(promise: Callable[[], Any], timeout_s: float = 15) -> Any:
    """What ``promise`` gives, as soon as it is true."""
    deadline = time.monotonic() + timeout_s
    while not (answer := promise()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)
    return answer


def processes_of(instance_id: str) -> list[psutil.Process]:
    """Seen from outside, by what /proc says."""
    runners = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARKER) == instance_id and process.status() != psutil.STATUS_ZOMBIE:
                runners.append(process)
        except psutil.Error:
            continue
    return runners


class User:
    """EC2 and SSM clients, and the few calls that every test makes."""

    def __init__(self, cloud: LocalCloud) -> None:
        config = BotoConfig(retries={"max_attempts": 0})
        how: Any = {"endpoint_url": cloud.url, "region_name": "us-east-1", "config": config, **cloud.keys.boto3}
        self.ec2 = boto3.client("ec2", **how)
        self.ssm = boto3.client("ssm", **how)
        self.image = self.ssm.get_parameter(Name=IMAGE)["Parameter"]["Value"]

    def run_instances(self, **parameters: Any) -> list[dict[str, Any]]:
        defaults: dict[str, Any] = {"ImageId": self.image, "MinCount": 1, "MaxCount": 1, "InstanceType": "localhost"}
        return [dict(instance) for instance in self.ec2.run_instances(**(defaults | parameters))["Instances"]]

    def launch(self, **parameters: Any) -> str:
        """Id of a new instance whose agent is online."""
        instance_id = str(self.run_instances(**parameters)[0]["InstanceId"])
        wait_until(lambda: self.agent(instance_id) == "Online")
        return instance_id

    def agent(self, instance_id: str) -> str | None:
        told = self.ssm.describe_instance_information(Filters=[{"Key": "InstanceIds", "Values": [instance_id]}])
        information = told["InstanceInformationList"]
        return information[0]["PingStatus"] if information else None

    def described(self, instance_id: str) -> dict[str, Any]:
        return dict(self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0])

    def state(self, instance_id: str) -> str:
        return str(self.described(instance_id)["State"]["Name"])

    def instances(self) -> list[str]:
        """Every instance there is, in the order of the launches."""
        return [
            instance["InstanceId"]
            for reservation in self.ec2.describe_instances()["Reservations"]
            for instance in reservation["Instances"]
        ]

    def send(self, instance_id: str, *commands: str, **parameters: str) -> str:
        """Id of a command that was sent."""
        given = {"commands": list(commands)} | {name: [value] for name, value in parameters.items()}
        sent = self.ssm.send_command(InstanceIds=[instance_id], DocumentName="AWS-RunShellScript", Parameters=given)
        return str(sent["Command"]["CommandId"])

    def invocation(self, command_id: str, instance_id: str) -> dict[str, Any]:
        """Once SSM shows it, which is some time after it was sent."""

        def shown() -> dict[str, Any] | None:
            try:
                return dict(self.ssm.get_command_invocation(CommandId=command_id, InstanceId=instance_id))
            except ClientError as error:
                if error.response["Error"]["Code"] != "InvocationDoesNotExist":
                    raise
                return None

        return dict(wait_until(shown))

    def ended(self, command_id: str, instance_id: str) -> dict[str, Any]:
        """The invocation, once it is over."""
        return dict(
            wait_until(
                lambda: (invocation := self.invocation(command_id, instance_id))["Status"] in OVER and invocation
            )
        )

    def started(self, command_id: str, instance_id: str) -> None:
        wait_until(lambda: self.invocation(command_id, instance_id)["Status"] == "InProgress")

    def run(self, instance_id: str, *commands: str, **parameters: str) -> dict[str, Any]:
        """Send commands, and wait for their end."""
        return self.ended(self.send(instance_id, *commands, **parameters), instance_id)


@pytest.fixture
def user(localcloud: LocalCloud) -> User:
    return User(localcloud)


@pytest.fixture
def post_faults(localcloud: LocalCloud) -> Callable[[Any], Any]:
    """Ask for faults."""

    def post(faults: Any) -> Any:
        request = urllib.request.Request(
            f"{localcloud.url}/localcloud/faults", json.dumps(faults).encode(), localcloud.keys.headers
        )
        with urllib.request.urlopen(request) as response:
            return json.load(response)

    return post


@pytest.fixture
def clear_faults(localcloud: LocalCloud) -> Callable[[], None]:
    request = urllib.request.Request(
        f"{localcloud.url}/localcloud/faults", None, localcloud.keys.headers, method="DELETE"
    )
    return lambda: urllib.request.urlopen(request).close()


@pytest.fixture
def struck(localcloud: LocalCloud) -> Callable[[], list[tuple[int, bool]]]:
    """How often each fault has struck, and whether it is in force."""

    def ask() -> list[tuple[int, bool]]:
        request = urllib.request.Request(f"{localcloud.url}/localcloud/faults", None, localcloud.keys.headers)
        with urllib.request.urlopen(request) as response:
            return [(fault["struck"], fault["in_force"]) for fault in json.load(response)]

    return ask
