"""Triggers that wait for an instance without holding a worker, and that end when the instance does."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import aiohttp
from airflow.triggers.base import BaseTrigger, TriggerEvent
from botocore.exceptions import BotoCoreError, ClientError

from sparsebench.contracts import Launch, Progress
from sparsebench.errors import StoreError
from sparsebench.fleet.launching import is_lost
from sparsebench.fleet.spending import spent_usd
from sparsebench.settings import Settings
from sparsebench.store import Store
from sparsebench_airflow.aws import ec2_hook, ssm_hook

POLL_S = 12
"""Not faster: a task that is resumed seconds after it deferred can overtake the executor's event of its
first leg on a slow scheduler, which then fails it."""

COST_S = 60
"""Between two times that the run's cost is looked up."""

GONE = ("shutting-down", "terminated", "stopping", "stopped")

PASSING = (
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "Unavailable",
)
"""Error codes that say nothing of what is asked."""


class InstanceTrigger(BaseTrigger):
    """Polls until ``check`` has an answer, the instance is gone, or it is too late.

    The event is a dictionary with ``status``, ``instance_id`` and what belongs to them: ``gone`` is the instance's
    end, ``silent`` that nothing had happened by ``until``. An AWS that does not answer is waited for.
    """

    def __init__(self, launch: dict[str, Any], until: datetime, aws_conn_id: str | None, region_name: str | None):
        super().__init__()  # type: ignore[no-untyped-call]
        self.launch = launch
        self.launched = Launch.model_validate(launch)
        self.instance_id = self.launched.instance_id
        self.until = until
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name

    def serialize(self) -> tuple[str, dict[str, Any]]:
        kind = type(self)
        return f"{kind.__module__}.{kind.__qualname__}", {
            "launch": self.launch,
            "until": self.until,
            "aws_conn_id": self.aws_conn_id,
            "region_name": self.region_name,
        }

    @property
    @abstractmethod
    def what(self) -> str:
        """What is waited for, in words."""

    @abstractmethod
    async def check(self, ssm: Any) -> dict[str, Any] | None:
        """An event's payload, or None to go on waiting."""

    async def run(self) -> AsyncIterator[TriggerEvent]:
        yield TriggerEvent({"instance_id": self.instance_id, **await self._wait()})

    async def _wait(self) -> dict[str, Any]:
        async with (
            await ssm_hook(self.aws_conn_id, self.region_name).get_async_conn() as ssm,
            await ec2_hook(self.aws_conn_id, self.region_name).get_async_conn() as ec2,
        ):
            while True:
                await asyncio.sleep(POLL_S)
                try:
                    if event := await self.check(ssm) or await self._end(ec2, ssm):
                        return event
                except ClientError as error:
                    if error.response["Error"]["Code"] not in PASSING:
                        raise
                    self.log.warning("AWS: %s", error)
                except (BotoCoreError, aiohttp.ClientError, StoreError, OSError) as error:
                    self.log.warning("AWS does not answer: %s", error)
                if datetime.now(UTC) > self.until:
                    return {"status": "silent", "what": self.what}

    async def _end(self, ec2: Any, ssm: Any) -> dict[str, Any] | None:
        """The instance's end, if it has come."""
        state, why = await self._state(ec2)
        if state not in GONE:
            return None
        # Its command may have ended in the moment before.
        return await self.check(ssm) or {"status": "gone", "state": state, "why": why}

    async def _state(self, ec2: Any) -> tuple[str, str]:
        """The state of the instance, and the reason for it. One that EC2 does not show yet is taken for pending."""
        answer = await ec2.describe_instances(Filters=[{"Name": "instance-id", "Values": [self.instance_id]}])
        if not answer["Reservations"]:
            lost = is_lost(self.launched, None, datetime.now(UTC))
            return ("terminated", "EC2 does not know it any more") if lost else ("pending", "")
        instance = answer["Reservations"][0]["Instances"][0]
        return instance["State"]["Name"], instance.get("StateReason", {}).get("Message", "")


