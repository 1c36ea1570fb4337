"""On what instance types, and on what conditions, a run gets its instances."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import get_args

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from airflow.providers.amazon.aws.hooks.ssm import SsmHook
from airflow.sdk import Context

from sparsebench.contracts import Market
from sparsebench.errors import BadInput
from sparsebench.fleet.instance_types import PRICING_REGION, Account, Chosen, choose
from sparsebench.fleet.plan import Run
from sparsebench.settings import Settings
from sparsebench.store import Store
from sparsebench_airflow.aws import BRIEF, ec2_client
from sparsebench_airflow.image import images
from sparsebench_airflow.quota import max_live


def chosen(wanted: Sequence[str], param: str = "instance_types", training: bool = False) -> Chosen:
    """The instance types that names and patterns mean in the region of the connection.

    Raises:
        BadInput: see ``choose``.
    """
    account = Account(
        SsmHook().conn_region_name,
        ec2=ec2_client,
        pricing=lambda: AwsBaseHook(client_type="pricing", region_name=PRICING_REGION, config=BRIEF).conn,
    )
    return choose(Store(Settings().store), account, wanted, datetime.now(UTC), param, training)


def run_of(context: Context, on: Chosen) -> Run:
    """
    Raises:
        BadInput: the account or the configuration is not fit to launch anything.
    """
    run, market = context["dag_run"], Settings().market
    if market not in get_args(Market):
        raise BadInput(f"SPARSEBENCH_MARKET is {market!r}; known are {', '.join(get_args(Market))}")
    x86, arm = images(on.types.values())
    return Run(
        run.dag_id,
        run.run_id,
        x86,
        arm,
        region=SsmHook().conn_region_name,
        market=market,
        budget_usd=context["params"]["budget_usd"],
        max_live=max_live(on.types.values()),
        types=on.types,
    )
