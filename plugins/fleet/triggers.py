"""Triggers that wait for an instance without holding a worker, and that end when the instance does."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import Any

from airflow.providers.amazon.aws.hooks.ec2 import EC2Hook
from airflow.providers.amazon.aws.hooks.ssm import SsmHook
from airflow.triggers.base import BaseTrigger, TriggerEvent
from botocore.exceptions import ClientError

POLL_S = 12
"""Not faster: a task that is resumed seconds after it deferred can overtake the executor's event of its
first leg on a slow scheduler, which then fails it."""

GONE = ("shutting-down", "terminated", "stopping", "stopped")


class InstanceTrigger(BaseTrigger):
    """Polls until ``check`` has an answer, or the instance is gone.

    The event is a dictionary with ``status`` and what belongs to it; ``gone`` is the instance's end.
    """

    def __init__(self, instance_id: str, aws_conn_id: str | None, region_name: str | None):
        super().__init__()
        self.instance_id = instance_id
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name

    def serialize(self) -> tuple[str, dict[str, Any]]:
        kind = type(self)
        return f"{kind.__module__}.{kind.__qualname__}", {
            "instance_id": self.instance_id,
            "aws_conn_id": self.aws_conn_id,
            "region_name": self.region_name,
        }

    @abstractmethod
    async def check(self, ssm: Any) -> dict[str, Any] | None:
        """An event's payload, or None to go on waiting."""

    async def run(self) -> AsyncIterator[TriggerEvent]:
        ssm_hook = SsmHook(aws_conn_id=self.aws_conn_id, region_name=self.region_name)
        ec2_hook = EC2Hook(aws_conn_id=self.aws_conn_id, region_name=self.region_name, api_type="client_type")
        async with await ssm_hook.get_async_conn() as ssm, await ec2_hook.get_async_conn() as ec2:
            while True:
                await asyncio.sleep(POLL_S)
                try:
                    if event := await self.check(ssm):
                        yield TriggerEvent(event)
                        return
                    state = await self._state(ec2)
                except ClientError as error:
                    if error.response["Error"]["Code"] not in ("ThrottlingException", "RequestLimitExceeded"):
                        raise
                    self.log.warning("throttled: %s", error)
                    continue
                if state in GONE:
                    # Its command may have ended in the moment before.
                    yield TriggerEvent(await self.check(ssm) or {"status": "gone", "state": state})
                    return

    async def _state(self, ec2: Any) -> str:
        try:
            answer = await ec2.describe_instances(InstanceIds=[self.instance_id])
            return answer["Reservations"][0]["Instances"][0]["State"]["Name"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "InvalidInstanceID.NotFound":
                return "terminated"
            raise


class AgentOnlineTrigger(InstanceTrigger):
    """Fires when the instance's SSM agent takes commands."""

    async def check(self, ssm: Any) -> dict[str, Any] | None:
        answer = await ssm.describe_instance_information(Filters=[{"Key": "InstanceIds", "Values": [self.instance_id]}])
        online = any(info["PingStatus"] == "Online" for info in answer["InstanceInformationList"])
        return {"status": "online"} if online else None


class CommandTrigger(InstanceTrigger):
    """Fires when a command on an instance has ended; cancels it when a person ends the task.

    Unlike the provider's trigger it ends with the instance, and an empty list of invocations is no success.
    """

    def __init__(self, command_id: str, instance_id: str, aws_conn_id: str | None, region_name: str | None):
        super().__init__(instance_id, aws_conn_id, region_name)
        self.command_id = command_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        path, arguments = super().serialize()
        return path, {**arguments, "command_id": self.command_id}

    async def check(self, ssm: Any) -> dict[str, Any] | None:
        try:
            invocation = await ssm.get_command_invocation(CommandId=self.command_id, InstanceId=self.instance_id)
        except ClientError as error:
            if error.response["Error"]["Code"] == "InvocationDoesNotExist":
                return None  # sent, but not on the instance yet
            raise
        if invocation["Status"] in ("Pending", "InProgress", "Delayed", "Cancelling"):
            return None
        return {
            "status": invocation["Status"],
            "exit_code": invocation["ResponseCode"],
            "stdout": invocation["StandardOutputContent"],
            "stderr": invocation["StandardErrorContent"],
        }

    async def on_kill(self) -> None:
        hook = SsmHook(aws_conn_id=self.aws_conn_id, region_name=self.region_name)
        async with await hook.get_async_conn() as ssm:
            await ssm.cancel_command(CommandId=self.command_id, InstanceIds=[self.instance_id])
