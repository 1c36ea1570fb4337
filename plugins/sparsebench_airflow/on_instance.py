"""The one way in which work gets onto an instance; every pipeline maps this group over its jobs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.exceptions import HITLRejectException
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import (
    ExceptionRetryPolicy,
    RetryAction,
    RetryRule,
    WeightRule,
    get_current_context,
    task,
    task_group,
)

from sparsebench.errors import BadInput, IntegrityError
from sparsebench.fleet.failures import (
    InstanceLost,
    LostTooOften,
    NoCapacity,
    NoRoom,
    NotOffered,
    OutOfMemory,
    OverBudget,
    QuotaReached,
    Refused,
    RequestRefused,
)
from sparsebench_airflow.outcome import fail_unless_all_succeeded
from sparsebench_airflow.step import STEPS, InstanceStepOperator
from sparsebench_airflow.terminate import TerminateInstancesOperator

RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            [NotOffered, OutOfMemory, OverBudget, LostTooOften, Refused, RequestRefused, BadInput, IntegrityError],
            RetryAction.FAIL,
        ),
        RetryRule([NoRoom, QuotaReached], RetryAction.FAIL, reason="it has waited for hours"),
        RetryRule(HITLRejectException, RetryAction.FAIL, reason="a person has said no"),
        RetryRule(NoCapacity, RetryAction.RETRY, timedelta(minutes=5), "a zone may have one later"),
        RetryRule(InstanceLost, RetryAction.RETRY, timedelta(seconds=15), "another instance goes on"),
    ]
)

RETRIED: dict[str, Any] = {"retries": 5, "retry_delay": timedelta(seconds=30), "retry_policy": RETRY_POLICY}
"""Of every task that can be done again: its worker may die, AWS and the store may not answer."""


@task_group(
    default_args={
        # Finish an instance before the next is launched.
        "weight_rule": WeightRule.UPSTREAM,
        "map_index_template": "{{ task.job['label'] if task.job is defined else '' }}",
    }
)
def on_instance(job: Any) -> None:
    """Launch an instance for a job, prepare it, do the job's work, and terminate it whatever happened.

    The setup is an empty task: were it the launching one, then a failure after the instance exists would
    skip the teardown. The teardown finds instances by tag.
    """
    scope = EmptyOperator(task_id="scope")
    steps = [
        InstanceStepOperator(
            task_id=step,
            job=job,
            step=step,
            **RETRIED,
            # One launch at a time, those that wait for room included, so that none overtakes the count of the others.
            max_active_tis_per_dag=1 if step == "launch" else None,
        )
        for step in STEPS
    ]
    terminate = TerminateInstancesOperator(task_id="terminate", job=job, **RETRIED).as_teardown(
        setups=scope, on_failure_fail_dagrun=True
    )
    before: Any = scope
    for step in [*steps, terminate]:
        before >> step
        before = step


def _complete() -> None:
    """Fails when anything of the run did not succeed: also where a person has marked the run failed."""
    fail_unless_all_succeeded(get_current_context())


def publish_after(jobs: Any, published: Any) -> None:
    """A pipeline publishes when all of its jobs were done on their instances, and at its end fails unless all
    succeeded."""
    begin = EmptyOperator(task_id="begin")
    begin >> jobs
    on_instance.expand(job=jobs) >> published
    complete: Any = task(task_id="complete", **RETRIED)(_complete)
    published >> complete().as_teardown(setups=begin, on_failure_fail_dagrun=True)
