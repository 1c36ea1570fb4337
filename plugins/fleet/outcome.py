"""What became of the instances of a run, and whether that is a success."""

from __future__ import annotations

from collections.abc import Sequence

from airflow.sdk import Context

from fleet.step import STEPS
from sparsebench.contracts import Job


def failed_steps(context: Context, jobs: Sequence[Job]) -> dict[str, str]:
    """For each job that did not get through, by its name: the first step that did not succeed.

    ``ask`` for all, where a person did not approve of the cost.
    """
    ti, run = context["ti"], context["dag_run"]

    def states(**which: object) -> dict[str, str | None]:
        return ti.get_task_states(dag_id=run.dag_id, run_ids=[run.run_id], **which)[run.run_id]  # type: ignore[arg-type]

    if states(task_ids=["ask"]).get("ask") != "success":
        return {job.job: "ask" for job in jobs}
    of_steps = states(task_group_id="on_instance")
    failed: dict[str, str] = {}
    for index, job in enumerate(jobs):
        for step in STEPS:
            if of_steps.get(f"on_instance.{step}_{index}") != "success":
                failed[job.job] = step
                break
    return failed
