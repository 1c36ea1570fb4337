"""The one way in which work gets onto an instance; both pipelines map this group over their jobs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import WeightRule, task_group

from fleet.agent import AgentOnlineSensor
from fleet.command import RunOnInstanceOperator
from fleet.launch import LaunchInstanceOperator
from fleet.terminate import TerminateInstancesOperator

RETRY = {"retries": 2, "retry_delay": timedelta(seconds=30)}


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
    launch = LaunchInstanceOperator(task_id="launch", job=job, **RETRY)
    agent = AgentOnlineSensor(task_id="agent", instance_id=launch.output, timeout=900, **RETRY)
    prepare = RunOnInstanceOperator(task_id="prepare", job=job, instance_id=launch.output, step="prepare", **RETRY)
    work = RunOnInstanceOperator(task_id="work", job=job, instance_id=launch.output, step="work", **RETRY)
    terminate = TerminateInstancesOperator(
        task_id="terminate", job=job, retries=5, retry_delay=timedelta(seconds=20)
    ).as_teardown(setups=scope, on_failure_fail_dagrun=True)
    scope >> launch >> agent >> prepare >> work >> terminate


STEPS = ("launch", "agent", "prepare", "work")
"""The group's steps, in order, by task id."""
