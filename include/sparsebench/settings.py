"""Configuration: what differs between a laptop and AWS. Environment variables, read in this one place."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path


def _list(name: str, default: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in os.environ.get(name, default).split(",") if item.strip())


@dataclass(frozen=True)
class Settings:
    """Each field is the environment variable SPARSEBENCH_<FIELD IN CAPITALS>.

    Where AWS is (region, endpoint, credentials) is not among them: that is AWS's own configuration, which the
    provider's hooks, boto3 and s3fs all read, so that no two of them look in different places.
    """

    store: str = field(
        default_factory=lambda: os.environ.get("SPARSEBENCH_STORE", (Path.cwd() / ".sparsebench" / "store").as_uri())
    )
    """URI of the store: file:///folder or s3://bucket/prefix."""

    nightly_instance_types: tuple[str, ...] = field(
        default_factory=lambda: _list("SPARSEBENCH_NIGHTLY_INSTANCE_TYPES", "localhost")
    )
    """What the nightly sweep measures on. Only localhost until EC2 types are set, so unpausing costs nothing."""

    nightly_schedule: str = field(default_factory=lambda: os.environ.get("SPARSEBENCH_NIGHTLY_SCHEDULE", "0 2 * * *"))
    """Cron expression, in UTC; once a day, since a night is a date."""

    nightly_protocol: str = field(default_factory=lambda: os.environ.get("SPARSEBENCH_NIGHTLY_PROTOCOL", "quick"))

    image: str = field(
        default_factory=lambda: os.environ.get(
            "SPARSEBENCH_IMAGE", "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
        )
    )
    """An AMI id, or the SSM public parameter that holds one."""

    instance_profile: str = field(default_factory=lambda: os.environ.get("SPARSEBENCH_INSTANCE_PROFILE", ""))
    """Name of the instance profile: its role reads and writes the store, and lets the SSM agent in."""

    subnet: str = field(default_factory=lambda: os.environ.get("SPARSEBENCH_SUBNET", ""))
    """Empty: the default VPC's."""

    security_group: str = field(default_factory=lambda: os.environ.get("SPARSEBENCH_SECURITY_GROUP", ""))
    """Empty: the VPC's default group. No ingress is needed."""
