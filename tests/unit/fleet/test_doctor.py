"""The doctor finds nothing wrong with an account that has the stack, and names each thing that is broken."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config
from tests.support.account import REGION, Account
from typer.testing import CliRunner

from sparsebench import doctor
from sparsebench.cli import app
from sparsebench.doctor import Finding
from sparsebench.doctor.account import needed
from sparsebench.doctor.findings import Patient
from sparsebench.localcloud import running

pytestmark = pytest.mark.slow

TYPES = ("m7i.xlarge", "t3.large")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with running(tmp_path_factory.mktemp("doctor"), "--enforce-iam") as server:
        account = Account(server)
        # as the stack says, which moto does not carry out
        account.client("s3", account.admin).put_bucket_versioning(
            Bucket=account.bucket, VersioningConfiguration={"Status": "Enabled"}
        )
        yield account


Examine = Callable[..., list[Finding]]


@pytest.fixture
def examine(whole: Account, monkeypatch: pytest.MonkeyPatch) -> Examine:
    """As Airflow's user, with the stack's outputs but for what is changed."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)

    def examined(
        keys: dict[str, str] | None = None, now: datetime | None = None, region: str | None = REGION, **changes: Any
    ) -> list[Finding]:
        def client(service: str, region: str | None = region) -> Any:
            return boto3.client(  # type: ignore[call-overload]
                service,
                endpoint_url=whole.url,
                region_name=region,
                config=Config(retries={"max_attempts": 0}),
                **(whole.airflow if keys is None else keys),
            )

        settings = whole.settings.model_copy(update={"nightly_instance_types": TYPES, **changes})
        return doctor.examine(settings, client, region, now)

    return examined


def wrong(findings: list[Finding]) -> dict[str, str]:
    return {finding.what: f"{finding.told} | {finding.todo}" for finding in findings if finding.state != "right"}


def test_nothing_is_wrong_with_an_account_that_has_the_stack(examine: Examine) -> None:
    findings = examine()
    assert wrong(findings) == {}
    told = {finding.what: finding.told for finding in findings}
    assert told["credentials"].startswith("arn:aws:iam::123456789012:user/airflow, at http://127.0.0.1:")
    assert told["quota"] == (
        "64 vCPUs (Running On-Demand Standard instances), and the largest type has 4: 16 of those at a time"
    )
    assert "may: launch" in told
    assert len([finding for finding in findings if finding.what.startswith("may: ")]) == 13


@pytest.mark.parametrize(
    ("changes", "what", "message"),
    [
        ({"region": None}, "region", r"none is configured \| set AWS_DEFAULT_REGION"),
        ({"keys": {"aws_access_key_id": "x", "aws_secret_access_key": "x"}}, "credentials", "not expired"),
        ({"now": datetime.now(UTC) + timedelta(days=1)}, "clock", r"8\d{4} s ahead of AWS's \| let .* NTP"),
        ({"store": "file:///tmp/store"}, "store", r"an instance of EC2 does not reach it \| set SPARSEBENCH_STORE"),
        ({"store": "s3://nobodys/store"}, "store", r"\| set SPARSEBENCH_STORE|may look"),
        ({"nightly_instance_types": ("m7x.xlarge",)}, "instance type", r"not offered in us-east-1; near are .*m7"),
        ({"nightly_instance_types": ("mac2.metal",)}, "instance type", "arm64_mac"),
        ({"nightly_instance_types": ("m7i.48xlarge",)}, "quota", r"the largest type has 192 \| ask for more: console"),
        ({"image": "ami-00000000000000000"}, "image", r"InvalidAMIID\.NotFound.*\| set SPARSEBENCH_IMAGE"),
        ({"image": "/aws/service/none"}, "image", r"ParameterNotFound.*\| set SPARSEBENCH_IMAGE|may look"),
        ({"instance_profile": "nobodys"}, "instance profile", r"NoSuchEntity.*\| set SPARSEBENCH_INSTANCE_PROFILE"),
        ({"launch_template": "lt-00000000000000000"}, "launch template", r"\| set SPARSEBENCH_LAUNCH_TEMPLATE"),
        ({"security_group": "sg-00000000000000000"}, "security group", r"\| set SPARSEBENCH_SECURITY_GROUP"),
        ({"subnets": ("subnet-00000000000000000",)}, "subnets", r"InvalidSubnetID.*\| set SPARSEBENCH_SUBNETS"),
    ],
)
def test_what_is_broken_is_named_with_what_to_do(
    examine: Examine, changes: dict[str, Any], what: str, message: str
) -> None:
    findings = wrong(examine(**changes))
    assert what in findings
    assert re.search(message, findings[what]), findings[what]


