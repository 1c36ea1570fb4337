"""
### What it does
Says what is right and what is wrong with the AWS account and the configuration, with the credentials that sweeps have:
region, clock, store, instance types and prices, image, profile, subnets and their way out, quotas, permissions. It
reads only. `sparsebench doctor` is the same in a terminal.

### When it fails
Its log has a line for each thing, and for what is wrong what to do. A line with a question mark could not be looked
at with these credentials.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException

from sparsebench.settings import Settings


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=1,
    description="Say what is wrong with the account and the configuration",
    doc_md=__doc__,
    tags=["sparsebench", "4 keep clean"],
    default_args={"owner": "sparsebench"},
)
def doctor() -> None:
    @task(execution_timeout=timedelta(minutes=10))
    def examine() -> None:
        from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

        from sparsebench import doctor as examination
        from sparsebench.doctor.table import lines, summary

        def client(service: str, region: str | None = None) -> Any:
            return AwsBaseHook(client_type=service, region_name=region).conn

        region = AwsBaseHook(client_type="sts").get_session().region_name
        findings = examination.examine(Settings(), client, region)
        for line in lines(findings):
            print(line)
        if not examination.is_well(findings):
            raise AirflowFailException(summary(findings))

    examine()


doctor()
