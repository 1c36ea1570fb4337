"""EC2 as the project uses it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from airflow.providers.amazon.aws.operators.ec2 import EC2CreateInstanceOperator
from botocore.exceptions import ClientError

from sparsebench.localcloud import LocalCloud

from .conftest import User

ROLE_POLICY = '{"Version": "2012-10-17", "Statement": []}'


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def ids(instances: list[dict[str, Any]]) -> list[str]:
    return [instance["InstanceId"] for instance in instances]


def test_the_same_token_and_parameters_give_the_same_instances(user: User) -> None:
    first = user.run_instances(ClientToken="night-1", MinCount=2, MaxCount=2)

    assert ids(user.run_instances(ClientToken="night-1", MinCount=2, MaxCount=2)) == ids(first)
    assert len(user.ec2.describe_instances()["Reservations"]) == 1


def test_a_repeated_launch_tells_the_state_that_the_instance_has_now(user: User) -> None:
    instance_id = user.run_instances(ClientToken="night-1")[0]["InstanceId"]
    user.ec2.terminate_instances(InstanceIds=[instance_id])

    again = user.run_instances(ClientToken="night-1")[0]

    assert (again["InstanceId"], again["State"]["Name"]) == (instance_id, "terminated")


def test_the_same_token_with_other_parameters_is_refused(user: User) -> None:
    user.run_instances(ClientToken="night-1", InstanceType="c4.xlarge")

    with pytest.raises(ClientError, match="InstanceType") as error:
        user.run_instances(ClientToken="night-1", InstanceType="m5.xlarge")

    assert code(error) == "IdempotentParameterMismatch"
    assert len(user.ec2.describe_instances()["Reservations"]) == 1


def test_a_launch_that_failed_can_be_asked_for_again_with_its_token(
    user: User, post_faults: Callable[[Any], Any]
) -> None:
    post_faults([{"action": "RunInstances", "code": "InsufficientInstanceCapacity", "times": 1}])
    with pytest.raises(ClientError):
        user.run_instances(ClientToken="night-1")

    assert user.run_instances(ClientToken="night-1")


def test_tags_of_the_launch_are_on_the_instance(user: User) -> None:
    instance_id = user.run_instances(
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "project", "Value": "sparsebench"}]}]
    )[0]["InstanceId"]

    found = user.ec2.describe_instances(Filters=[{"Name": "tag:project", "Values": ["sparsebench"]}])

    assert found["Reservations"][0]["Instances"][0]["InstanceId"] == instance_id


def test_an_image_that_does_not_exist_is_refused(user: User) -> None:
    with pytest.raises(ClientError) as error:
        user.run_instances(ImageId="ami-00000000")

    assert code(error) == "InvalidAMIID.NotFound"


def test_an_instance_profile_must_exist(user: User, localcloud: LocalCloud) -> None:
    with pytest.raises(ClientError):
        user.run_instances(IamInstanceProfile={"Name": "bench"})

    iam = boto3.client("iam")
    iam.create_role(RoleName="bench-role", AssumeRolePolicyDocument=ROLE_POLICY)
    iam.create_instance_profile(InstanceProfileName="bench")
    iam.add_role_to_instance_profile(InstanceProfileName="bench", RoleName="bench-role")

    instance = user.run_instances(IamInstanceProfile={"Name": "bench"}, ClientToken="with-profile")[0]
    described = user.ec2.describe_instances(InstanceIds=[instance["InstanceId"]])["Reservations"][0]["Instances"][0]
    assert described["IamInstanceProfile"]["Arn"].endswith("instance-profile/bench")
    assert user.run_instances(IamInstanceProfile={"Name": "bench"}, ClientToken="with-profile")[0] is not None


def test_all_that_a_launch_of_the_project_asks_for_is_accepted(user: User) -> None:
    assert user.run_instances(
        InstanceType="t3.xlarge",
        CreditSpecification={"CpuCredits": "unlimited"},
        InstanceInitiatedShutdownBehavior="terminate",
        MetadataOptions={"HttpTokens": "required", "HttpEndpoint": "enabled"},
        BlockDeviceMappings=[
            {
                "DeviceName": "/dev/xvda",
                "Ebs": {"VolumeSize": 30, "VolumeType": "gp3", "Encrypted": True, "DeleteOnTermination": True},
            }
        ],
        TagSpecifications=[
            {"ResourceType": kind, "Tags": [{"Key": "project", "Value": "sparsebench"}]}
            for kind in ("instance", "volume")
        ],
    )


def test_airflows_operator_launches_an_instance(user: User) -> None:
    operator = EC2CreateInstanceOperator(
        task_id="launch",
        image_id=user.image,
        config={"InstanceType": "localhost"},
        aws_conn_id=None,
        region_name="us-east-1",
        do_xcom_push=False,
    )

    (instance_id,) = operator.execute({})  # type: ignore[arg-type]

    assert user.state(instance_id) == "running"
