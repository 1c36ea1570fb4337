"""On what terms a run gets its instances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from airflow.providers.amazon.aws.hooks.ssm import SsmHook
from airflow.sdk import Context

from fleet.image import resolve_image
from fleet.quota import max_live
from sparsebench import catalog
from sparsebench.contracts import Market
from sparsebench.errors import BadInput
from sparsebench.fleet.plan import Run
from sparsebench.settings import Settings


def run_of(context: Context, instance_types: Sequence[str]) -> Run:
    """
    Raises:
        BadInput: the account or the configuration is not fit to launch anything.
    """
    run, market = context["dag_run"], Settings().market
    if market not in get_args(Market):
        raise BadInput(f"SPARSEBENCH_MARKET is {market!r}; known are {', '.join(get_args(Market))}")
    image = resolve_image(gpu=any(catalog.instance_types()[name].gpu for name in instance_types))
    return Run(
        run.dag_id,
        run.run_id,
        image,
        region=SsmHook().conn_region_name,
        market=market,  # type: ignore[arg-type]
        budget_usd=context["params"]["budget_usd"],
        max_live=max_live(instance_types),
    )
