"""The tags by which instances are found: never by memory, so a crash forgets nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

from sparsebench.contracts import Job

PROJECT = "sparsebench"
"""Every instance carries the tag ``sparsebench``, with the DAG that launched it as value."""

RUN = "sparsebench:run"

JOB = "sparsebench:job"
EXPIRES = "sparsebench:expires"

ALIVE = ["pending", "running", "stopping", "stopped"]
"""EC2's states of an instance that is not on its way to being terminated."""


def of(job: Job, now: datetime) -> dict[str, str]:
    """The tags of a job's instance. It expires ten minutes after it should have ended itself."""
    expires = now + timedelta(minutes=job.max_minutes + 10)
    return {
        "Name": f"sparsebench {job.label}",
        PROJECT: job.dag_id,
        RUN: job.run_id,
        JOB: job.job,
        EXPIRES: expires.isoformat(timespec="seconds"),
    }


def filters(job: str | None = None) -> list[dict[str, str | list[str]]]:
    """DescribeInstances filters: the live instances of one job, or all of the project's."""
    state: dict[str, str | list[str]] = {"Name": "instance-state-name", "Values": ALIVE}
    tag: dict[str, str | list[str]]
    tag = {"Name": f"tag:{JOB}", "Values": [job]} if job else {"Name": "tag-key", "Values": [PROJECT]}
    return [tag, state]
