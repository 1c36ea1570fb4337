"""What became of the instances of a run, and whether that is a success."""

from __future__ import annotations

from collections.abc import Sequence

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException

from sparsebench.contracts import Job
from sparsebench_airflow.step import STEPS


def failed_steps(context: Context, jobs: Sequence[Job], group: str = "on_instance") -> dict[str, str]:
    """The first step that did not succeed of each job that did not get through, by the job's name.

    ``ask`` for all, where a person did not approve of the cost.
    """
    if _states(context, task_ids=["ask"]).get("ask") != "success":
        return {job.job: "ask" for job in jobs}
    of_steps = _states(context, task_group_id=group)
    failed: dict[str, str] = {}
    for index, job in enumerate(jobs):
        for step in STEPS:
            if of_steps.get(f"{group}.{step}_{index}") != "success":
                failed[job.job] = step
                break
    return failed


def fail_unless_all_succeeded(context: Context) -> None:
    """The last task of a run, a teardown, calls this, so that no run ends as a success that was not one.

    *Mark failed* skips what has not begun, except teardowns, and Airflow then judges the run by its last tasks alone:
    where those are skipped, it would be a success.

    Raises:
        AirflowFailException: another task of the run did not succeed.
    """
    own = context["ti"].task_id
    others = {task: state for task, state in _states(context).items() if task != own and state != "success"}
    # What still runs is ending an instance; whether it succeeds is its own to say.
    ended = {task: state for task, state in others.items() if state in ("failed", "skipped", "upstream_failed")}
    if ended:
        raise AirflowFailException("; ".join(f"{task}: {state}" for task, state in sorted(ended.items())))


def _states(context: Context, **which: object) -> dict[str, str | None]:
    """The state of each task in this run, by its name, with ``_<index>`` where it is mapped."""
    run = context["dag_run"]
    states = context["ti"].get_task_states(dag_id=run.dag_id, run_ids=[run.run_id], **which)  # type: ignore[arg-type]
    return states[run.run_id]
