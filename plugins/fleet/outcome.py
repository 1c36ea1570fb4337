"""What became of the instances of a run, and whether that is a success."""

from __future__ import annotations

from collections.abc import Sequence

from airflow.sdk import Context

from fleet.on_instance import STEPS
from sparsebench.contracts import Job


def failed_steps(context: Context, jobs: Sequence[Job]) -> dict[str, str]:
    """For each job that did not get through, by its name: the first step that did not succeed."""
    ti, run = context["ti"], context["dag_run"]
    states = ti.get_task_states(dag_id=run.dag_id, run_ids=[run.run_id], task_group_id="on_instance")[run.run_id]
    failed = {}
    for index, job in enumerate(jobs):
        for step in STEPS:
            if states.get(f"on_instance.{step}_{index}") != "success":
                failed[job.job] = step
                break
    return failed
