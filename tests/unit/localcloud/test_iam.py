"""IAM, where localcloud is told to enforce it: what a policy says is what happens."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sparsebench.localcloud import LocalCloud, running
from sparsebench.localcloud.iam.policy import Access, PolicyError, parse, refusal

from .conftest import IMAGE

ACCOUNT = "123456789012"
Statement = dict[str, Any]


def allow(action: str | list[str] = "*", resource: str | list[str] = "*", **more: Any) -> Statement:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: str = "*", resource: str = "*", **more: Any) -> Statement:
    return allow(action, resource, **more) | {"Effect": "Deny"}


# ------------------------------------------------------------------------------------ what a policy says


def allows(statement: Statement | list[Statement], action: str, resource: str = "*", **context: str) -> bool:
    access = Access(action, resource, {name.replace("_", ":", 1): value for name, value in context.items()})
    return refusal(parse({"Statement": statement}), access) is None


@pytest.mark.parametrize(
    ("statement", "action", "allowed"),
    [
        (allow("ec2:RunInstances"), "ec2:RunInstances", True),
        (allow("EC2:runinstances"), "ec2:RunInstances", True),
        (allow("ec2:Run*"), "ec2:RunInstances", True),
        (allow("ec2:?unInstances"), "ec2:RunInstances", True),
        (allow(["ec2:Describe*", "ec2:StopInstances"]), "ec2:RunInstances", False),
        (allow("ec2:Run"), "ec2:RunInstances", False),
        (allow("ec2.RunInstances"), "ec2:RunInstances", False),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, "ec2:RunInstances", True),
        ({"Effect": "Allow", "NotAction": "ec2:*", "Resource": "*"}, "ec2:RunInstances", False),
    ],
)
def test_actions_match_with_wildcards_in_any_case(statement: Statement, action: str, allowed: bool) -> None:
    assert allows(statement, action) is allowed


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        (allow(resource="arn:aws:s3:::store/a/*"), True),
        (allow(resource=["arn:aws:s3:::other/*", "arn:aws:s3:::store/a/?"]), True),
        (allow(resource="arn:aws:s3:::store"), False),
        (allow(resource="arn:aws:s3:::STORE/*"), False),
        ({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::store/a/*"}, False),
        ({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::store/b/*"}, True),
    ],
)
def test_resources_match_with_wildcards(statement: Statement, allowed: bool) -> None:
    assert allows(statement, "s3:GetObject", "arn:aws:s3:::store/a/b") is allowed


def test_an_action_without_resources_needs_all_of_them() -> None:
    assert not allows(allow("ssm:ListCommands", "arn:aws:ssm:*"), "ssm:ListCommands")


def test_nothing_is_allowed_unless_a_statement_says_so_and_a_deny_wins() -> None:
    assert not allows([], "s3:GetObject")
    assert not allows([allow(), deny("s3:Get*")], "s3:GetObject")
    assert not allows([deny("s3:Get*"), allow()], "s3:GetObject")
    assert allows([allow(), deny("s3:Put*")], "s3:GetObject")


@pytest.mark.parametrize(
    ("condition", "value", "allowed"),
    [
        ({"StringEquals": {"ec2:InstanceType": ["m5.xlarge", "t3.xlarge"]}}, "t3.xlarge", True),
        ({"StringEquals": {"ec2:InstanceType": "m5.*"}}, "m5.xlarge", False),
        ({"StringEquals": {"EC2:instancetype": "m5.xlarge"}}, "m5.xlarge", True),
        ({"StringEquals": {"ec2:InstanceType": "m5.xlarge"}}, None, False),
        ({"StringEqualsIfExists": {"ec2:InstanceType": "m5.xlarge"}}, None, True),
        ({"StringEqualsIfExists": {"ec2:InstanceType": "m5.xlarge"}}, "t3.xlarge", False),
        ({"StringLike": {"ec2:InstanceType": "m?.*"}}, "m5.xlarge", True),
        ({"StringLike": {"ec2:InstanceType": "*"}}, "", True),
        ({"StringLike": {"ec2:InstanceType": "*"}}, None, False),
    ],
)
def test_conditions_on_strings(condition: Any, value: str | None, allowed: bool) -> None:
    context = {} if value is None else {"ec2_instancetype": value}
    assert allows(allow(Condition=condition), "ec2:RunInstances", **context) is allowed


@pytest.mark.parametrize(("wanted", "allowed"), [("true", True), (True, True), ("false", False), (False, False)])
def test_a_condition_on_a_truth(wanted: str | bool, allowed: bool) -> None:
    statement = allow(Condition={"Bool": {"ec2:Encrypted": wanted}})
    assert allows(statement, "ec2:RunInstances", ec2_encrypted="true") is allowed


@pytest.mark.parametrize("operator", ["ArnEquals", "ArnLike"])
@pytest.mark.parametrize(
    ("wanted", "allowed"),
    [
        ("arn:aws:ec2:us-east-1:1:vpc/vpc-1", True),
        ("arn:aws:ec2:*:*:vpc/vpc-*", True),
        ("arn:*:vpc/vpc-1", False),
        ("arn:aws:ec2:us-east-1:1:vpc/vpc-2", False),
    ],
)
def test_a_condition_on_an_arn_goes_part_by_part(operator: str, wanted: str, allowed: bool) -> None:
    statement = allow(Condition={operator: {"ec2:Vpc": wanted}})
    assert allows(statement, "ec2:RunInstances", ec2_vpc="arn:aws:ec2:us-east-1:1:vpc/vpc-1") is allowed


def test_all_conditions_of_a_statement_must_hold() -> None:
    condition = {"StringEquals": {"ec2:InstanceType": "m5.xlarge"}, "Bool": {"ec2:Encrypted": "true"}}
    held = {"ec2_instancetype": "m5.xlarge", "ec2_encrypted": "true"}
    assert allows(allow(Condition=condition), "ec2:RunInstances", **held)
    for missing in held:
        rest = {name: value for name, value in held.items() if name != missing}
        assert not allows(allow(Condition=condition), "ec2:RunInstances", **rest)


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        (allow(Condition={"IpAddress": {"aws:SecureTransport": "10.0.0.0/8"}}), "operator IpAddress"),
        (allow(Condition={"ForAllValues:StringEquals": {"aws:RequestTag/a": "b"}}), "ForAllValues"),
        (allow(Condition={"StringEquals": {"aws:SourceIp": "10.0.0.1"}}), "key aws:SourceIp"),
        (allow(resource="arn:aws:s3:::store/${aws:username}/*"), "variables"),
        (allow(Audience="everyone"), "element Audience"),
        ({"Effect": "allow", "Action": "*", "Resource": "*"}, "Effect is 'allow'"),
    ],
)
def test_what_is_not_known_is_an_error(statement: Statement, what: str) -> None:
    with pytest.raises(PolicyError, match=what):
        parse({"Statement": [statement]})


# -------------------------------------------------------------------------------------- over the network


class Account:
    """An account whose policies are enforced. What is not checked (IAM, CloudFormation) is open to all."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.url = cloud.url
        self.root = cloud.keys.boto3
        self.iam = self.client("iam", self.root)
        self.admin = self.user(allow())

    def client(self, service: str, keys: dict[str, str], **config: Any) -> Any:
        made = Config(retries={"max_attempts": 0}, **config)
        return boto3.client(service, endpoint_url=self.url, region_name="us-east-1", config=made, **keys)  # type: ignore[call-overload]

    def user(self, *statements: Statement) -> dict[str, str]:
        """Access keys of a new user with these statements."""
        name = f"user-{uuid4().hex}"
        self.iam.create_user(UserName=name)
        if statements:
            policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
            self.iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy)
        return self.keys(name)

    def keys(self, name: str) -> dict[str, str]:
        key = self.iam.create_access_key(UserName=name)["AccessKey"]
        return {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}

    def bucket(self) -> str:
        """A bucket with the object ``a/b``."""
        s3, name = self.client("s3", self.admin), f"bucket-{uuid4().hex}"
        s3.create_bucket(Bucket=name)
        s3.put_object(Bucket=name, Key="a/b", Body=b"content")
        return name


