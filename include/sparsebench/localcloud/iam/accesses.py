"""What a request wants, as IAM sees it: the accesses that must all be allowed, as AWS's Service Authorization
Reference lists them for the actions that the project uses.

An action that is not modelled is one on all resources: only a statement about ``*`` allows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends
from moto.s3.exceptions import S3ClientError
from moto.s3.models import s3_backends
from werkzeug import Request

from sparsebench.localcloud.faults import s3_target
from sparsebench.localcloud.iam.policy import Access

Fields = Mapping[str, Any]

_KINDS = {
    "ami": "image",
    "eni": "network-interface",
    "i": "instance",
    "lt": "launch-template",
    "sg": "security-group",
    "subnet": "subnet",
    "vol": "volume",
}
"""Kind of a resource of EC2, by the beginning of its id."""


def _backend(region: str) -> Any:
    return ec2_backends[DEFAULT_ACCOUNT_ID][region]


def _arn(region: str, kind: str, name: str) -> str:
    owner = "" if kind == "image" else DEFAULT_ACCOUNT_ID
    return f"arn:aws:ec2:{region}:{owner}:{kind}/{name}"


# ------------------------------------------------------------------------------------------------ EC2


def of_ec2(parameters: Mapping[str, str], region: str) -> Iterator[Access]:
    action, fields = f"ec2:{parameters.get('Action')}", _fields(parameters)
    if action == "ec2:RunInstances":
        yield from _launch(fields, region)
        return
    ids = fields.get("ResourceId") or fields.get("InstanceId") or []
    if not ids or action.startswith("ec2:Describe"):
        yield Access(action)
        return
    for resource_id in [ids] if isinstance(ids, str) else ids:
        kind = _KINDS.get(resource_id.partition("-")[0], "*")
        yield Access(action, _arn(region, kind, resource_id), _tags(region, resource_id, "ec2:resourcetag/"))


def _fields(parameters: Mapping[str, str]) -> dict[str, Any]:
    """EC2's flat parameters with the structure that their names give: Tag.1.Key is in the list Tag."""
    tree: dict[str, Any] = {}
    for name, value in parameters.items():
        *path, last = name.split(".")
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        node[last] = value
    return {name: _listed(value) for name, value in tree.items()}


