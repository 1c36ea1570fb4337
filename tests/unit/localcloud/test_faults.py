"""Faults on demand."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError

from sparsebench.localcloud import LocalCloud

from .conftest import User

Post = Callable[[Any], Any]


def refusal(call: Callable[[], Any]) -> tuple[str, int]:
    with pytest.raises(ClientError) as error:
        call()
    response = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("InsufficientInstanceCapacity", 500),
        ("RequestLimitExceeded", 503),
        ("VcpuLimitExceeded", 400),
        ("Unsupported", 400),
    ],
)
def test_a_fault_has_the_code_and_the_status_of_ec2s(user: User, post_faults: Post, code: str, status: int) -> None:
    post_faults([{"action": "RunInstances", "code": code, "times": 1}])

    assert refusal(user.run_instances) == (code, status)
    assert user.run_instances()


def test_a_fault_is_for_its_instance_type_only(user: User, post_faults: Post) -> None:
    post_faults([{"action": "RunInstances", "code": "Unsupported", "instance_type": "c4.xlarge"}])

    assert user.run_instances(InstanceType="m5.xlarge")
    assert refusal(lambda: user.run_instances(InstanceType="c4.xlarge"))[0] == "Unsupported"


def test_a_fault_is_for_its_zone_only_whether_the_zone_or_a_subnet_names_it(user: User, post_faults: Post) -> None:
    subnets = user.ec2.describe_subnets()["Subnets"]
    subnet_of = {subnet["AvailabilityZone"]: subnet["SubnetId"] for subnet in subnets}
    post_faults([{"action": "RunInstances", "code": "InsufficientInstanceCapacity", "availability_zone": "us-east-1a"}])

    assert user.run_instances(Placement={"AvailabilityZone": "us-east-1b"})
    assert user.run_instances(SubnetId=subnet_of["us-east-1b"])
    assert refusal(lambda: user.run_instances(Placement={"AvailabilityZone": "us-east-1a"}))
    assert refusal(lambda: user.run_instances(SubnetId=subnet_of["us-east-1a"]))


def test_a_call_that_the_sdk_repeats_is_one_call(user: User, localcloud: LocalCloud, post_faults: Post) -> None:
    post_faults([{"action": "RunInstances", "code": "InternalError", "times": 1}])
    patient = boto3.client("ec2", config=BotoConfig(retries={"max_attempts": 1}))

    with pytest.raises(ClientError, match="reached max retries: 1"):
        patient.run_instances(ImageId=user.image, MinCount=1, MaxCount=1)

    assert user.run_instances()


def test_a_fault_of_ssm_is_raised_as_ssm_does(user: User, post_faults: Post) -> None:
    post_faults([{"action": "SendCommand", "code": "ThrottlingException", "times": 1}])

    assert refusal(lambda: user.send("i-0", "true"))[0] == "ThrottlingException"


@pytest.mark.parametrize("faults", [{}, [{"action": "RunInstances"}], [{"action": "a", "code": "b", "zone": "c"}]])
def test_faults_that_are_not_understood_are_refused(post_faults: Post, faults: Any) -> None:
    with pytest.raises(urllib.error.HTTPError, match="400"):
        post_faults(faults)


def test_faults_can_be_cleared(user: User, localcloud: LocalCloud, post_faults: Post) -> None:
    assert post_faults([{"action": "RunInstances", "code": "Unsupported"}])

    urllib.request.urlopen(urllib.request.Request(f"{localcloud.url}/localcloud/faults", method="DELETE")).close()

    assert user.run_instances()
