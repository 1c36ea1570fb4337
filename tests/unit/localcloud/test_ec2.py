"""EC2 as the project uses it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
from airflow.providers.amazon.aws.operators.ec2 import EC2CreateInstanceOperator
from botocore.exceptions import ClientError

from sparsebench.localcloud import LocalCloud, running

from .conftest import User, wait_until

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
    user.ec2.stop_instances(InstanceIds=[instance_id])

    repeated = user.run_instances(ClientToken="night-1")[0]

    assert (repeated["InstanceId"], repeated["State"]["Name"]) == (instance_id, "stopped")


def test_a_token_is_used_up_by_an_instance_that_was_terminated(user: User) -> None:
    user.ec2.terminate_instances(InstanceIds=ids(user.run_instances(ClientToken="night-1")))

    for _ in range(2):
        with pytest.raises(ClientError) as error:
            user.run_instances(ClientToken="night-1")
        assert code(error) == "IdempotentInstanceTerminated"


def test_a_token_is_used_up_by_a_launch_for_which_there_was_no_capacity(
    user: User, post_faults: Callable[[Any], Any]
) -> None:
    post_faults([{"action": "RunInstances", "code": "InsufficientInstanceCapacity", "times": 1}])
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "expires", "Value": "02:00"}]}]
    with pytest.raises(ClientError):
        user.run_instances(ClientToken="night-1")

    with pytest.raises(ClientError) as error:
        user.run_instances(ClientToken="night-1", TagSpecifications=tags)
    assert code(error) == "IdempotentParameterMismatch"
    assert user.run_instances(ClientToken="night-1")


def test_an_instance_is_found_by_its_tags_seconds_after_its_launch(user: User) -> None:
    tag = {"Key": "project", "Value": "sparsebench"}
    (launched,) = ids(user.run_instances(TagSpecifications=[{"ResourceType": "instance", "Tags": [tag]}]))
    by_tag = partial(user.ec2.describe_instances, Filters=[{"Name": "tag:project", "Values": ["sparsebench"]}])

    assert by_tag()["Reservations"] == []
    assert user.state(launched) == "running"
    wait_until(lambda: by_tag()["Reservations"])


def test_an_instance_that_ec2_does_not_show_yet_is_not_known_by_its_id(
    user: User, post_faults: Callable[[Any], Any]
) -> None:
    post_faults([{"kind": "unseen", "seconds": 1, "times": 1}])
    (hidden,) = ids(user.run_instances())

    with pytest.raises(ClientError) as error:
        user.state(hidden)
    assert code(error) == "InvalidInstanceID.NotFound"
    assert user.instances() == []
    wait_until(lambda: user.instances() == [hidden])


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

    by_tag: Any = [{"Name": "tag:project", "Values": ["sparsebench"]}]
    (reservation,) = wait_until(lambda: user.ec2.describe_instances(Filters=by_tag)["Reservations"])

    assert reservation["Instances"][0]["InstanceId"] == instance_id


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


def test_the_options_of_the_processor_are_accepted(user: User) -> None:
    assert user.run_instances(InstanceType="m5.xlarge", CpuOptions={"CoreCount": 2, "ThreadsPerCore": 1})


def test_an_instance_is_in_the_zone_that_was_asked_for(user: User) -> None:
    instance_id = user.run_instances(Placement={"AvailabilityZone": "us-east-1c"})[0]["InstanceId"]

    assert user.described(instance_id)["Placement"]["AvailabilityZone"] == "us-east-1c"


def test_an_instance_is_found_by_its_token(user: User) -> None:
    first, _ = (user.run_instances(ClientToken=token)[0]["InstanceId"] for token in ("night-1", "night-2"))
    user.ec2.terminate_instances(InstanceIds=[first])

    reservations = user.ec2.describe_instances(Filters=[{"Name": "client-token", "Values": ["night-1"]}])[
        "Reservations"
    ]

    assert [(item["InstanceId"], item["ClientToken"]) for item in reservations[0]["Instances"]] == [(first, "night-1")]
    assert len(reservations) == 1


def test_an_instance_is_found_by_its_market(user: User) -> None:
    user.run_instances()
    spot = user.run_instances(InstanceMarketOptions={"MarketType": "spot"})[0]["InstanceId"]

    reservations = user.ec2.describe_instances(Filters=[{"Name": "instance-lifecycle", "Values": ["spot"]}])[
        "Reservations"
    ]

    assert [item["Instances"][0]["InstanceId"] for item in reservations] == [spot]


def test_the_launch_time_is_that_of_the_last_start(user: User) -> None:
    instance_id = user.run_instances()[0]["InstanceId"]
    launched = user.described(instance_id)["LaunchTime"]
    assert timedelta(0) <= datetime.now(UTC) - launched < timedelta(seconds=5)

    user.ec2.stop_instances(InstanceIds=[instance_id])
    assert user.described(instance_id)["LaunchTime"] == launched
    time.sleep(1)  # it is told in whole seconds
    user.ec2.start_instances(InstanceIds=[instance_id])

    assert launched < user.described(instance_id)["LaunchTime"] <= datetime.now(UTC)


def test_an_instance_that_a_user_ended_says_so(user: User) -> None:
    instance_id = user.run_instances()[0]["InstanceId"]

    user.ec2.terminate_instances(InstanceIds=[instance_id])

    ended = user.described(instance_id)
    assert ended["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert ended["StateTransitionReason"].startswith("User initiated (20")


def offered(user: User, instance_type: str, **location: list[str]) -> set[str]:
    """The zones where a type is offered."""
    filters = {"instance-type": [instance_type]} | location
    answer = user.ec2.describe_instance_type_offerings(
        LocationType="availability-zone",
        Filters=[{"Name": name, "Values": values} for name, values in filters.items()],
    )
    assert {item["InstanceType"] for item in answer["InstanceTypeOfferings"]} <= {instance_type}
    return {item["Location"] for item in answer["InstanceTypeOfferings"]}


def test_the_type_that_only_an_emulated_cloud_has_is_offered_in_every_zone(user: User) -> None:
    zones = {zone["ZoneName"] for zone in user.ec2.describe_availability_zones()["AvailabilityZones"]}

    assert offered(user, "localhost") == zones
    assert offered(user, "localhost", location=["us-east-1b"]) == {"us-east-1b"}


def test_a_type_of_ec2s_is_offered_where_ec2_offers_it(user: User) -> None:
    assert "us-east-1a" in offered(user, "m5.xlarge")
    assert "us-east-1e" not in offered(user, "m5.xlarge")


# ------------------------------------------------------------------------------------------------ quotas

ON_DEMAND, SPOT = "L-1216C47A", "L-34B43A08"


@pytest.mark.parametrize("quota", [ON_DEMAND, SPOT])
def test_the_quota_of_vcpus_is_told(localcloud: LocalCloud, quota: str) -> None:
    quotas = boto3.client("service-quotas")

    assert quotas.get_service_quota(ServiceCode="ec2", QuotaCode=quota)["Quota"]["Value"] == 64

    with pytest.raises(quotas.exceptions.NoSuchResourceException):
        quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-00000000")


@pytest.mark.parametrize(
    ("market", "refusal"), [("on-demand", "VcpuLimitExceeded"), ("spot", "MaxSpotInstanceCountExceeded")]
)
def test_a_launch_above_the_quota_of_its_market_is_refused(user: User, market: str, refusal: str) -> None:
    def launch(instance_type: str, count: int = 1, market: str = market) -> list[str]:
        options: dict[str, Any] = {"InstanceMarketOptions": {"MarketType": "spot"}} if market == "spot" else {}
        return ids(user.run_instances(InstanceType=instance_type, MinCount=count, MaxCount=count, **options))

    running = launch("m5.4xlarge", count=3) + launch("m5.xlarge", count=4)  # 3 x 16 and 4 x 4

    with pytest.raises(ClientError) as error:
        launch("t3.micro")
    assert code(error) == refusal
    assert launch("localhost")
    assert launch("t3.micro", market="on-demand" if market == "spot" else "spot")
    user.ec2.terminate_instances(InstanceIds=running[:1])
    assert launch("m5.4xlarge")


def test_the_quota_can_be_chosen(tmp_path: Path, localcloud: LocalCloud) -> None:
    with running(tmp_path, "--vcpu-quota", "3") as cloud:
        user = User(cloud)
        quotas = boto3.client("service-quotas", endpoint_url=cloud.url)
        assert quotas.get_service_quota(ServiceCode="ec2", QuotaCode=ON_DEMAND)["Quota"]["Value"] == 3
        with pytest.raises(ClientError) as error:
            user.run_instances(InstanceType="m5.xlarge")
    assert code(error) == "VcpuLimitExceeded"


def test_airflows_operator_launches_an_instance(user: User) -> None:
    operator = EC2CreateInstanceOperator(
        task_id="launch",
        image_id=user.image,
        config={"InstanceType": "localhost"},
        aws_conn_id=None,
        region_name="us-east-1",
        do_xcom_push=False,
    )

    (instance_id,) = operator.execute({})

    assert user.state(instance_id) == "running"