@pytest.fixture(scope="module")
def enforcing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with running(tmp_path_factory.mktemp("enforcing"), "--agent-delay-s", "0", "--enforce-iam") as server:
        yield server


@pytest.fixture(scope="module")
def account(enforcing: LocalCloud) -> Account:
    return Account(enforcing)


def error(call: Any, **parameters: Any) -> tuple[str, int, str]:
    """Code, HTTP status and message of a call that fails."""
    with pytest.raises(ClientError) as failed:
        call(**parameters)
    answer: Any = failed.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


def code(call: Any, **parameters: Any) -> str:
    return error(call, **parameters)[0]


def refused_with(call: Any, **parameters: Any) -> str | None:
    """The code of an error, if there is one."""
    try:
        call(**parameters)
    except ClientError as failed:
        return str(failed.response["Error"]["Code"])
    return None


@pytest.mark.parametrize(
    ("service", "call", "parameters", "code", "status", "access"),
    [
        (
            "ec2",
            "terminate_instances",
            {"InstanceIds": ["i-1"]},
            "UnauthorizedOperation",
            403,
            f"ec2:TerminateInstances on resource: arn:aws:ec2:us-east-1:{ACCOUNT}:instance/i-1",
        ),
        ("ec2", "describe_vpcs", {}, "UnauthorizedOperation", 403, "ec2:DescribeVpcs on resource: *"),
        (
            "ssm",
            "get_parameter",
            {"Name": IMAGE},
            "AccessDeniedException",
            400,
            f"ssm:GetParameter on resource: arn:aws:ssm:us-east-1::parameter{IMAGE}",
        ),
        ("ssm", "list_commands", {}, "AccessDeniedException", 400, "ssm:ListCommands on resource: *"),
        (
            "s3",
            "get_object",
            {"Bucket": "store", "Key": "a/b"},
            "AccessDenied",
            403,
            "s3:GetObject on resource: arn:aws:s3:::store/a/b",
        ),
        ("s3", "list_buckets", {}, "AccessDenied", 403, "s3:ListAllMyBuckets on resource: *"),
        (
            "service-quotas",
            "get_service_quota",
            {"ServiceCode": "ec2", "QuotaCode": "L-1216C47A"},
            "AccessDeniedException",
            400,
            "servicequotas:GetServiceQuota on resource: *",
        ),
        ("cloudwatch", "list_metrics", {}, "AccessDeniedException", 400, "cloudwatch:ListMetrics on resource: *"),
    ],
)
def test_what_no_policy_allows_is_refused_as_aws_does(
    account: Account, service: str, call: str, parameters: Any, code: str, status: int, access: str
) -> None:
    refusal = error(getattr(account.client(service, account.user()), call), **parameters)
    assert refusal[:2] == (code, status)
    assert f"is not authorized to perform: {access} because no policy allows" in refusal[2]
    assert f"arn:aws:iam::{ACCOUNT}:user/user-" in refusal[2]

    with_right = getattr(account.client(service, account.user(allow(access.partition(" ")[0]))), call)
    assert refused_with(with_right, **parameters) != code


