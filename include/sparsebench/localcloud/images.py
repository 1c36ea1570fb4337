"""Ubuntu's image for Graviton, which moto does not have, and the public parameter that names it."""

from __future__ import annotations

from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends
from moto.ec2.models.amis import Ami
from moto.ssm.models import Parameter, ssm_backends

UBUNTU = "/aws/service/canonical/ubuntu/server/22.04/stable/current/arm64/hvm/ebs-gp2/ami-id"
_ID, _OWNER = "ami-0a7b6c5d4e3f21000", "099720109477"
_NAME = "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-arm64-server"


def offer_ubuntu(region: str) -> None:
    """Have moto offer it in a region, as Canonical does."""
    ec2: Any = ec2_backends[DEFAULT_ACCOUNT_ID][region]
    if _ID not in ec2.amis:
        ec2.amis[_ID] = Ami(
            ec2,
            ami_id=_ID,
            name=_NAME,
            owner_id=_OWNER,
            public=True,
            architecture="arm64",
            state="available",
            virtualization_type="hvm",
            root_device_name="/dev/sda1",
            root_device_type="ebs",
        )
    ssm: Any = ssm_backends[DEFAULT_ACCOUNT_ID][region]
    make: Any = Parameter
    if not dict.get(ssm._parameters, UBUNTU):
        ssm._parameters[UBUNTU].append(
            make(
                account_id=DEFAULT_ACCOUNT_ID,
                name=UBUNTU,
                value=_ID,
                parameter_type="String",
                description=None,
                allowed_pattern=None,
                keyid=None,
                last_modified_date=utcnow(),
                version=1,
                data_type="aws:ec2:image",
            )
        )
