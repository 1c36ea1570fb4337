"""The stack for AWS, created in the emulated cloud with IAM enforced: a sweep gets through with these rights, and each
statement is there because something fails without it."""

from __future__ import annotations

import asyncio
import fnmatch
import functools
import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError
from tests.support.account import REGION, STACK, TEMPLATE, Account, Keys, read

import sparsebench.fleet
from sparsebench import catalog
from sparsebench.contracts import Job
from sparsebench.errors import StoreError
from sparsebench.fleet import commands, instances
from sparsebench.fleet.instance_types import of_name, on_demand_usd
from sparsebench.localcloud import running
from sparsebench.localcloud.iam import policy
from sparsebench.settings import Settings
from sparsebench.store import Store

pytestmark = pytest.mark.slow

ACCOUNT = "123456789012"
NIGHT = "nights/2026-11-24/manifest.json"
REFUSED = ("UnauthorizedOperation", "AccessDeniedException", "AccessDenied", "403")

Steps = dict[str, Callable[[], object]]


# ---------------------------------------------------------------------------------------------- the text


def statements(node: Any) -> Iterator[dict[str, Any]]:
    """Every policy statement of the template, the role's trust and the bucket's policy included."""
    if isinstance(node, dict):
        if "Effect" in node:
            yield node
        for value in node.values():
            yield from statements(value)
    elif isinstance(node, list):
        for value in node:
            yield from statements(value)


def test_cfn_lint_finds_nothing() -> None:
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--include-checks", "I", "--", str(STACK)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stdout) == (0, "")


def test_those_of_the_catalog_may_be_launched_and_what_costs_much_may_not() -> None:
    patterns = TEMPLATE["Parameters"]["InstanceTypes"]["Default"].split(",")

    def may(name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)

    assert all(may(name) for name, entry in catalog.instance_types().items() if entry.vcpus)
    assert [may(name) for name in ("m8i.large", "c8g.4xlarge", "m7i.48xlarge", "u-6tb1.metal")] == [
        True,
        True,
        False,
        False,
    ]


def test_each_output_is_an_environment_variable_that_isread() -> None:
    known = {f"SPARSEBENCH_{name.upper()}" for name in Settings.model_fields}
    named = {output["Description"] for output in TEMPLATE["Outputs"].values()} - {
        TEMPLATE["Outputs"]["AirflowPolicy"]["Description"]
    }
    assert named == {
        "SPARSEBENCH_STORE",
        "SPARSEBENCH_INSTANCE_PROFILE",
        "SPARSEBENCH_SECURITY_GROUP",
        "SPARSEBENCH_LAUNCH_TEMPLATE",
    }
    assert named <= known