def test_enforcement_is_off_by_default(localcloud: LocalCloud) -> None:
    account = Account(localcloud)
    assert account.client("ec2", account.user()).describe_vpcs()["Vpcs"]


@pytest.mark.parametrize(
    ("service", "call", "expected"),
    [
        ("ec2", "describe_vpcs", "AuthFailure"),
        ("ssm", "list_commands", "UnrecognizedClientException"),
        ("s3", "list_buckets", "InvalidAccessKeyId"),
    ],
)
def test_an_access_key_of_nobody_is_refused(account: Account, service: str, call: str, expected: str) -> None:
    assert code(getattr(account.client(service, account.root), call)) == expected


def test_a_policy_that_cannot_be_evaluated_allows_nothing(account: Account) -> None:
    night = {"DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}}
    ec2 = account.client("ec2", account.user(allow(), allow(Condition=night)))
    refusal, _, message = error(ec2.describe_vpcs)
    assert refusal == "UnauthorizedOperation"
    assert "localcloud cannot evaluate a policy: the condition operator DateLessThan" in message


def test_the_policies_of_a_group_and_managed_ones_count(account: Account) -> None:
    iam, keys, name = account.iam, account.user(), f"group-{uuid4().hex}"
    user = iam.get_access_key_last_used(AccessKeyId=keys["aws_access_key_id"])["UserName"]
    ec2 = account.client("ec2", keys)
    iam.create_group(GroupName=name)
    iam.add_user_to_group(GroupName=name, UserName=user)
    assert code(ec2.describe_vpcs) == "UnauthorizedOperation"

    policy = json.dumps({"Version": "2012-10-17", "Statement": allow("ec2:DescribeVpcs")})
    managed = iam.create_policy(PolicyName=name, PolicyDocument=policy)["Policy"]["Arn"]
    iam.attach_group_policy(GroupName=name, PolicyArn=managed)
    assert ec2.describe_vpcs()["Vpcs"]

    nothing = json.dumps({"Version": "2012-10-17", "Statement": deny("ec2:*")})
    iam.create_policy_version(PolicyArn=managed, PolicyDocument=nothing, SetAsDefault=True)
    assert "explicit deny" in error(ec2.describe_vpcs)[2]


# ------------------------------------------------------------------------------------------------- S3


def test_s3_says_that_a_key_is_missing_only_to_who_may_list_the_bucket(account: Account) -> None:
    bucket = account.bucket()
    reader = account.client("s3", account.user(allow("s3:GetObject")))
    assert reader.get_object(Bucket=bucket, Key="a/b")["Body"].read() == b"content"
    assert code(reader.get_object, Bucket=bucket, Key="a/c") == "AccessDenied"
    assert code(reader.head_object, Bucket=bucket, Key="a/c") == "403"

    lister = account.client("s3", account.user(allow(["s3:GetObject", "s3:ListBucket"])))
    assert code(lister.get_object, Bucket=bucket, Key="a/c") == "NoSuchKey"
    assert code(lister.head_object, Bucket=bucket, Key="a/c") == "404"


def test_a_list_is_of_a_prefix(account: Account) -> None:
    bucket = account.bucket()
    condition = {"StringLike": {"s3:prefix": "a/*"}}
    s3 = account.client("s3", account.user(allow("s3:ListBucket", f"arn:aws:s3:::{bucket}", Condition=condition)))
    assert s3.list_objects_v2(Bucket=bucket, Prefix="a/")["KeyCount"] == 1
    assert code(s3.list_objects_v2, Bucket=bucket, Prefix="b/") == "AccessDenied"
    assert code(s3.list_objects_v2, Bucket=bucket) == "AccessDenied"


def test_a_copy_must_be_allowed_to_read(account: Account) -> None:
    bucket = account.bucket()
    copy = {"Bucket": bucket, "Key": "mine/b", "CopySource": f"{bucket}/a/b"}
    writer = account.client("s3", account.user(allow("s3:PutObject", f"arn:aws:s3:::{bucket}/mine/*")))
    assert f"s3:GetObject on resource: arn:aws:s3:::{bucket}/a/b" in error(writer.copy_object, **copy)[2]
    both = [allow("s3:PutObject", f"arn:aws:s3:::{bucket}/mine/*"), allow("s3:GetObject", f"arn:aws:s3:::{bucket}/a/*")]
    account.client("s3", account.user(*both)).copy_object(**copy)


def test_each_key_of_a_bulk_delete_is_checked(account: Account) -> None:
    bucket = account.bucket()
    s3 = account.client("s3", account.user(allow("s3:DeleteObject", f"arn:aws:s3:::{bucket}/mine/*")))
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "mine/b"}]})
    both: Any = {"Objects": [{"Key": "mine/b"}, {"Key": "a/b"}]}
    assert f"arn:aws:s3:::{bucket}/a/b" in error(s3.delete_objects, Bucket=bucket, Delete=both)[2]


