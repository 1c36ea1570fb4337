"""The tags by which instances are found: never by memory, so a crash forgets nothing."""

from __future__ import annotations

from typing import TypedDict

from sparsebench.contracts import Job, sha256

PROJECT = "sparsebench"
"""Every instance carries the tag ``sparsebench``, with the DAG that launched it as value."""

DEPLOYMENT = "sparsebench:deployment"
"""Which installation an instance is of: two in one account leave each other's alone."""

RUN = "sparsebench:run"
JOB = "sparsebench:job"
MINUTES = "sparsebench:minutes"
"""That it may live, from its launch: a moment would differ when a launch is repeated, which EC2 then refuses."""

ALIVE = ["pending", "running", "stopping", "stopped"]
"""EC2's states of an instance that is not on its way to being terminated."""


class Filter(TypedDict):
    """A filter as EC2's describe calls take it."""

    Name: str
    Values: list[str]


def deployment(store_uri: str) -> str:
    """The id of the installation that works with a store: the store is what two installations cannot share."""
    return sha256(store_uri.rstrip("/").encode())[:12]


def for_job(job: Job, store_uri: str) -> dict[str, str]:
    """The tags of a job's instance. None depends on the clock: a repeated launch has the same."""
    return {
        "Name": f"sparsebench {job.label}",
        PROJECT: job.dag_id,
        DEPLOYMENT: deployment(store_uri),
        RUN: job.run_id,
        JOB: job.job,
        MINUTES: str(job.max_minutes),
    }


def of_deployment(store_uri: str) -> Filter:
    """What an installation has launched."""
    return {"Name": f"tag:{DEPLOYMENT}", "Values": [deployment(store_uri)]}


def filters(store_uri: str, job: str | None = None) -> list[Filter]:
    """DescribeInstances filters: the live instances of one job, or all of the installation's."""
    state: Filter = {"Name": "instance-state-name", "Values": ALIVE}
    of_job: list[Filter] = [{"Name": f"tag:{JOB}", "Values": [job]}] if job else []
    return [of_deployment(store_uri), *of_job, state]