class AgentOnlineTrigger(InstanceTrigger):
    """Fires when the instance's SSM agent takes commands.

    The state ``running`` is not enough: commands that are sent before the agent is online are refused.
    """

    @property
    def what(self) -> str:
        return "that its agent is online"

    async def check(self, ssm: Any) -> dict[str, Any] | None:
        answer = await ssm.describe_instance_information(Filters=[{"Key": "InstanceIds", "Values": [self.instance_id]}])
        online = any(info["PingStatus"] == "Online" for info in answer["InstanceInformationList"])
        return {"status": "online"} if online else None


class CommandTrigger(InstanceTrigger):
    """Fires when a command on an instance has ended; cancels it when a person ends the task.

    Meanwhile the task's log follows the job. Unlike the provider's trigger it ends with the instance, and an empty
    list of invocations is no success. Where SSM does not report the end, the store does.
    """

    def __init__(
        self,
        command_id: str,
        deliver_by: datetime,
        step: str,
        job: str,
        run_key: str,
        launch: dict[str, Any],
        until: datetime,
        aws_conn_id: str | None,
        region_name: str | None,
    ):
        super().__init__(launch, until, aws_conn_id, region_name)
        self.command_id = command_id
        self.deliver_by = deliver_by
        self.step = step
        self.job = job
        self.run_key = run_key
        self.reported: Progress | None = None
        self.cost_reported_at = datetime.min.replace(tzinfo=UTC)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        path, arguments = super().serialize()
        own = {
            "command_id": self.command_id,
            "deliver_by": self.deliver_by,
            "step": self.step,
            "job": self.job,
            "run_key": self.run_key,
        }
        return path, {**arguments, **own}

    @property
    def what(self) -> str:
        return f"what became of its command {self.command_id} ({self.step})"

    async def check(self, ssm: Any) -> dict[str, Any] | None:
        progress = await asyncio.to_thread(self._report_progress) if self.step == "work" else None
        try:
            invocation = await ssm.get_command_invocation(CommandId=self.command_id, InstanceId=self.instance_id)
        except ClientError as error:
            if error.response["Error"]["Code"] != "InvocationDoesNotExist":
                raise
            invocation = {"Status": "Pending"}  # sent, but SSM does not show it yet
        if invocation["Status"] in ("Pending", "Delayed") and datetime.now(UTC) > self.deliver_by:
            await ssm.cancel_command(CommandId=self.command_id, InstanceIds=[self.instance_id])
            return {"status": "undelivered", "step": self.step, "job": self.job}
        if invocation["Status"] in ("Pending", "InProgress", "Delayed", "Cancelling"):
            unreported_s = (datetime.now(UTC) - progress.updated_at).total_seconds() if progress else 0
            if progress and progress.finished and unreported_s > 5 * POLL_S:
                return {"status": "finished", "step": self.step}
            return None
        return {
            "status": invocation["Status"],
            "step": self.step,
            "exit_code": invocation["ResponseCode"],
            "late": datetime.now(UTC) > self.launched.ends_by,
            "stdout": invocation["StandardOutputContent"],
            "stderr": invocation["StandardErrorContent"],
        }

    def _report_progress(self) -> Progress | None:
        """Log how far the job has come, where that is news."""
        store = Store(Settings().store)
        progress = store.progress(self.job)
        if progress is None or (self.reported and progress.updated_at == self.reported.updated_at):
            return progress
        left = "" if progress.left_s is None else f", about {progress.left_s / 60:.0f} min left"
        self.log.info("%d of %d trials%s: %s", progress.done, progress.total, left, progress.what)
        before = self.reported.tail if self.reported else ()
        for line in progress.tail:
            if line not in before:
                self.log.info("  | %s", line)
        self.reported = progress
        now = datetime.now(UTC)
        if (now - self.cost_reported_at).total_seconds() > COST_S:
            self.log.info("the run has cost %.2f USD so far", spent_usd(store.launches(self.run_key), now))
            self.cost_reported_at = now
        return progress

    async def on_kill(self) -> None:
        async with await ssm_hook(self.aws_conn_id, self.region_name).get_async_conn() as ssm:
            await ssm.cancel_command(CommandId=self.command_id, InstanceIds=[self.instance_id])
