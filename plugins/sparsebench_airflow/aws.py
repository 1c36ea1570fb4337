"""How the pipelines talk to AWS."""

from __future__ import annotations

from typing import Any

from airflow.providers.amazon.aws.hooks.ec2 import EC2Hook
from airflow.providers.amazon.aws.hooks.ssm import SsmHook
from botocore.config import Config

PATIENT = Config(retries={"mode": "standard", "max_attempts": 8})
"""Calls that are throttled, or fail on AWS's side, are repeated with exponential backoff and jitter: half a minute on
average."""

BRIEF = Config(retries={"mode": "standard", "max_attempts": 2})
"""Where something better can be done than to repeat: to launch in another zone, to poll again."""


def ec2_hook(
    aws_conn_id: str | None = "aws_default", region_name: str | None = None, config: Config = BRIEF
) -> EC2Hook:
    return EC2Hook(aws_conn_id=aws_conn_id, region_name=region_name, api_type="client_type", config=config)


def ssm_hook(
    aws_conn_id: str | None = "aws_default", region_name: str | None = None, config: Config = BRIEF
) -> SsmHook:
    return SsmHook(aws_conn_id=aws_conn_id, region_name=region_name, config=config)


def ec2_client(aws_conn_id: str | None = "aws_default", region_name: str | None = None) -> Any:
    return ec2_hook(aws_conn_id, region_name, PATIENT).conn


def ssm_client(aws_conn_id: str | None = "aws_default", region_name: str | None = None) -> Any:
    return ssm_hook(aws_conn_id, region_name, PATIENT).conn
