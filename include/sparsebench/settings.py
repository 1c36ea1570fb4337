"""Configuration: what differs between a laptop and AWS. Environment variables, read in this one place."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from sparsebench.errors import BadInput

Number = TypeVar("Number", int, float)


def _list(name: str, default: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in os.environ.get(name, default).split(",") if item.strip())


def _number(name: str, default: str, kind: Callable[[str], Number]) -> Number | None:
    text = os.environ.get(name, default)
    try:
        return kind(text) if text else None
    except ValueError:
        raise BadInput(f"{name} is {text!r}; give a number, or leave it empty") from None


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

    gpu_image: str = field(
        default_factory=lambda: os.environ.get(
            "SPARSEBENCH_GPU_IMAGE",
            "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-amazon-linux-2023/latest/ami-id",
        )
    )
    """The same, of instance types with a GPU: with NVIDIA's driver, and of Amazon Linux too."""

    instance_profile: str = field(default_factory=lambda: os.environ.get("SPARSEBENCH_INSTANCE_PROFILE", ""))
    """Name of the instance profile: its role reads and writes the store, and lets the SSM agent in."""

    security_group: str = field(default_factory=lambda: os.environ.get("SPARSEBENCH_SECURITY_GROUP", ""))
    """Empty: the VPC's default group. No ingress is needed."""

    launch_template: str = field(default_factory=lambda: os.environ.get("SPARSEBENCH_LAUNCH_TEMPLATE", ""))
    """Id of the stack's launch template, which brings profile and security group; empty: they are given here."""

    subnets: tuple[str, ...] = field(default_factory=lambda: _list("SPARSEBENCH_SUBNETS", ""))
    """One for each zone that may be launched in. Empty: the default VPC's, in every zone that offers the type."""

    market: str = field(default_factory=lambda: os.environ.get("SPARSEBENCH_MARKET", "on_demand"))
    """on_demand, or spot with on demand where there is none."""

    one_thread_per_core: bool = field(default_factory=lambda: os.environ.get("SPARSEBENCH_ONE_THREAD_PER_CORE") == "1")
    """1: instances without simultaneous multithreading."""

    max_live_instances: int | None = field(default_factory=lambda: _number("SPARSEBENCH_MAX_LIVE_INSTANCES", "", int))
    """At a time. Empty: as many as the account's quota of vCPUs has room for."""

    budget_usd: float | None = field(default_factory=lambda: _number("SPARSEBENCH_BUDGET_USD", "20", float))
    """Of a run. Empty: without limit."""

    ask_above_usd: float | None = field(default_factory=lambda: _number("SPARSEBENCH_ASK_ABOVE_USD", "10", float))
    """A run that is expected to cost more waits for a person's approval. Empty: none does."""