def _listed(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if all(name.isdecimal() for name in node):
        return [_listed(node[name]) for name in sorted(node, key=int)]
    return {name: _listed(value) for name, value in node.items()}


def _tags(region: str, resource_id: str, prefix: str) -> dict[str, str]:
    tags = _backend(region).tags.get(resource_id, {})
    return {f"{prefix}{key}".lower(): value for key, value in tags.items()}


def _launch(asked: Fields, region: str) -> Iterator[Access]:
    """RunInstances must be allowed on each resource that a launch makes or uses; tags and the role, too."""
    template, data = _template(asked.get("LaunchTemplate"), region)
    asked = {**(asked.get("NetworkInterface") or [{}])[0], **asked}  # which may name subnet and groups instead
    tagged = {spec["ResourceType"]: _request_tags(spec["Tag"]) for spec in asked.get("TagSpecification", [])}

    def on(kind: str, name: str = "*", context: Mapping[str, str] | None = None) -> Access:
        return Access("ec2:RunInstances", _arn(region, kind, name), {**(context or {}), **tagged.get(kind, {})})

    metadata = asked.get("MetadataOptions") or data.get("MetadataOptions") or {}
    instance_type = asked.get("InstanceType") or data.get("InstanceType") or "m1.small"
    tokens = metadata.get("HttpTokens", "optional")
    yield on("instance", context={"ec2:instancetype": instance_type, "ec2:metadatahttptokens": tokens})
    for device in asked.get("BlockDeviceMapping") or data.get("BlockDeviceMappings") or [{}]:
        encrypted = str(device.get("Ebs", {}).get("Encrypted", False)).lower()
        yield on("volume", context={"ec2:encrypted": encrypted})
    image = asked.get("ImageId") or data.get("ImageId") or ""
    yield on("image", image, _owner(image, region))
    subnet = _subnet(asked, region)
    vpc = {"ec2:vpc": _arn(region, "vpc", subnet.vpc_id)} if subnet else {}
    yield on("subnet", subnet.id if subnet else "*", vpc)
    yield on("network-interface", context=vpc)
    for group in asked.get("SecurityGroupId") or data.get("SecurityGroupIds") or [_default_group(subnet, region)]:
        yield on("security-group", group, vpc)
    if template:
        yield on("launch-template", template)
    if key := asked.get("KeyName") or data.get("KeyName"):
        yield on("key-pair", key)
    for kind, tags in tagged.items():
        yield Access("ec2:CreateTags", _arn(region, kind, "*"), {"ec2:createaction": "RunInstances", **tags})
    for role in _passed(asked.get("IamInstanceProfile") or data.get("IamInstanceProfile") or {}):
        yield Access("iam:PassRole", role, {"iam:passedtoservice": "ec2.amazonaws.com"})


def _request_tags(tags: list[dict[str, str]]) -> dict[str, str]:
    return {f"aws:requesttag/{tag['Key']}".lower(): tag.get("Value", "") for tag in tags}


def _template(asked: Fields | None, region: str) -> tuple[str | None, Fields]:
    """Id and content of the launch template that is asked for."""
    if not asked:
        return None, {}
    backend = _backend(region)
    try:
        if "LaunchTemplateId" in asked:
            template = backend.get_launch_template(asked["LaunchTemplateId"])
        else:
            template = backend.get_launch_template_by_name(asked["LaunchTemplateName"])
        return template.id, template.get_version(asked.get("Version", "$Default")).data
    except EC2ClientError:
        return "*", {}  # moto will say that there is no such template


def _owner(image: str, region: str) -> dict[str, str]:
    ami = _backend(region).amis.get(image)
    return {"ec2:owner": ami.owner_alias or ami.owner_id} if ami else {}


def _subnet(asked: Fields, region: str) -> Any | None:
    """The subnet of a launch: the one that it names, or the default one of its zone."""
    backend = _backend(region)
    if "SubnetId" in asked:
        try:
            return backend.get_subnet(asked["SubnetId"])
        except EC2ClientError:
            return None  # moto will say that there is no such subnet
    defaults = backend.get_default_subnets()
    zone = asked.get("Placement", {}).get("AvailabilityZone") or min(defaults, default="")
    return defaults.get(zone)


def _default_group(subnet: Any | None, region: str) -> str:
    group = _backend(region).get_default_security_group(subnet.vpc_id if subnet else None)
    return group.id if group else "*"


def _passed(profile: Fields) -> list[str]:
    """ARNs of the roles of an instance profile."""
    profiles = iam_backends[DEFAULT_ACCOUNT_ID]["aws"].instance_profiles
    name = profile.get("Name") or str(profile.get("Arn", "")).rpartition("/")[2]
    return [role.arn for role in profiles[name].roles] if name in profiles else []


# --------------------------------------------------------------------------- SSM, and other JSON services


def of_ssm(action: str, body: Fields, region: str) -> Iterator[Access]:
    if action == "SendCommand":
        document = body["DocumentName"]
        owner = "" if document.startswith("AWS-") else DEFAULT_ACCOUNT_ID
        yield Access(f"ssm:{action}", f"arn:aws:ssm:{region}:{owner}:document/{document}")
        for instance in _targets(body, region):
            tags = _tags(region, instance, "ssm:resourcetag/")
            yield Access(f"ssm:{action}", _arn(region, "instance", instance), tags)
    elif action in ("GetParameter", "GetParameters"):
        for name in body.get("Names") or [body["Name"]]:
            owner = "" if name.startswith("/aws/service/") else DEFAULT_ACCOUNT_ID
            yield Access(f"ssm:{action}", f"arn:aws:ssm:{region}:{owner}:parameter/{name.removeprefix('/')}")
    else:
        yield Access(f"ssm:{action}")


def _targets(body: Fields, region: str) -> Iterator[str]:
    """Ids of the instances that a command is sent to."""
    yield from body.get("InstanceIds", [])
    tagged = {target["Key"].lower(): target["Values"] for target in body.get("Targets", [])}
    yield from tagged.pop("instanceids", [])
    for instance in list(_backend(region).all_instances()) if tagged else []:
        tags = _tags(region, instance.id, "tag:")
        if all(tags.get(key) in values for key, values in tagged.items()):
            yield instance.id


# ------------------------------------------------------------------------------------------------- S3

_S3_ACTIONS = {
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "DeleteObjects": "DeleteObject",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListBuckets": "ListAllMyBuckets",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListParts": "ListMultipartUploadParts",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
}
"""IAM's name of an action where it is not the operation's."""

_NAMESPACE = re.compile(r"^\{.*\}")


def of_s3(request: Request) -> Iterator[Access]:
    target = s3_target(request)
    action = f"s3:{_S3_ACTIONS.get(target.action, target.action)}"
    if "versionId" in request.args and action in ("s3:GetObject", "s3:DeleteObject"):
        action += "Version"
    context = {"s3:prefix": request.args["prefix"]} if "prefix" in request.args else {}
    keys = _listed_keys(request) if target.action == "DeleteObjects" else [target.key.partition("/")[2]]
    bucket = target.key.partition("/")[0]
    for key in keys:
        yield Access(action, _s3_arn(bucket, key), context)
    if source := request.headers.get("x-amz-copy-source"):
        yield Access("s3:GetObject", _s3_arn(*unquote(source).partition("?")[0].removeprefix("/").split("/", 1)))
    if action == "s3:GetObject" and not _is_there(bucket, keys[0]):
        # S3 tells only those who may list the bucket that there is no such key; to others it is forbidden.
        yield Access("s3:ListBucket", _s3_arn(bucket))


def bucket_policy(access: Access) -> bytes | None:
    """The policy of the bucket that an access is about."""
    bucket = access.resource.removeprefix("arn:aws:s3:::").partition("/")[0]
    kept = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets.get(bucket)
    return kept.policy if kept else None


def _s3_arn(bucket: str, key: str = "") -> str:
    return f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}" if bucket else "*"


def _listed_keys(request: Request) -> list[str]:
    body = ElementTree.fromstring(request.get_data())  # noqa: S314 - from this machine
    return [element.text or "" for element in body.iter() if _NAMESPACE.sub("", element.tag) == "Key"]


def _is_there(bucket: str, key: str) -> bool:
    """Also where there is no such bucket: moto will say so."""
    try:
        return s3_backends[DEFAULT_ACCOUNT_ID]["aws"].get_object(bucket, key) is not None
    except S3ClientError:
        return True
