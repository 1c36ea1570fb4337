"""Terminate the instances of a job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.providers.amazon.aws.operators.ec2 import EC2TerminateInstanceOperator
from airflow.sdk import Context

from sparsebench.contracts import Job
from sparsebench.fleet import instances


class TerminateInstancesOperator(EC2TerminateInstanceOperator):
    """Terminate whatever instances a job has, found by tag, so that a crash of the launching task leaks none.

    :param job: a ``sparsebench.contracts.Job`` as a dictionary.
    """

    template_fields: Sequence[str] = ("job",)

    def __init__(self, *, job: Any, **kwargs: Any):
        super().__init__(instance_ids=[], **kwargs)
        self.job = job

    def execute(self, context: Context) -> list[str]:
        job = Job.model_validate(self.job)
        self.instance_ids = [instance.instance_id for instance in instances.find(self.hook.conn, job.job)]
        if self.instance_ids:
            super().execute(context)
        else:
            self.log.info("Job %s has no instance", job.job)
        return self.instance_ids
