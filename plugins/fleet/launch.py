"""Launch a job's instance: the provider's operator, made idempotent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from airflow.providers.amazon.aws.operators.ec2 import EC2CreateInstanceOperator
from airflow.sdk import Context

from sparsebench.contracts import Job
from sparsebench.fleet import instances
from sparsebench.settings import Settings


class LaunchInstanceOperator(EC2CreateInstanceOperator):
    """Launch the instance of a job, or find the one that an earlier attempt has launched.

    The provider's operator makes a new instance on each retry, since botocore makes a new ClientToken for
    each call. This one looks for the job's tag first, and passes a token of its own.

    :param job: a ``sparsebench.contracts.Job`` as a dictionary.
    :return: the instance's id.
    """

    template_fields: Sequence[str] = ("job",)

    def __init__(self, *, job: Any, **kwargs: Any):
        super().__init__(image_id="", **kwargs)
        self.job = job

    def execute(self, context: Context) -> str:
        job = Job.model_validate(self.job)
        for instance in instances.find(self.hook.conn, job.job):
            self.log.info("%s already runs for job %s", instance.instance_id, job.job)
            return instance.instance_id
        self.image_id = job.image
        attempt, now = context["ti"].try_number, datetime.now(UTC)
        self.config = instances.launch_config(job, Settings(), attempt, now)
        (instance_id,) = super().execute(context)
        return instance_id
