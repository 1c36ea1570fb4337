"""Wait until an instance takes commands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.providers.amazon.aws.hooks.ssm import SsmHook
from airflow.providers.amazon.aws.sensors.base_aws import AwsBaseSensor
from airflow.sdk import Context

from fleet.triggers import AgentOnlineTrigger


class AgentOnlineSensor(AwsBaseSensor[SsmHook]):
    """Succeeds when the SSM agent of an instance is online; fails as soon as the instance is gone.

    The state ``running`` is not enough: commands that are sent before the agent is online are refused.
    """

    aws_hook_class = SsmHook
    template_fields: Sequence[str] = ("instance_id",)

    def __init__(self, *, instance_id: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.instance_id = instance_id

    def execute(self, context: Context) -> None:
        if not self.poke(context):
            self.defer(
                trigger=AgentOnlineTrigger(self.instance_id, self.aws_conn_id, self.region_name),
                method_name="execute_complete",
                timeout=timedelta(seconds=self.timeout),
            )

    def poke(self, context: Context) -> bool:
        ssm: Any = self.hook.conn
        answer = ssm.describe_instance_information(Filters=[{"Key": "InstanceIds", "Values": [self.instance_id]}])
        return any(info["PingStatus"] == "Online" for info in answer["InstanceInformationList"])

    def execute_complete(self, context: Context, event: dict[str, Any]) -> None:
        if event["status"] != "online":
            raise RuntimeError(f"{self.instance_id} is {event['state']}: it ended before its agent was online")
