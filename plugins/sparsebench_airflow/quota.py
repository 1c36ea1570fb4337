"""How many instances may run at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from botocore.exceptions import BotoCoreError, ClientError

from sparsebench.contracts import InstanceFacts
from sparsebench.errors import BadInput
from sparsebench.settings import Settings
from sparsebench_airflow.aws import PATIENT

log = logging.getLogger(__name__)

ON_DEMAND_STANDARD, ON_DEMAND_G = "L-1216C47A", "L-DB2E81BA"
"""Service Quotas' codes of EC2's vCPUs of running on-demand instances: standard ones, and those with a GPU."""

UNKNOWN = 5
"""Instances at a time where the quota cannot be read: what wants more than the account has waits anyway."""


def max_live(types: Iterable[InstanceFacts]) -> int:
    """The number that is configured, or as many of the largest of these types as the account's quota of vCPUs has room
    for.

    Raises:
        BadInput: not even for one, however long it waits.
    """
    configured = Settings().max_live_instances
    if configured is not None:
        return max(1, configured)
    each = list(types)
    vcpus = max(facts.vcpus or 1 for facts in each)
    code = ON_DEMAND_G if any(facts.gpu for facts in each) else ON_DEMAND_STANDARD
    quotas: Any = AwsBaseHook(client_type="service-quotas", config=PATIENT).conn
    try:
        answer = quotas.get_service_quota(ServiceCode="ec2", QuotaCode=code)
    except (BotoCoreError, ClientError) as error:
        log.warning("the quota of vCPUs cannot be read, so %d instances run at a time: %s", UNKNOWN, error)
        return UNKNOWN
    quota = answer["Quota"]
    if quota["Value"] < vcpus and any(facts.vcpus for facts in each):
        raise BadInput(
            f"instance_types: one needs {vcpus} vCPUs, and the account's quota {quota['QuotaName']!r} ({code}) is "
            f"{quota['Value']:.0f}: ask for more in the console under Service Quotas, Amazon EC2, {code}"
        )
    return max(1, int(quota["Value"] // vcpus))
