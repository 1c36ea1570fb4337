"""Faults on demand."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from sparsebench.localcloud import LocalCloud

from .conftest import User, wait_until

Post = Callable[[Any], Any]
Struck = Callable[[], list[tuple[int, bool]]]
SPOT = {"InstanceMarketOptions": {"MarketType": "spot"}}


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
    interface = {"DeviceIndex": 0, "SubnetId": subnet_of["us-east-1a"]}
    assert refusal(lambda: user.run_instances(NetworkInterfaces=[interface]))


def test_a_fault_is_for_its_market_only(user: User, post_faults: Post) -> None:
    post_faults([{"action": "RunInstances", "code": "InsufficientInstanceCapacity", "market": "spot"}])

    assert user.run_instances()
    assert refusal(lambda: user.run_instances(**SPOT))[0] == "InsufficientInstanceCapacity"


def test_a_fault_may_be_for_all_calls_of_a_service(user: User, post_faults: Post) -> None:
    post_faults([{"service": "ssm", "action": "*", "code": "ThrottlingException"}])

    assert user.run_instances()
    assert refusal(user.ssm.list_commands)[0] == "ThrottlingException"
    assert refusal(user.ssm.describe_parameters)[0] == "ThrottlingException"


def test_a_call_that_the_sdk_repeats_is_one_call(user: User, localcloud: LocalCloud, post_faults: Post) -> None:
    post_faults([{"action": "RunInstances", "code": "InternalError", "times": 1}])
    patient = boto3.client("ec2", config=BotoConfig(retries={"max_attempts": 1}))

    with pytest.raises(ClientError, match="reached max retries: 1"):
        patient.run_instances(ImageId=user.image, MinCount=1, MaxCount=1)

    assert user.run_instances()


def test_a_request_that_is_throttled_is_repeated_by_the_sdk(user: User, post_faults: Post, struck: Struck) -> None:
    storm = {"code": "ThrottlingException", "times": 2, "per_request": True}
    post_faults([{"service": "ssm", "action": "ListCommands", **storm}])
    patient = boto3.client("ssm", config=BotoConfig(retries={"max_attempts": 2}))

    assert patient.list_commands()["ResponseMetadata"]["RetryAttempts"] == 2

    assert struck() == [(2, False)]


def test_draws_can_be_repeated_by_their_seed(user: User, post_faults: Post, clear_faults: Any, struck: Struck) -> None:
    def outcomes() -> list[bool]:
        post_faults([{"action": "ListCommands", "code": "ThrottlingException", "probability": 0.5, "seed": 1}])
        answered = []
        for _ in range(20):
            try:
                user.ssm.list_commands()
                answered.append(True)
            except ClientError:
                answered.append(False)
        return answered

    first = outcomes()
    assert struck() == [(first.count(False), True)]
    clear_faults()

    assert set(first) == {True, False}
    assert outcomes() == first


def test_a_fault_may_last_for_a_while(user: User, post_faults: Post, struck: Struck) -> None:
    post_faults([{"action": "ListCommands", "code": "ThrottlingException", "for_s": 1}])
    assert refusal(user.ssm.list_commands)

    wait_until(lambda: struck() == [(1, False)])

    assert user.ssm.list_commands()


@pytest.mark.parametrize(("when", "launched"), [("before", 0), ("after", 1)])
def test_an_answer_may_come_too_late(user: User, post_faults: Post, when: str, launched: int) -> None:
    post_faults([{"kind": "delay", "action": "RunInstances", "seconds": 8, "when": when, "times": 1}])
    impatient: Any = boto3.client("ec2", config=BotoConfig(read_timeout=4, retries={"max_attempts": 0}))

    with pytest.raises(ReadTimeoutError):
        impatient.run_instances(ImageId=user.image, MinCount=1, MaxCount=1, InstanceType="localhost")

    assert len(user.instances()) == launched
    wait_until(lambda: len(user.instances()) == 1)


def test_a_delayed_answer_is_the_answer(user: User, post_faults: Post) -> None:
    post_faults([{"kind": "delay", "action": "RunInstances", "seconds": 0.5}])

    began = time.monotonic()
    assert user.run_instances()

    assert time.monotonic() - began > 0.5


def test_a_launch_whose_answer_is_lost_makes_a_second_instance_when_retried(user: User, post_faults: Post) -> None:
    post_faults([{"kind": "lost_answer", "action": "RunInstances", "times": 1}])

    assert refusal(lambda: user.run_instances(ClientToken="night-1")) == ("InternalError", 500)
    (lost,) = user.instances()

    assert user.run_instances(ClientToken="night-1")[0]["InstanceId"] == lost
    user.run_instances(ClientToken="night-2")
    assert len(user.instances()) == 2


@pytest.mark.parametrize("service", ["ec2", "s3"])
def test_an_answer_may_be_lost_with_its_connection(user: User, post_faults: Post, service: str) -> None:
    s3 = boto3.client("s3", config=BotoConfig(retries={"max_attempts": 0}))
    s3.create_bucket(Bucket="store")
    post_faults([{"kind": "lost_answer", "service": service, "action": "*", "closed": True, "times": 1}])

    with pytest.raises(ConnectionClosedError):
        user.run_instances() if service == "ec2" else s3.put_object(Bucket="store", Key="lost", Body=b"x" * 3_000_000)

    assert user.instances() if service == "ec2" else s3.head_object(Bucket="store", Key="lost")


@pytest.mark.parametrize(("per_request", "sent"), [(False, 1), (True, 2)])
def test_a_call_whose_answer_is_lost_is_carried_out_once_unless_the_sdk_gets_through(
    user: User, post_faults: Post, struck: Struck, per_request: bool, sent: int
) -> None:
    instance_id = user.launch()
    post_faults([{"kind": "lost_answer", "action": "SendCommand", "times": 1, "per_request": per_request}])
    user.ssm = boto3.client("ssm", config=BotoConfig(retries={"max_attempts": 1}))

    if per_request:
        assert user.send(instance_id, "true")
    else:
        assert refusal(lambda: user.send(instance_id, "true"))

    assert len(user.ssm.list_commands()["Commands"]) == sent
    assert struck() == [(1, False)]


def test_a_fault_of_ssm_is_raised_as_ssm_does(user: User, post_faults: Post) -> None:
    post_faults([{"action": "SendCommand", "code": "ThrottlingException", "times": 1}])

    assert refusal(lambda: user.send("i-0", "true"))[0] == "ThrottlingException"


@pytest.mark.parametrize("faults", [{}, [{"action": "RunInstances"}], [{"action": "a", "code": "b", "zone": "c"}]])
def test_faults_that_are_not_understood_are_refused(post_faults: Post, faults: Any) -> None:
    with pytest.raises(urllib.error.HTTPError, match="400"):
        post_faults(faults)


def test_faults_can_be_cleared(user: User, post_faults: Post, clear_faults: Any, struck: Struck) -> None:
    assert post_faults([{"action": "RunInstances", "code": "Unsupported"}])

    clear_faults()

    assert user.run_instances()
    assert struck() == []


def test_it_is_told_how_often_a_fault_has_struck(user: User, post_faults: Post, struck: Struck) -> None:
    post_faults(
        [
            {"action": "RunInstances", "code": "Unsupported", "times": 2},
            {"action": "RunInstances", "code": "Unsupported", "instance_type": "c4.xlarge"},
        ]
    )
    for _ in range(2):
        refusal(user.run_instances)

    assert struck() == [(2, False), (0, True)]


# --------------------------------------------------------------------------------------------------- S3


@pytest.fixture
def s3(localcloud: LocalCloud) -> Any:
    """A client of S3, whose bucket ``store`` has an object ``trials/a``."""
    client = boto3.client("s3", config=BotoConfig(retries={"max_attempts": 0}))
    client.create_bucket(Bucket="store")
    client.put_object(Bucket="store", Key="trials/a", Body=b"a")
    return client


OBJECT = {"Bucket": "store", "Key": "trials/a"}
PART = OBJECT | {"UploadId": "1", "PartNumber": 1}


@pytest.mark.parametrize(
    ("action", "method", "parameters"),
    [
        ("ListBuckets", "list_buckets", {}),
        ("HeadBucket", "head_bucket", {"Bucket": "store"}),
        ("ListObjects", "list_objects", {"Bucket": "store"}),
        ("ListObjectsV2", "list_objects_v2", {"Bucket": "store"}),
        ("GetBucketLocation", "get_bucket_location", {"Bucket": "store"}),
        ("DeleteObjects", "delete_objects", {"Bucket": "store", "Delete": {"Objects": [{"Key": "trials/a"}]}}),
        ("GetObject", "get_object", OBJECT),
        ("HeadObject", "head_object", OBJECT),
        ("PutObject", "put_object", OBJECT | {"Body": b"b"}),
        ("CopyObject", "copy_object", OBJECT | {"CopySource": OBJECT}),
        ("DeleteObject", "delete_object", OBJECT),
        ("GetObjectTagging", "get_object_tagging", OBJECT),
        ("CreateMultipartUpload", "create_multipart_upload", OBJECT),
        ("UploadPart", "upload_part", PART | {"Body": b"b"}),
        ("CompleteMultipartUpload", "complete_multipart_upload", OBJECT | {"UploadId": "1"}),
    ],
)
def test_each_operation_of_s3_is_told_from_the_others(
    s3: Any, post_faults: Post, struck: Struck, action: str, method: str, parameters: dict[str, Any]
) -> None:
    post_faults([{"service": "s3", "action": action, "code": "SlowDown"}, {"action": "*", "code": "AccessDenied"}])

    name, status = refusal(lambda: getattr(s3, method)(**parameters))

    assert status == 503
    assert name == ("503" if action.startswith("Head") else "SlowDown")
    assert struck() == [(1, True), (0, True)]


@pytest.mark.parametrize(("code", "status"), [("InternalError", 500), ("SlowDown", 503), ("AccessDenied", 403)])
def test_a_fault_of_s3_has_the_status_of_s3s(s3: Any, post_faults: Post, code: str, status: int) -> None:
    post_faults([{"action": "PutObject", "code": code, "times": 1}])

    assert refusal(lambda: s3.put_object(**OBJECT, Body=b"b")) == (code, status)

    assert s3.get_object(**OBJECT)["Body"].read() == b"a"


def test_a_fault_may_be_for_some_objects_only(s3: Any, post_faults: Post) -> None:
    post_faults([{"action": "PutObject", "code": "InternalError", "key": "/trials/"}])

    assert s3.put_object(Bucket="store", Key="other/a")
    assert refusal(lambda: s3.put_object(**OBJECT))


def test_a_signed_url_is_a_call_of_s3_too(s3: Any, post_faults: Post) -> None:
    signer = boto3.client("s3", config=BotoConfig(signature_version="s3v4"))
    url = signer.generate_presigned_url("get_object", OBJECT)
    post_faults([{"action": "GetObject", "code": "SlowDown", "times": 1}])

    with pytest.raises(urllib.error.HTTPError, match="503"):
        urllib.request.urlopen(url)

    with urllib.request.urlopen(url) as response:
        assert response.read() == b"a"
