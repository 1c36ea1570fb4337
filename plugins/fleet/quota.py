"""How many instances may run at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from botocore.exceptions import BotoCoreError, ClientError

from fleet.aws import PATIENT
from sparsebench import catalog
from sparsebench.settings import Settings

log = logging.getLogger(__name__)

ON_DEMAND_STANDARD, ON_DEMAND_G = "L-1216C47A", "L-DB2E81BA"
"""Service Quotas' codes of EC2's vCPUs of running on-demand instances: standard ones, and those with a GPU."""

UNKNOWN = 5
"""Instances at a time where the quota cannot be read: what wants more than the account has waits anyway."""


def max_live(instance_types: Iterable[str]) -> int:
    """As configured, or as many of the largest of these types as the account's quota of vCPUs has room for."""
    configured = Settings().max_live_instances
    if configured is not None:
        return max(1, configured)
    entries = [catalog.instance_types()[name] for name in instance_types]
    vcpus = max(entry.vcpus or 1 for entry in entries)
    code = ON_DEMAND_G if any(entry.gpu for entry in entries) else ON_DEMAND_STANDARD
    quotas: Any = AwsBaseHook(client_type="service-quotas", config=PATIENT).conn
    try:
        answer = quotas.get_service_quota(ServiceCode="ec2", QuotaCode=code)
    except (BotoCoreError, ClientError) as error:
        log.warning("the quota of vCPUs cannot be read, so %d instances run at a time: %s", UNKNOWN, error)
        return UNKNOWN
    return max(1, int(answer["Quota"]["Value"] // vcpus))
