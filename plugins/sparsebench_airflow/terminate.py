"""Terminate the instances of a job."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from airflow.providers.amazon.aws.operators.ec2 import EC2TerminateInstanceOperator
from airflow.sdk import Context
from botocore.exceptions import BotoCoreError, ClientError

from sparsebench.contracts import Job, Launch
from sparsebench.fleet import instances, tags
from sparsebench.fleet.launching import is_lost
from sparsebench.fleet.spending import spent_usd
from sparsebench.settings import Settings
from sparsebench.store import Store
from sparsebench_airflow.aws import PATIENT, ec2_client


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
        ec2 = ec2_client(self.aws_conn_id, self.region_name)
        self.instance_ids = self._instances_of(ec2, job)
        if self.instance_ids:
            super().execute(context)
        else:
            self.log.info("Job %s has no instance", job.job)
        self._note(job)
        return self.instance_ids

    @staticmethod
    def _instances_of(ec2: Any, job: Job) -> list[str]:
        """The instances by tag, and those that were noted, which EC2 may not show by their tags yet.

        One that it does not know at all yet makes the task fail, to be tried again.
        """
        store, now = Store(Settings().store), datetime.now(UTC)
        noted = [launch for launch in store.launches(job.run_key) if launch.job == job.job and launch.ended_at is None]
        shown = instances.by_id(ec2, [launch.instance_id for launch in noted])
        hidden = [
            launch.instance_id for launch in noted if launch.instance_id not in shown and not is_lost(launch, None, now)
        ]
        by_tag = instances.find(ec2, store.uri, job.job)
        live = [instance.instance_id for instance in (*by_tag, *shown.values()) if instance.state in tags.ALIVE]
        return list(dict.fromkeys(live + hidden))

    def _note(self, job: Job) -> None:
        """Note that the job's instances have ended, and what the run has cost."""
        store, now = Store(Settings().store), datetime.now(UTC)
        for launch in store.launches(job.run_key):
            if launch.job == job.job and launch.ended_at is None:
                ended = {
                    "ended_at": now,
                    "credits_left": self._credits(job, launch, "CPUCreditBalance", now),
                    "surplus_credits": self._credits(job, launch, "CPUSurplusCreditsCharged", now),
                }
                store.put_launch(job.run_key, launch.model_copy(update=ended))
        spent, budget = spent_usd(store.launches(job.run_key), now), job.budget_usd
        self.log.info("The run has cost %.2f USD so far%s", spent, "" if budget is None else f" of {budget:.2f}")

    def _credits(self, job: Job, launch: Launch, metric: str, now: datetime) -> float | None:
        """A metric of a burstable instance's CPU credits, which EC2 reports every five minutes; None where it has not.

        An instance that has no limit has none left, and is charged for those beyond its own.
        """
        if not job.burstable:
            return None
        metrics: Any = AwsBaseHook(
            self.aws_conn_id, region_name=self.region_name, client_type="cloudwatch", config=PATIENT
        ).conn
        try:
            answer = metrics.get_metric_statistics(
                Namespace="AWS/EC2",
                MetricName=metric,
                Dimensions=[{"Name": "InstanceId", "Value": launch.instance_id}],
                StartTime=now - timedelta(minutes=15),
                EndTime=now,
                Period=300,
                Statistics=["Maximum"],
            )
        except (BotoCoreError, ClientError) as error:
            self.log.warning("CPU credits of %s: %s", launch.instance_id, error)
            return None
        points = sorted(answer["Datapoints"], key=lambda point: point["Timestamp"])
        return points[-1]["Maximum"] if points else None
