"""Configuration: what differs between a laptop and AWS. Environment variables, read in this one place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from sparsebench.contracts import Market
from sparsebench.errors import BadInput

PREFIX = "SPARSEBENCH_"

AMAZON_LINUX = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
AMAZON_LINUX_GPU = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-amazon-linux-2023/latest/ami-id"
UBUNTU_ARM = "/aws/service/canonical/ubuntu/server/22.04/stable/current/arm64/hvm/ebs-gp2/ami-id"

T = TypeVar("T")


def _items(value: object) -> object:
    """The items of a text with commas."""
    return tuple(item.strip() for item in value.split(",") if item.strip()) if isinstance(value, str) else value


def _object(value: object) -> object:
    """The object of a text that is JSON."""
    try:
        return json.loads(value or "{}") if isinstance(value, str) else value
    except ValueError as error:
        raise ValueError(f"it is not JSON: {error}") from error


def _empty_is(meaning: object) -> BeforeValidator:
    return BeforeValidator(lambda value: meaning if value == "" else value)


Items = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_items)]
OrNone = Annotated[T | None, _empty_is(None)]
Usd = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Settings(BaseSettings):
    """Each field is the environment variable SPARSEBENCH_<FIELD IN CAPITALS>.

    Where AWS is (region, endpoint, credentials) is not among them: that is AWS's own configuration, which the
    provider's hooks, boto3 and s3fs all read, so that no two of them look in different places.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True)

    def __init__(self, **values: Any) -> None:
        """
        Raises:
            BadInput: names the variable that is not right, its value, and what would be.
        """
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise BadInput("; ".join(_in_words(dict(problem)) for problem in error.errors())) from None

    store: str = Field(default_factory=lambda: (Path.cwd() / ".sparsebench" / "store").as_uri())
    """URI of the store: file:///folder or s3://bucket/prefix."""

    nightly_instance_types: Items = ("localhost",)
    """What the nightly sweep measures on. Only localhost until EC2 types are set, so unpausing costs nothing."""

    nightly_schedule: str = "0 2 * * *"
    """Cron expression, in UTC; once a day, since a night is a date."""

    nightly_protocol: str = "quick"

    image: Annotated[str, _empty_is(AMAZON_LINUX)] = AMAZON_LINUX
    """An AMI id, or the SSM public parameter that holds one."""

    arm_image: Annotated[str, _empty_is(UBUNTU_ARM)] = UBUNTU_ARM
    """The same, of instance types with Graviton: OpenVINO's wheel needs glibc 2.35 there, and Amazon Linux has 2.34."""

    gpu_image: Annotated[str, _empty_is(AMAZON_LINUX_GPU)] = AMAZON_LINUX_GPU
    """The same, of instance types with a GPU: with NVIDIA's driver, and of Amazon Linux too."""

    instance_profile: str = ""
    """Name of the instance profile: its role reads and writes the store, and lets the SSM agent in."""

    security_group: str = ""
    """Empty: the VPC's default group. No ingress is needed."""

    launch_template: str = ""
    """Id of the stack's launch template, which brings profile and security group; empty: they are given here."""

    subnets: Items = ()
    """One for each zone that may be launched in. Empty: the default VPC's, in every zone that offers the type."""

    market: Market = "on_demand"
    """on_demand, or spot with on demand where there is none."""

    one_thread_per_core: Annotated[bool, _empty_is(False)] = False
    """1: instances without simultaneous multithreading."""

    max_live_instances: OrNone[Annotated[int, Field(ge=0)]] = None
    """At a time. Empty: as many as the account's quota of vCPUs has room for."""

    budget_usd: OrNone[Usd] = 20
    """Of a run. Empty: without limit."""

    ask_above_usd: OrNone[Usd] = 10
    """A run that is expected to cost more waits for a person's approval. Empty: none does."""

    fail_on_regression: Annotated[bool, _empty_is(False)] = False
    """1: a run of the DAG `history` fails when it tells that something got slower."""

    notifiers: Annotated[dict[str, dict[str, Any]], NoDecode, BeforeValidator(_object)] = Field(default_factory=dict)
    """Of Airflow, which `history` calls when it tells something: JSON, from the path of each class to its arguments."""


SECRET = ("notifiers",)
"""Variables whose value, a token of Slack's for example, belongs into no log."""


def _in_words(problem: dict[str, Any]) -> str:
    """What pydantic has to say of a variable, in a line."""
    name = str(problem["loc"][0])
    wanted = problem["msg"].replace("Input should be", "it has to be")
    if name in ("max_live_instances", "budget_usd", "ask_above_usd"):
        wanted += "; or leave it empty"
    value = "not shown, since it may hold a secret" if name in SECRET else repr(problem["input"])
    return f"{PREFIX}{name.upper()} is {value}: {wanted}"
