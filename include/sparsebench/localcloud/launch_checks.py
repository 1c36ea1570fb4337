"""What EC2 refuses of a launch, each with its code; moto launches most of it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES
from moto.iam.models import iam_backends

from sparsebench.localcloud import prices

THIS_MACHINE = "localhost"
"""The one type that EC2 does not have."""

USER_DATA_BYTES = 16_384

Parameters = Mapping[str, str]


class Refusal(NamedTuple):
    code: str
    message: str


def refusal(parameters: Parameters, region: str, zone: str | None) -> Refusal | None:
    """The first thing that is wrong with a launch.

    Args:
        zone: that it names, itself or by its subnet.
    """
    return next(_refusals(parameters, region, zone), None)


def _refusals(parameters: Parameters, region: str, zone: str | None) -> Iterator[Refusal]:
    backend: Any = ec2_backends[DEFAULT_ACCOUNT_ID][region]
    template = parameters.get("LaunchTemplate.LaunchTemplateId")
    if template and not _is_there(lambda: backend.get_launch_template(template)):
        yield Refusal(
            "InvalidLaunchTemplateId.NotFound", f"The specified launch template, '{template}', does not exist."
        )
    named = parameters.get("LaunchTemplate.LaunchTemplateName")
    if named and not _is_there(lambda: backend.get_launch_template_by_name(named)):
        yield Refusal(
            "InvalidLaunchTemplateName.NotFoundException", f"The specified launch template, '{named}', does not exist."
        )
    profile = (
        parameters.get("IamInstanceProfile.Name") or parameters.get("IamInstanceProfile.Arn", "").rpartition("/")[2]
    )
    if profile and profile not in iam_backends[DEFAULT_ACCOUNT_ID]["aws"].instance_profiles:
        yield Refusal(
            "InvalidParameterValue",
            f"Value ({profile}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name",
        )
    key = parameters.get("KeyName")
    if key and key not in backend.key_pairs:
        yield Refusal("InvalidKeyPair.NotFound", f"The key pair '{key}' does not exist")
    if _length(parameters.get("UserData", "")) > USER_DATA_BYTES:
        yield Refusal("InvalidParameterValue", f"User data is limited to {USER_DATA_BYTES} bytes")
    instance_type = parameters.get("InstanceType")
    if instance_type and instance_type != THIS_MACHINE:
        yield from _of_type(parameters, region, zone, instance_type, backend)


def _of_type(parameters: Parameters, region: str, zone: str | None, name: str, backend: Any) -> Iterator[Refusal]:
    known = INSTANCE_TYPES.get(name)
    if known is None:
        yield Refusal("InvalidParameterValue", f"Invalid value '{name}' for InstanceType.")
        return
    if not prices.is_offered(name, region):
        yield Refusal("Unsupported", f"The instance type {name} is not supported in the region {region}.")
    offers = INSTANCE_TYPE_OFFERINGS["availability-zone"].get(region, [])
    if zone and offers and not any((zone, name) == (offer["Location"], offer["InstanceType"]) for offer in offers):
        yield Refusal(
            "Unsupported",
            f"Your requested instance type ({name}) is not supported in your requested Availability Zone ({zone}).",
        )
    image, architectures = (
        backend.amis.get(parameters.get("ImageId", "")),
        known["ProcessorInfo"]["SupportedArchitectures"],
    )
    if image is not None and image.architecture not in architectures:
        yield Refusal(
            "InvalidParameterValue",
            f"The architecture '{', '.join(architectures)}' of the specified instance type does not match the "
            f"architecture '{image.architecture}' of the specified AMI.",
        )
    cpus = known["VCpuInfo"]
    for option, valid in (("CoreCount", "ValidCores"), ("ThreadsPerCore", "ValidThreadsPerCore")):
        value = parameters.get(f"CpuOptions.{option}")
        if value and value not in map(str, cpus.get(valid, [])):
            yield Refusal("InvalidParameterValue", f"CpuOptions.{option} of {value} is not valid for {name}")


def _is_there(look: Callable[[], object]) -> bool:
    try:
        return look() is not None
    except EC2ClientError:
        return False


def _length(encoded: str) -> int:
    """The length of user data, in bytes, as the instance gets it."""
    try:
        return len(base64.b64decode(encoded, validate=True))
    except binascii.Error:
        return len(encoded)