def test_a_large_object_is_put_in_parts_by_who_may_put_it(account: Account) -> None:
    bucket = account.bucket()
    s3 = account.client("s3", account.user(allow("s3:PutObject", f"arn:aws:s3:::{bucket}/mine/*")))
    upload = {"Bucket": bucket, "Key": "mine/large"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    part = s3.upload_part(**upload, PartNumber=1, Body=b"part")
    parts: Any = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(**upload, MultipartUpload=parts)
    assert code(s3.create_multipart_upload, Bucket=bucket, Key="a/large") == "AccessDenied"


def get(url: str, **headers: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as response:
            return int(response.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def test_a_signed_url_is_worth_what_its_signer_may(account: Account) -> None:
    bucket = account.bucket()
    keys = account.user(allow("s3:GetObject", f"arn:aws:s3:::{bucket}/a/*"))
    s3 = account.client("s3", keys, signature_version="s3v4")
    signed = {key: s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key}) for key in ("a/b", "c")}
    assert get(signed["a/b"]) == 200
    assert get(signed["c"]) == 403
    assert get(f"{account.url}/{bucket}/a/b") == 403  # not signed at all


def test_signature_version_2_is_refused_as_for_any_bucket_of_today(account: Account) -> None:
    bucket = account.bucket()
    s3 = account.client("s3", account.admin, signature_version="s3")
    url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "a/b"})
    assert "AWSAccessKeyId" in url
    assert get(url) == 400


