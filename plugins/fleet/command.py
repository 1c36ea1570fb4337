"""Run one step of a job on its instance."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.providers.amazon.aws.operators.ssm import SsmRunCommandOperator
from airflow.sdk import Context

from fleet.triggers import CommandTrigger
from sparsebench.contracts import Job
from sparsebench.fleet import commands
from sparsebench.settings import Settings
from sparsebench.store import Store


class CommandFailed(RuntimeError):
    """A command on an instance ended otherwise than with success."""


class RunOnInstanceOperator(SsmRunCommandOperator):
    """Run one step of a job on its instance by SSM, and wait for it without holding a worker.

    What the provider's operator lacks: a retry re-attaches to the command if it still runs (two benchmarks
    at once would spoil each other), killing the task cancels the command, the end of the instance ends the
    wait, and an error shows the command's own last lines.

    :param job: a ``sparsebench.contracts.Job`` as a dictionary.
    :param instance_id: where it runs.
    :param step: ``prepare`` or ``work``, see ``sparsebench.fleet.commands``.
    """

    template_fields: Sequence[str] = ("job", "instance_id")

    def __init__(self, *, job: Any, instance_id: Any, step: commands.Step, **kwargs: Any):
        super().__init__(document_name="AWS-RunShellScript", **kwargs)
        self.job = job
        self.instance_id = instance_id
        self.step = step
        self.command_id: str | None = None

    def execute(self, context: Context) -> None:
        job = Job.model_validate(self.job)
        limit = timedelta(minutes=job.max_minutes)
        self.command_id = self._still_running(job) or self._send(job, limit)
        self.defer(
            trigger=CommandTrigger(self.command_id, self.instance_id, self.aws_conn_id, self.region_name),
            method_name="execute_complete",
            timeout=limit + timedelta(minutes=10),
        )

    def _name(self, job: Job) -> str:
        return f"{job.job}:{self.step}"[:100]  # SSM's limit of a comment

    def _still_running(self, job: Job) -> str | None:
        """The command of an earlier attempt, found on the instance by its comment."""
        ssm: Any = self.hook.conn
        for page in ssm.get_paginator("list_commands").paginate(InstanceId=self.instance_id):
            for command in page["Commands"]:
                if command["Comment"] == self._name(job) and command["Status"] in ("Pending", "InProgress"):
                    self.log.info("Command %s still runs; waiting for it", command["CommandId"])
                    return command["CommandId"]
        return None

    def _send(self, job: Job, limit: timedelta) -> str:
        script = commands.script(self.step, job, Store(Settings().store))
        ssm: Any = self.hook.conn
        answer = ssm.send_command(
            DocumentName=self.document_name,
            InstanceIds=[self.instance_id],
            Comment=self._name(job),
            Parameters={"commands": [script], "executionTimeout": [str(int(limit.total_seconds()))]},
        )
        command_id = answer["Command"]["CommandId"]
        self.log.info("Sent command %s (%s) to %s", command_id, self.step, self.instance_id)
        return command_id

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> None:  # type: ignore[override]
        assert event is not None
        if event["status"] == "gone":
            raise CommandFailed(f"{self.instance_id} is {event['state']}: it ended before its command did")
        self.log.info("%s", event["stdout"])
        if event["status"] != "Success":
            self.log.error("%s", event["stderr"])
            last = event["stderr"].strip().splitlines()[-1:] or ["it printed no error"]
            raise CommandFailed(
                f"{self.step} on {self.instance_id}: {event['status']}, exit code {event['exit_code']}: {last[0]}"
            )

    def on_kill(self) -> None:
        if self.command_id:
            ssm: Any = self.hook.conn
            ssm.cancel_command(CommandId=self.command_id, InstanceIds=[self.instance_id])
