"""The metadata service: an instance knows itself and has credentials, by the same path as on EC2."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import boto3

from sparsebench.localcloud import LocalCloud

from .conftest import User
from .test_ec2 import ROLE_POLICY

BENCH_PYTHON = Path(__file__).parents[3] / ".envs" / "bench" / "bin" / "python"
CURL = 'curl --silent --noproxy "*"'
TOKEN = f'token=$({CURL} -X PUT -H "X-aws-ec2-metadata-token-ttl-seconds: 60" $BASE/latest/api/token)'
BASE = "BASE=$AWS_EC2_METADATA_SERVICE_ENDPOINT"


def run_python(user: User, instance_id: str, python: Path | str, code: str) -> str:
    result = user.run(instance_id, f"{python} -c {shlex.quote(code)}")
    assert result["Status"] == "Success", result["StandardErrorContent"]
    return str(result["StandardOutputContent"]).strip()


def test_nothing_is_said_without_a_token(user: User) -> None:
    status = f'{CURL} -o /dev/null -w "%{{http_code}} " '
    instance_id = user.launch()

    result = user.run(
        instance_id,
        BASE,
        f"{status} $BASE/latest/meta-data/instance-id",
        f'{status} -H "X-aws-ec2-metadata-token: guess" $BASE/latest/meta-data/instance-id',
        f"{status} -X PUT $BASE/latest/api/token",
    )

    assert result["StandardOutputContent"].split() == ["401", "401", "400"]


def test_an_instance_knows_itself_and_that_it_is_emulated(user: User) -> None:
    instance_id = user.launch(InstanceType="c4.xlarge", Placement={"AvailabilityZone": "us-east-1b"})
    get = f'{CURL} -H "X-aws-ec2-metadata-token: $token" $BASE/latest'

    result = user.run(
        instance_id,
        BASE,
        TOKEN,
        *(f"{get}/meta-data/{key}; echo" for key in ("instance-id", "instance-type", "placement/availability-zone")),
        f"{get}/dynamic/instance-identity/document",
    )

    *facts, document = result["StandardOutputContent"].splitlines()
    assert facts == [instance_id, "c4.xlarge", "us-east-1b"]
    assert json.loads(document) == {
        "accountId": "123456789012",
        "instanceId": instance_id,
        "instanceType": "c4.xlarge",
        "imageId": user.image,
        "region": "us-east-1",
        "availabilityZone": "us-east-1b",
        "emulated": True,
    }


def test_boto3_finds_the_role_of_the_instance_profile(user: User, localcloud: LocalCloud) -> None:
    iam = boto3.client("iam")
    iam.create_role(RoleName="bench-role", AssumeRolePolicyDocument=ROLE_POLICY)
    iam.create_instance_profile(InstanceProfileName="bench")
    iam.add_role_to_instance_profile(InstanceProfileName="bench", RoleName="bench-role")
    instance_id = user.launch(IamInstanceProfile={"Name": "bench"})

    code = "import boto3; print(boto3.client('sts', 'us-east-1').get_caller_identity()['Arn'])"

    arn = run_python(user, instance_id, sys.executable, code)
    assert arn == f"arn:aws:sts::123456789012:assumed-role/bench-role/{instance_id}"


def test_without_a_profile_there_are_credentials_too(user: User) -> None:
    instance_id = user.launch()
    code = "import boto3; print(boto3.Session().get_credentials().method)"

    assert run_python(user, instance_id, sys.executable, code) == "iam-role"


def test_s3fs_of_the_bench_environment_reaches_the_store(user: User, localcloud: LocalCloud) -> None:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="store")
    code = "import s3fs; s3fs.S3FileSystem().pipe('store/trial.json', b'{}')"

    run_python(user, user.launch(), BENCH_PYTHON, code)

    assert s3.get_object(Bucket="store", Key="trial.json")["Body"].read() == b"{}"