def test_graviton_has_an_image_of_its_own(examine: Examine) -> None:
    findings = {finding.what: finding.told for finding in examine(nightly_instance_types=("c8g.large", "m7i.large"))}
    assert "ubuntu" in findings["image for arm64"]
    assert "al2023" in findings["image"]
    broken = wrong(examine(nightly_instance_types=("c8g.large",), arm_image="ami-00000000000000000"))
    assert "set SPARSEBENCH_ARM_IMAGE to an AMI of this region" in broken["image for arm64"]
    of_x86 = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    broken = wrong(examine(nightly_instance_types=("c8g.large",), arm_image=of_x86))
    assert "set SPARSEBENCH_ARM_IMAGE to one for arm64" in broken["image for arm64"]


def test_a_bucket_without_versions_or_that_takes_what_comes_in_the_clear_is_named(
    whole: Account, examine: Examine
) -> None:
    s3 = whole.client("s3", whole.admin)
    s3.create_bucket(Bucket="plain")
    everything = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    findings = wrong(examine(keys=whole.user("all", everything), store="s3://plain/store"))
    assert "enable versioning" in findings["store: versions"]
    assert "give it the stack's policy" in findings["store: TLS"]


def test_a_bucket_of_another_region_is_named(whole: Account, examine: Examine) -> None:
    s3 = boto3.client("s3", endpoint_url=whole.url, region_name="eu-central-1", **whole.admin)  # type: ignore[call-overload]
    s3.create_bucket(Bucket="away", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    findings = wrong(examine(keys=whole.admin, store="s3://away/store"))
    assert "eu-central-1" in findings["store"]


def test_a_subnet_without_a_way_out_and_a_zone_without_the_type_are_named(whole: Account, examine: Examine) -> None:
    vpc = whole.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = whole.ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24", AvailabilityZone=f"{REGION}e")["Subnet"]
    findings = wrong(examine(subnets=(subnet["SubnetId"],)))
    assert "no SSM agent comes online | route 0.0.0.0/0" in findings["way out"]
    assert "is offered in none of us-east-1e | add a subnet in us-east-1a" in findings["zones"]


MAY = ("TerminateTagged", "SendToTagged", "FollowCommands", "ReadPrices", "WriteStore", "LaunchTaggedInstances")


@pytest.mark.parametrize("sid", MAY)
def test_a_permission_that_is_missing_is_named(whole: Account, examine: Examine, sid: str) -> None:
    rest = [statement for statement in whole.policy["Statement"] if statement["Sid"] != sid]
    findings = wrong(examine(keys=whole.user(f"without-{sid}", {**whole.policy, "Statement": rest})))
    what = "may: launch" if sid.startswith("Launch") else f"may: {sid}"
    assert "may not" in findings[what] or "UnauthorizedOperation" in findings[what]
    assert "stack" in findings[what] or "docs/aws.md" in findings[what]


def test_each_right_that_the_stack_gives_is_asked_for_as_it_is_there(whole: Account) -> None:
    given = {
        statement["Sid"]: {actions} if isinstance(actions := statement["Action"], str) else set(actions)
        for statement in whole.policy["Statement"]
    }
    arn = "arn:aws:iam::123456789012:user/airflow"
    patient = Patient(whole.settings, lambda *_: None, REGION, datetime.now(UTC), arn)

    asked = {sid: set(actions) for sid, actions, _, _ in needed(patient)}

    assert asked == {sid: given[sid] for sid in asked}
    by_trying = {"PassInstanceRole", "ReadImageParameters", "Diagnose", "DiagnoseBucket", "TagAtLaunch"}
    assert {sid for sid in given.keys() - asked.keys() if not sid.startswith("Launch")} == by_trying


def test_who_may_not_look_is_told_so_and_what_is_right_is_right(whole: Account, examine: Examine) -> None:
    rest = [statement for statement in whole.policy["Statement"] if not statement["Sid"].startswith("Diagnose")]
    findings = examine(keys=whole.user("blind", {**whole.policy, "Statement": rest}))
    assert doctor.is_well([finding for finding in findings if finding.what != "may: launch"])
    unknown = {finding.what: finding.todo for finding in findings if finding.state == "unknown"}
    assert {"store: versions", "way out"} <= set(unknown)
    assert "image" not in unknown  # at which sweeps look, too
    assert all("may look" in todo for todo in unknown.values())


def test_the_command_prints_a_table_and_fails_where_something_is_wrong(
    whole: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", whole.url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    for name, value in whole.airflow.items():
        monkeypatch.setenv(name.upper(), value)
    for name, value in whole.outputs.items():
        if name.startswith("SPARSEBENCH_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("SPARSEBENCH_NIGHTLY_INSTANCE_TYPES", "m7i.xlarge")

    well = CliRunner().invoke(app, ["doctor"])
    assert (well.exit_code, well.exception) == (0, None), well.output
    assert "0.2016 USD/h on demand" in well.output

    monkeypatch.setenv("SPARSEBENCH_IMAGE", "ami-00000000000000000")
    ill = CliRunner().invoke(app, ["doctor"])
    assert ill.exit_code == 1
    assert "✗" in ill.output
    assert "set SPARSEBENCH_IMAGE" in ill.output