def test_what_moto_does_not_carry_out_is_in_the_template() -> None:
    resources = TEMPLATE["Resources"]
    bucket = resources["Bucket"]
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert len(bucket["Properties"]["PublicAccessBlockConfiguration"]) == 4
    assert all(bucket["Properties"]["PublicAccessBlockConfiguration"].values())
    assert bucket["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}
    group = resources["SecurityGroup"]["Properties"]
    assert "SecurityGroupIngress" not in group
    assert [(rule["FromPort"], rule["ToPort"]) for rule in group["SecurityGroupEgress"]] == [(443, 443)]


# --------------------------------------------------------------------------------------------- the stack


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with running(tmp_path_factory.mktemp("stack"), "--agent-delay-s", "0", "--lag-s", "0", "--enforce-iam") as server:
        yield Account(server)


@pytest.fixture
def config(account: Account, make_job: Callable[..., Job]) -> Iterator[Callable[..., dict[str, Any]]]:
    """Parameters of RunInstances as the project makes them, each for a job of its own. What they launch is ended."""

    def make(settings: Settings | None = None, **changes: Any) -> dict[str, Any]:
        token = uuid4().hex
        job = make_job(job=f"m5.xlarge-{token[:10]}")
        made = instances.launch_config(job, settings or account.settings, "on_demand", f"{REGION}a", None, token)
        return {**made, **changes}

    yield make
    if alive := [instance.instance_id for instance in instances.find(account.ec2, account.settings.store)]:
        account.ec2.terminate_instances(InstanceIds=alive)


@pytest.fixture
def instance(account: Account, config: Any) -> str:
    """One that a sweep has launched."""
    return account.launch(account.airflow, config())


def use(monkeypatch: pytest.MonkeyPatch, account: Account, keys: Keys) -> None:
    """Make these the credentials that s3fs finds."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", account.url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, keys[name.lower()]) if name.lower() in keys else monkeypatch.delenv(
            name, raising=False
        )


# ----------------------------------------------------------------------------------- what is needed of it


def store_steps(uri: str) -> Steps:
    store = Store(uri)  # it looks for credentials when it is first used
    return {
        "store: list": lambda: list(store.paths("nights")),
        "store: miss": lambda: store.exists("nights/2026-11-25/manifest.json"),
        "store: read": lambda: store.read(NIGHT),
        "store: write": lambda: store.write("progress/job.json", b"{}"),
        "store: probe": store.check_writable,
    }


def airflow_steps(account: Account, keys: Keys, instance_id: str, victim: str, launch: dict[str, Any]) -> Steps:
    """Every call of AWS that a sweep makes, each on its own. ``victim``: an instance to be terminated."""
    ec2, ssm, now = account.client("ec2", keys), account.client("ssm", keys), datetime.now(UTC)
    send = {"DocumentName": "AWS-RunShellScript", "InstanceIds": [instance_id], "Parameters": {"commands": ["true"]}}
    command = account.ssm.send_command(**send)["Command"]["CommandId"]
    quota = {"ServiceCode": "ec2", "QuotaCode": "L-1216C47A"}
    metric = {"Namespace": "AWS/EC2", "MetricName": "CPUCreditBalance", "Period": 300, "Statistics": ["Minimum"]}
    return {
        "image": lambda: ssm.get_parameter(Name=Settings().image),
        "arm image": lambda: ssm.get_parameter(Name=Settings().arm_image),
        "root device": lambda: ec2.describe_images(ImageIds=[account.image]),
        "quota": lambda: account.client("service-quotas", keys).get_service_quota(**quota),
        "zones": lambda: ec2.describe_instance_type_offerings(LocationType="availability-zone"),
        "subnets": ec2.describe_subnets,
        "types": ec2.describe_instance_types,
        "spot": lambda: ec2.describe_spot_price_history(InstanceTypes=["m5.xlarge"]),
        "look around": lambda: looked_around(ec2, account),
        "bucket": lambda: account.client("s3", keys).get_bucket_versioning(Bucket=account.bucket),
        "price": lambda: on_demand_usd(account.client("pricing", keys), "m5.xlarge", REGION),
        "launch": lambda: account.launch(keys, launch),
        "find": lambda: instances.find(ec2, account.settings.store),
        "agent": lambda: account.is_online(instance_id, keys),
        "send": lambda: ssm.send_command(**send),
        "list": lambda: ssm.list_commands(InstanceId=instance_id),
        "follow": lambda: ssm.get_command_invocation(CommandId=command, InstanceId=instance_id),
        "cancel": lambda: ssm.cancel_command(CommandId=command, InstanceIds=[instance_id]),
        "credits": lambda: account.client("cloudwatch", keys).get_metric_statistics(
            **metric, StartTime=now - timedelta(minutes=15), EndTime=now
        ),
        "terminate": lambda: ec2.terminate_instances(InstanceIds=[victim]),
        "volumes": ec2.describe_volumes,
        **store_steps(account.settings.store),
    }


def looked_around(ec2: Any, account: Account) -> None:
    """As the doctor does."""
    ec2.describe_launch_templates()
    ec2.describe_route_tables()
    ec2.describe_security_groups()
    ec2.describe_vpc_endpoints()


def refused(steps: Steps) -> dict[str, str]:
    """The steps that end with an access error, and what it says. Any other error is a test's."""
    return {name: why for name, step in steps.items() if (why := refusal(step))}


def refusal(step: Callable[[], object]) -> str | None:
    try:
        step()
    except ClientError as error:
        if error.response["Error"]["Code"] not in REFUSED:
            raise
        return str(error)
    except PermissionError as error:
        return f"PermissionError: {error}"
    except StoreError as error:
        if not isinstance(error.__cause__, PermissionError):
            raise
        return str(error)
    return None


# Of each statement, by its Sid: the steps that fail without it, and what is refused then.
LAUNCH = f"ec2:RunInstances on resource: arn:aws:ec2:{REGION}:"
WITHOUT: dict[str, dict[str, str]] = {
    # Airflow's policy
    "LaunchTaggedInstances": {"launch": f"{LAUNCH}{ACCOUNT}:instance/*"},
    "LaunchEncryptedVolumes": {"launch": f"{LAUNCH}{ACCOUNT}:volume/*"},
    "LaunchImages": {"launch": f"{LAUNCH}:image/ami-"},
    "LaunchInVpc": {"launch": f"{LAUNCH}{ACCOUNT}:subnet/subnet-"},
    "LaunchWithStack": {"launch": f"{LAUNCH}{ACCOUNT}:security-group/sg-"},
    "TagAtLaunch": {"launch": f"ec2:CreateTags on resource: arn:aws:ec2:{REGION}:{ACCOUNT}:instance/*"},
    "PassInstanceRole": {"launch": f"iam:PassRole on resource: arn:aws:iam::{ACCOUNT}:role/sparsebench-InstanceRole-"},
    "TerminateTagged": {"terminate": "ec2:TerminateInstances on resource:"},
    "Look": {
        "zones": "ec2:DescribeInstanceTypeOfferings",
        "subnets": "ec2:DescribeSubnets",
        "types": "ec2:DescribeInstanceTypes",
        "spot": "ec2:DescribeSpotPriceHistory",
        "root device": "ec2:DescribeImages",
        "find": "ec2:DescribeInstances",
        "volumes": "ec2:DescribeVolumes",
    },
    "SendToTagged": {"send": f"ssm:SendCommand on resource: arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-"},
    "SendShellScript": {"send": f"ssm:SendCommand on resource: arn:aws:ssm:{REGION}::document/AWS-RunShellScript"},
    "FollowCommands": {
        "agent": "ssm:DescribeInstanceInformation",
        "list": "ssm:ListCommands",
        "follow": "ssm:GetCommandInvocation",
        "cancel": "ssm:CancelCommand",
    },
    "ReadImageParameters": {
        "image": f"ssm:GetParameter on resource: arn:aws:ssm:{REGION}::parameter/aws/service/ami-",
        "arm image": f"ssm:GetParameter on resource: arn:aws:ssm:{REGION}::parameter/aws/service/canonical/",
    },
    "ReadQuotas": {"quota": "servicequotas:GetServiceQuota"},
    "Diagnose": {"look around": "ec2:DescribeLaunchTemplates"},
    "DiagnoseBucket": {"bucket": "s3:GetBucketVersioning"},
    "ReadPrices": {"price": "pricing:GetProducts"},
    "ReadMetrics": {"credits": "cloudwatch:GetMetricStatistics"},
    "ListStore": {"store: list": "s3:ListBucket", "store: miss": "Forbidden"},
    "ReadStore": {"store: read": "Forbidden", "store: miss": "Forbidden"},
    "WriteStore": {"store: write": "s3:PutObject", "store: probe": "s3:PutObject"},
    "RemoveProbe": {"store: probe": "s3:DeleteObject"},
    # the instances' role
    "InstanceListsStore": {"store: list": "s3:ListBucket", "store: miss": "Forbidden"},
    "InstanceReadsStore": {"store: read": "Forbidden", "store: miss": "Forbidden"},
    "InstanceWritesStore": {"store: write": "s3:PutObject", "store: probe": "s3:PutObject"},
    "InstanceRemovesProbe": {"store: probe": "s3:DeleteObject"},
    "AgentRegisters": {"agent": "no agent"},
    "AgentTakesCommands": {"agent": "no agent"},
    # its trust, and the bucket's policy; each has a test of its own below
    "Ec2HandsItOut": {"credentials": "AssumeRoleUnauthorizedAccess", "agent": "no agent"},
    "DenyWithoutTls": {},
}


def test_every_statement_has_a_name_and_a_test() -> None:
    named = [statement["Sid"] for statement in statements(TEMPLATE)]
    assert len(named) == len(set(named))
    assert set(named) == set(WITHOUT)


def sids(document: dict[str, Any]) -> list[str]:
    return [statement["Sid"] for statement in document["Statement"]]


def without(document: dict[str, Any], sid: str) -> dict[str, Any]:
    assert sid in sids(document)
    return {**document, "Statement": [statement for statement in document["Statement"] if statement["Sid"] != sid]}


def told(steps: dict[str, str], expected: dict[str, str]) -> bool:
    """Whether just these steps were refused, each with this in what was said."""
    return steps.keys() == expected.keys() and all(expected[step] in steps[step] for step in expected)


OF_INSTANCES = [sid for sid in WITHOUT if sid.startswith(("Instance", "Agent"))]
OF_AIRFLOW = [sid for sid in WITHOUT if sid not in (*OF_INSTANCES, "Ec2HandsItOut", "DenyWithoutTls")]


@pytest.fixture
def night(account: Account) -> None:
    account.client("s3", account.admin).put_object(Bucket=account.bucket, Key=f"store/{NIGHT}", Body=b"{}")


@pytest.mark.usefixtures("night")
@pytest.mark.parametrize("sid", OF_AIRFLOW)
def test_without_a_statement_of_airflows_just_its_step_fails(
    account: Account, instance: str, config: Any, monkeypatch: pytest.MonkeyPatch, sid: str
) -> None:
    keys = account.user(f"without-{sid}", without(account.policy, sid))
    use(monkeypatch, account, keys)
    victim = account.launch(account.airflow, config())

    steps = refused(airflow_steps(account, keys, instance, victim, config()))

    assert told(steps, WITHOUT[sid]), steps


@pytest.mark.usefixtures("night")
def test_airflow_needs_no_other_statement(
    account: Account, instance: str, config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, account, account.airflow)
    victim = account.launch(account.airflow, config())
    assert refused(airflow_steps(account, account.airflow, instance, victim, config())) == {}
    assert sorted(sids(account.policy)) == sorted(OF_AIRFLOW)


def instance_steps(account: Account, instance_id: str, monkeypatch: pytest.MonkeyPatch) -> Steps:
    """What an instance does by its role."""

    def agent() -> None:
        if not account.is_online(instance_id, account.admin):
            raise PermissionError("no agent")

    steps: Steps = {"credentials": functools.partial(account.instance_keys, instance_id), "agent": agent}
    if refusal(steps["credentials"]):
        return steps
    use(monkeypatch, account, account.instance_keys(instance_id))
    return {**steps, **store_steps(account.settings.store)}


@pytest.mark.usefixtures("night")
@pytest.mark.parametrize("sid", OF_INSTANCES)
def test_without_a_statement_of_the_instances_just_its_step_fails(
    account: Account, instance: str, monkeypatch: pytest.MonkeyPatch, sid: str
) -> None:
    put = functools.partial(account.iam.put_role_policy, RoleName=account.role, PolicyName="instance")
    put(PolicyDocument=json.dumps(without(account.role_policy, sid)))
    try:
        steps = refused(instance_steps(account, instance, monkeypatch))
    finally:
        put(PolicyDocument=json.dumps(account.role_policy))

    assert told(steps, WITHOUT[sid]), steps


@pytest.mark.usefixtures("night")
def test_instances_need_no_other_statement(account: Account, instance: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(instance_steps(account, instance, monkeypatch)) == {}
    assert sorted(sids(account.role_policy)) == sorted(OF_INSTANCES)


def test_without_ec2_hands_it_out_an_instance_has_no_credentials(
    account: Account, instance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust = functools.partial(account.iam.update_assume_role_policy, RoleName=account.role)
    assert sids(account.trust) == ["Ec2HandsItOut"]
    nobody_else = json.dumps(account.trust).replace("ec2.amazonaws.com", "lambda.amazonaws.com")
    trust(PolicyDocument=nobody_else)  # a policy needs a statement
    try:
        steps = refused(instance_steps(account, instance, monkeypatch))
    finally:
        trust(PolicyDocument=json.dumps(account.trust))

    assert told(steps, WITHOUT["Ec2HandsItOut"]), steps


@pytest.mark.usefixtures("night")
def test_without_deny_without_tls_an_object_can_be_had_in_the_clear(account: Account) -> None:
    admin = account.client("s3", account.admin)
    clear = account.client("s3", account.admin)
    clear.meta.events.register(
        "before-sign.s3", lambda request, **_: request.headers.add_header("X-Forwarded-Proto", "http")
    )
    read = {"Bucket": account.bucket, "Key": f"store/{NIGHT}"}
    assert "explicit deny" in (refusal(lambda: clear.get_object(**read)) or "")
    assert "explicit deny" in (refusal(lambda: clear.list_objects_v2(Bucket=account.bucket)) or "")
    assert not refusal(lambda: admin.get_object(**read))

    text = admin.get_bucket_policy(Bucket=account.bucket)["Policy"]
    rest = without(json.loads(text), "DenyWithoutTls")
    admin.put_bucket_policy(Bucket=account.bucket, Policy=json.dumps(rest))
    try:
        assert not refusal(lambda: clear.get_object(**read))
    finally:
        admin.put_bucket_policy(Bucket=account.bucket, Policy=text)


def test_the_policy_fits_into_what_iam_takes(account: Account) -> None:
    """6144 characters of a managed policy, white space not counted; the role's 10240 are for inline policies."""
    assert len(json.dumps(account.policy, separators=(",", ":"))) <= 6144


# ------------------------------------------------------------------------------------- what it does not allow


def tagged(kinds: str, *tags: str) -> list[dict[str, Any]]:
    return [
        {"ResourceType": kind, "Tags": [{"Key": tag, "Value": "benchmark_sweep"} for tag in tags]}
        for kind in kinds.split()
    ]


@pytest.mark.parametrize(
    ("changes", "access"),
    [
        ({"TagSpecifications": tagged("instance volume", "Name")}, "ec2:RunInstances on resource: {ec2}:instance/*"),
        ({"TagSpecifications": tagged("volume", "sparsebench")}, "ec2:RunInstances on resource: {ec2}:instance/*"),
        ({"TagSpecifications": tagged("instance", "sparsebench")}, "ec2:RunInstances on resource: {ec2}:volume/*"),
        (
            {"TagSpecifications": tagged("instance volume network-interface", "sparsebench")},
            "ec2:CreateTags on resource: {ec2}:network-interface/*",
        ),
        ({"InstanceType": "p5.48xlarge"}, "ec2:RunInstances on resource: {ec2}:instance/*"),
        ({"MetadataOptions": {"HttpTokens": "optional"}}, "ec2:RunInstances on resource: {ec2}:instance/*"),
        (
            {"BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 30, "VolumeType": "gp3"}}]},
            "ec2:RunInstances on resource: {ec2}:volume/*",
        ),
        ({"IamInstanceProfile": {"Name": "other"}}, f"iam:PassRole on resource: arn:aws:iam::{ACCOUNT}:role/other"),
        ({"SecurityGroupIds": ["{group}"]}, "ec2:RunInstances on resource: {ec2}:security-group/{group}"),
        ({"LaunchTemplate": {"LaunchTemplateId": "{template}"}}, "resource: {ec2}:launch-template/{template}"),
        ({"SubnetId": "{subnet}", "Placement": {}}, "ec2:RunInstances on resource: {ec2}:subnet/{subnet}"),
        ({"ImageId": "{image}"}, "ec2:RunInstances on resource: arn:aws:ec2:us-east-1::image/{image}"),
        ({"KeyName": "mine"}, "ec2:RunInstances on resource: {ec2}:key-pair/mine"),
    ],
)
def test_a_launch_is_refused(account: Account, foreign: dict[str, str], config: Any, changes: Any, access: str) -> None:
    """With another tag, type, metadata service, disk, role, group, template, VPC or image, or with a key pair."""
    for name, value in foreign.items():
        changes = json.loads(json.dumps(changes).replace(f"{{{name}}}", value))
        access = access.replace(f"{{{name}}}", value)
    launch = {"ImageId": account.image, "MinCount": 1, "MaxCount": 1, **config(), **changes}
    why = refusal(lambda: account.client("ec2", account.airflow).run_instances(**launch))
    assert why
    assert access in why


@pytest.fixture(scope="module")
def foreign(account: Account, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What is not the stack's, by the names that the cases above use for it."""
    ec2, iam = account.ec2, account.iam
    trust = json.dumps(account.trust)
    iam.create_role(RoleName="other", AssumeRolePolicyDocument=trust)
    iam.create_instance_profile(InstanceProfileName="other")
    iam.add_role_to_instance_profile(InstanceProfileName="other", RoleName="other")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24", AvailabilityZone=f"{REGION}a")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="other", Description="other", VpcId=account.vpc)["GroupId"]
    data: Any = {"InstanceType": "m5.xlarge"}
    template = ec2.create_launch_template(LaunchTemplateName="other", LaunchTemplateData=data)["LaunchTemplate"]
    instance = account.launch(account.admin, {"InstanceType": "m5.xlarge"})
    image = ec2.create_image(InstanceId=instance, Name="other")["ImageId"]
    return {
        "ec2": f"arn:aws:ec2:{REGION}:{ACCOUNT}",
        "group": group,
        "image": image,
        "instance": instance,
        "subnet": subnet,
        "template": template["LaunchTemplateId"],
    }


def test_the_launch_template_alone_brings_what_a_launch_must_have(account: Account, config: Any) -> None:
    """Its role must be allowed to be passed as much as one that the launch names."""
    bare = config(Settings(store=account.settings.store, launch_template=account.settings.launch_template))
    for name in ("MetadataOptions", "BlockDeviceMappings"):
        del bare[name]
    assert not {"IamInstanceProfile", "SecurityGroupIds"} & bare.keys()
    assert not refusal(lambda: account.launch(account.airflow, {**bare, "ClientToken": uuid4().hex}))

    keys = account.user("without-passing", without(account.policy, "PassInstanceRole"))
    why = refusal(lambda: account.launch(keys, {**bare, "ClientToken": uuid4().hex}))
    assert why
    assert "iam:PassRole" in why


def test_the_role_is_passed_to_ec2_and_to_no_other_service(account: Account) -> None:
    role = account.iam.get_role(RoleName=account.role)["Role"]["Arn"]

    def passed_to(service: str) -> str | None:
        return policy.refusal(
            policy.parse(account.policy), policy.Access("iam:PassRole", role, {"iam:passedtoservice": service})
        )

    assert passed_to("ec2.amazonaws.com") is None
    assert passed_to("lambda.amazonaws.com")


def test_an_instance_of_somebody_else_is_left_alone(account: Account, foreign: dict[str, str]) -> None:
    other = foreign["instance"]
    ec2, ssm = account.client("ec2", account.airflow), account.client("ssm", account.airflow)
    send = {"DocumentName": "AWS-RunShellScript", "InstanceIds": [other], "Parameters": {"commands": ["true"]}}
    for step in (
        lambda: ec2.terminate_instances(InstanceIds=[other]),
        lambda: ssm.send_command(**send),
        lambda: ec2.create_tags(Resources=[other], Tags=[{"Key": "sparsebench", "Value": "benchmark_sweep"}]),
    ):
        assert f"instance/{other}" in (refusal(step) or "")


def test_of_systems_manager_only_the_one_document_and_public_images(account: Account, instance: str) -> None:
    ssm = account.client("ssm", account.airflow)
    account.ssm.put_parameter(Name="/secret", Value="secret", Type="String")
    send = {"DocumentName": "AWS-RunPowerShellScript", "InstanceIds": [instance]}
    assert "document/AWS-RunPowerShellScript" in (refusal(lambda: ssm.send_command(**send)) or "")
    assert "parameter/secret" in (refusal(lambda: ssm.get_parameter(Name="/secret")) or "")


@pytest.mark.usefixtures("night")
@pytest.mark.parametrize("whose", ["airflow", "instance"])
def test_what_is_beside_the_store_is_not_reached_and_nothing_in_it_is_deleted(
    account: Account, instance: str, whose: str
) -> None:
    keys = account.airflow if whose == "airflow" else account.instance_keys(instance)
    s3, beside = account.client("s3", keys), {"Bucket": account.bucket, "Key": "storehouse/secret"}
    account.client("s3", account.admin).put_object(**beside, Body=b"secret")
    for step in (
        lambda: s3.get_object(**beside),
        lambda: s3.put_object(**beside, Body=b"mine"),
        lambda: s3.list_objects_v2(Bucket=account.bucket, Prefix="storehouse/"),
        lambda: s3.list_object_versions(Bucket=account.bucket, Prefix="store/"),
        lambda: s3.delete_object(Bucket=account.bucket, Key=f"store/{NIGHT}"),
        lambda: s3.put_bucket_policy(Bucket=account.bucket, Policy="{}"),
        lambda: s3.list_buckets(),
    ):
        assert refusal(step)


WRITTEN_BY_INSTANCES = (
    *("artifacts/x.onnx", "checkpoints/x.pt", "models/x/base.json", "nights/2026-11-24/hosts/localhost/i-1.json"),
    *("nights/2026-11-24/trials/localhost/x/1.json", "outputs/x.txt", "progress/x.json", "sensitivities/x.json"),
    "trainings/x.json",
)
WRITTEN_BY_AIRFLOW = (
    *("nights/2026-11-24/manifest.json", "nights/2026-11-24/report/index.html", "nights/2026-11-24/jobs/x.json"),
    *("nights/2026-11-24/collections/x.json", "launches/x/i-1.json", "failures/x.json", "requests/x.json"),
    *("payloads/x.whl", "locks/x.txt"),
)


def test_an_instance_writes_what_it_makes_and_nothing_that_airflow_decides_by_or_shows(
    account: Account, instance: str
) -> None:
    s3 = account.client("s3", account.instance_keys(instance))

    def put(path: str) -> Callable[[], object]:
        return lambda: s3.put_object(Bucket=account.bucket, Key=f"store/{path}", Body=b"")

    assert {path for path in WRITTEN_BY_INSTANCES if refusal(put(path))} == set()
    assert {path for path in WRITTEN_BY_AIRFLOW if not refusal(put(path))} == set()


def test_a_network_interface_is_made_in_the_vpc_alone() -> None:
    (statement,) = (each for each in statements(TEMPLATE) if each["Sid"] == "LaunchInVpc")
    others = [each for each in statements(TEMPLATE) if "network-interface" in str(each) and each is not statement]
    assert others == []
    assert "network-interface/*" in str(statement["Resource"])


def test_an_instance_may_do_nothing_of_what_airflow_may(
    account: Account, instance: str, config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = account.instance_keys(instance)
    steps = airflow_steps(account, keys, instance, instance, config())
    assert refused({name: step for name, step in steps.items() if not name.startswith("store")}).keys() == {
        name for name in steps if not name.startswith("store")
    }


# ------------------------------------------------------------------------------------------------ a sweep

ON_THE_INSTANCE = """
import os
from sparsebench.store import Store

assert not any(name.startswith("AWS_ACCESS") for name in os.environ)
store = Store({store!r})
store.check_writable()
print(store.read({night!r}).decode())
store.write("nights/2026-11-24/trials/trial.json", b"measured")
"""


def context() -> Any:
    """Of a task, as far as the operators look at it."""

    class Kept(dict[str, Any]):
        def set(self, key: str, value: Any) -> None:
            self[key] = value

    ti = MagicMock()
    return {"ti": ti, "task_instance": ti, "task_state_store": Kept()}


def carried_out(operator: Any) -> str:
    """What a step returns once everything that it waits for has happened."""
    from airflow.sdk.exceptions import TaskDeferred

    async def fired(trigger: Any) -> Any:
        return (await anext(trigger.run())).payload

    event = None
    while True:
        try:
            return str(operator.execute_complete(context(), event))
        except TaskDeferred as stopped:
            event = asyncio.run(asyncio.wait_for(fired(stopped.trigger), 60))


def test_a_sweep_gets_through(
    account: Account, make_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The operators of the DAG, as Airflow's user; on the instance, the store by the role's credentials."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    from sparsebench_airflow import triggers
    from sparsebench_airflow.image import resolve_image
    from sparsebench_airflow.quota import max_live
    from sparsebench_airflow.reap import left_over
    from sparsebench_airflow.step import InstanceStepOperator
    from sparsebench_airflow.terminate import TerminateInstancesOperator

    use(monkeypatch, account, account.airflow)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "aws://")
    for name, value in account.outputs.items():
        if name.startswith("SPARSEBENCH_"):
            monkeypatch.setenv(name, value)
    work = shlex.join([sys.executable, "-c", ON_THE_INSTANCE.format(store=account.settings.store, night=NIGHT)])
    package = Path(sparsebench.fleet.__file__).parents[2]
    scripts = {"prepare": "true", "work": f"PYTHONPATH={shlex.quote(str(package))} {work}"}
    monkeypatch.setattr(commands, "script", lambda step, *_: scripts[step])
    monkeypatch.setattr(triggers, "POLL_S", 0.2)

    store = Store(Settings().store)
    store.check_writable()
    store.write(NIGHT, b"frozen")
    job = make_job(
        job=f"t3.xlarge-{uuid4().hex[:10]}",
        instance_type="t3.xlarge",
        image=resolve_image("image"),
        max_live=max_live([of_name("t3.xlarge", REGION, "instance_types")]),
    ).model_dump(mode="json")
    instance_id = carried_out(InstanceStepOperator(task_id="work", job=job, step="work"))
    assert store.read("nights/2026-11-24/trials/trial.json") == b"measured"
    assert TerminateInstancesOperator(task_id="terminate", job=job).execute(context()) == [instance_id]
    left_over(MagicMock())


def test_an_instance_fetches_by_url_what_airflow_has_signed(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, account, account.airflow)
    store = Store(account.settings.store)
    store.write("locks/lock.txt", b"numpy")
    assert read(store.url("locks/lock.txt"), {}) == "numpy"