def test_a_bucket_policy_allows_and_denies_by_principal(account: Account) -> None:
    bucket, admin = account.bucket(), account.client("s3", account.admin)
    friend, other = account.user(), account.user()
    name = account.iam.get_access_key_last_used(AccessKeyId=friend["aws_access_key_id"])["UserName"]

    def put(**statement: Any) -> None:
        admin.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": statement}))

    put(**allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:user/{name}"}))
    account.client("s3", friend).get_object(Bucket=bucket, Key="a/b")
    assert code(account.client("s3", other).get_object, Bucket=bucket, Key="a/b") == "AccessDenied"

    put(**deny("s3:GetObject", f"arn:aws:s3:::{bucket}/*", Principal="*"))
    assert "explicit deny" in error(admin.get_object, Bucket=bucket, Key="a/b")[2]


def test_loopback_counts_as_tls_unless_the_client_says_otherwise(account: Account) -> None:
    bucket, s3 = account.bucket(), account.client("s3", account.admin)
    condition = {"Bool": {"aws:SecureTransport": "false"}}
    statement = deny("s3:*", f"arn:aws:s3:::{bucket}/*", Principal="*", Condition=condition)
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    v4 = account.client("s3", account.admin, signature_version="s3v4")
    url = v4.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "a/b"})
    assert get(url) == 200
    assert get(url, **{"X-Forwarded-Proto": "http"}) == 403


# ------------------------------------------------------------------------------------- EC2 and SSM


def launch(account: Account, profile: str = "", **tags: str) -> str:
    ec2, ssm = account.client("ec2", account.admin), account.client("ssm", account.admin)
    image = ssm.get_parameter(Name=IMAGE)["Parameter"]["Value"]
    named: Any = [{"Key": key, "Value": value} for key, value in tags.items()]
    specs: Any = [{"ResourceType": "instance", "Tags": named}] if named else []
    having: Any = {"IamInstanceProfile": {"Name": profile}} if profile else {}
    launched = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, TagSpecifications=specs, **having)
    return str(launched["Instances"][0]["InstanceId"])


def test_a_tag_on_the_instance_decides(account: Account) -> None:
    own, other = launch(account, team="mine"), launch(account, team="other")
    condition = {"StringEquals": {"ec2:ResourceTag/team": "mine"}}
    ec2 = account.client("ec2", account.user(allow("ec2:StopInstances", Condition=condition)))
    ec2.stop_instances(InstanceIds=[own])
    assert f"instance/{other}" in error(ec2.stop_instances, InstanceIds=[own, other])[2]


def test_tagging_at_launch_is_not_tagging_later(account: Account) -> None:
    instance_id = launch(account)
    condition = {"StringEquals": {"ec2:CreateAction": "RunInstances"}}
    ec2 = account.client("ec2", account.user(allow("ec2:CreateTags", Condition=condition)))
    later: Any = {"Resources": [instance_id], "Tags": [{"Key": "team", "Value": "mine"}]}
    assert (
        f"ec2:CreateTags on resource: arn:aws:ec2:us-east-1:{ACCOUNT}:instance/{instance_id}"
        in error(ec2.create_tags, **later)[2]
    )


def test_a_command_by_tag_is_checked_on_each_instance_that_has_it(account: Account) -> None:
    instance_id = launch(account, purpose="bench", team="other")
    condition = {"StringLike": {"ssm:resourceTag/team": "mine"}}
    document = "arn:aws:ssm:us-east-1::document/AWS-RunShellScript"
    rights = [allow("ssm:SendCommand", document), allow("ssm:SendCommand", Condition=condition)]
    ssm = account.client("ssm", account.user(*rights))
    command: Any = {"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": ["true"]}}
    to: Any = {"Targets": [{"Key": "tag:purpose", "Values": ["bench"]}]}
    assert f"instance/{instance_id}" in error(ssm.send_command, **command, **to)[2]


def has_agent(account: Account, instance_id: str) -> bool:
    filters: Any = [{"Key": "InstanceIds", "Values": [instance_id]}]
    information = account.client("ssm", account.admin).describe_instance_information(Filters=filters)
    return bool(information["InstanceInformationList"])


@pytest.mark.parametrize(
    ("service", "rights", "comes"),
    [
        ("ec2.amazonaws.com", [allow(["ssm:*", "ssmmessages:*"])], True),
        ("lambda.amazonaws.com", [allow(["ssm:*", "ssmmessages:*"])], False),
        ("ec2.amazonaws.com", [allow("ssm:*")], False),
        ("ec2.amazonaws.com", [allow(), allow(Condition={"StringNotEquals": {"s3:prefix": "a"}})], False),
    ],
)
def test_an_agent_comes_online_if_its_role_may(account: Account, service: str, rights: Any, comes: bool) -> None:
    iam, name = account.iam, f"role-{uuid4().hex}"
    trust: Any = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
    policy = json.dumps({"Version": "2012-10-17", "Statement": rights})
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy)
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    assert has_agent(account, launch(account, name)) is comes


def test_an_instance_without_a_role_has_no_credentials_and_no_agent(account: Account) -> None:
    instance_id = launch(account)
    assert not has_agent(account, instance_id)
    metadata = f"{account.cloud.of_instance(instance_id, 'imds')}/latest"
    request = urllib.request.Request(
        f"{metadata}/api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    )
    with urllib.request.urlopen(request) as response:
        token = response.read().decode()
    assert get(f"{metadata}/meta-data/instance-id", **{"X-aws-ec2-metadata-token": token}) == 200
    assert get(f"{metadata}/meta-data/iam/security-credentials/", **{"X-aws-ec2-metadata-token": token}) == 404
