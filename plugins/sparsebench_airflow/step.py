"""Bring a job one step on, on its instance."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, get_args

from airflow.providers.amazon.aws.hooks.ssm import SsmHook
from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import Context
from botocore.exceptions import ClientError

from sparsebench.contracts import Failure, Job, Launch, Step
from sparsebench.fleet import commands, launching
from sparsebench.fleet.failures import (
    FleetError,
    InstanceLost,
    NoRoom,
    OutOfMemory,
    QuotaReached,
    RequestRefused,
    StepFailed,
    refusal,
)
from sparsebench.fleet.plan import repeated
from sparsebench.instance.exits import INTERRUPTED, KILLED, REFUSED
from sparsebench.settings import Settings
from sparsebench.store import Store
from sparsebench_airflow.aws import ec2_client, ec2_hook, ssm_client
from sparsebench_airflow.triggers import AgentOnlineTrigger, CommandTrigger

STEPS: tuple[Step, ...] = get_args(Step)

COMMANDS: dict[Step, tuple[commands.Step, ...]] = {
    "launch": (),
    "agent": (),
    "prepare": ("prepare",),
    "work": ("prepare", "work"),
}
"""What has to have been done on the instance when a step is through."""

ROOM_POLL = timedelta(seconds=30)
ROOM_PATIENCE = timedelta(hours=6)
"""How long a launch waits for others to end."""

AGENT_PATIENCE = timedelta(minutes=10)
"""From its launch until an instance's agent has to be online; then another instance is tried."""

DELIVERY_S = 600
"""Until a command has to have begun. SSM itself gives up only when this and the time that the command may run are
over."""

DELIVERIES = 2
"""How often a command is sent to an instance that does not begin it."""

GRACE = timedelta(minutes=5)
"""After the end that an instance makes by itself."""


class InstanceStepOperator(AwsBaseOperator[SsmHook]):
    """Bring a job as far as a step, and wait for it without holding a worker.

    launch: it has an instance. agent: which takes commands. prepare: and has the environment. work: and did the work.

    Each step starts from what EC2, SSM and the store say, and does what is missing, those before it included. So a
    retry waits for the command that still runs instead of sending it again; and where the instance was lost, it
    launches another one, which goes on with what is missing.

    :param job: a ``sparsebench.contracts.Job`` as a dictionary.
    :return: the instance's id.
    """

    aws_hook_class = SsmHook
    template_fields: Sequence[str] = ("job",)

    def __init__(self, *, job: Any, step: Step, **kwargs: Any):
        super().__init__(**kwargs)
        self.job = job
        self.step = step
        self.sent: dict[str, str] | None = None

    @cached_property
    def ec2(self) -> Any:
        return ec2_client(self.aws_conn_id, self.region_name)

    @cached_property
    def ssm(self) -> Any:
        return ssm_client(self.aws_conn_id, self.region_name)

    def _launcher(self) -> Any:
        return ec2_hook(self.aws_conn_id, self.region_name).conn

    def execute(self, context: Context) -> str:
        return self.execute_complete(context)

    def execute_complete(self, context: Context, event: Any = None, waiting_since: str | None = None) -> str:
        """The step is carried out from the beginning, and again each time that what was waited for has happened.

        event: what an ``InstanceTrigger`` has to say. waiting_since: when a launch began to wait for room.
        """
        job, store = Job.model_validate(self.job), Store(Settings().store)
        try:
            return self._bring(context, job, store, event if waiting_since is None else None, waiting_since)
        except ClientError as error:
            refused = refusal(error)
            self._note(store, job, refused or error)
            if refused:
                raise refused from error
            raise
        except Exception as error:
            self._note(store, job, error)
            raise

    def _bring(
        self, context: Context, job: Job, store: Store, event: dict[str, Any] | None, waiting_since: str | None
    ) -> str:
        now = datetime.now(UTC)
        if event:
            self._judge(store, job, event, now)
        try:
            launch = launching.ensure(self.ec2, self._launcher, store, job, Settings(), now)
        except (NoRoom, QuotaReached) as full:
            self._wait_for_room(full, now, datetime.fromisoformat(waiting_since) if waiting_since else now)
            raise
        if self.step == "launch":
            return launch.instance_id
        self._wait_for_agent(launch)
        number = self._times_done(context, job) + 1 if self.step == "work" else 1
        for command in COMMANDS[self.step]:
            wanted = repeated(store, job, number) if command == "work" and number > 1 else job
            self._wait_for_command(command, wanted, launch, store, now)
        if self.step == "work":
            context["task_state_store"].set("done", {"job": job.job, "times": number})
        return launch.instance_id

    # ------------------------------------------------------------------------- what is waited for

    def _wait_for_room(self, full: FleetError, now: datetime, since: datetime) -> None:
        """Until others have ended. Returns when it has waited for too long."""
        if now - since < ROOM_PATIENCE:
            self.log.info("%s; waiting", full)
            self.defer(
                trigger=TimeDeltaTrigger(ROOM_POLL),
                method_name="execute_complete",
                kwargs={"waiting_since": since.isoformat()},
            )

    def _wait_for_agent(self, launch: Launch) -> None:
        if not self._is_online(launch.instance_id):
            until = launch.launched_at + AGENT_PATIENCE
            self.defer(
                trigger=AgentOnlineTrigger(launch.model_dump(mode="json"), until, self.aws_conn_id, self.region_name),
                method_name="execute_complete",
            )

    def _is_online(self, instance_id: str) -> bool:
        answer = self.ssm.describe_instance_information(Filters=[{"Key": "InstanceIds", "Values": [instance_id]}])
        return any(info["PingStatus"] == "Online" for info in answer["InstanceInformationList"])

    def _wait_for_command(self, step: commands.Step, job: Job, launch: Launch, store: Store, now: datetime) -> None:
        """Unless it has succeeded on this instance."""
        progress = store.progress(job.job) if step == "work" else None
        sent = self._commands(launch.instance_id, _comment(step, job))
        if any(command["Status"] == "Success" for command in sent) or (progress and progress.finished and sent):
            return
        running = [command for command in sent if command["Status"] in ("Pending", "InProgress", "Delayed")]
        if running:
            self.log.info("Command %s still runs; waiting for it", running[0]["CommandId"])
        command = running[0] if running else self._send(step, job, launch, store, now)
        self.defer(
            trigger=CommandTrigger(
                command["CommandId"],
                command["RequestedDateTime"] + timedelta(seconds=DELIVERY_S),
                step,
                job.job,
                job.run_key,
                launch.model_dump(mode="json"),
                launch.ends_by + GRACE,
                self.aws_conn_id,
                self.region_name,
            ),
            method_name="execute_complete",
        )

    def _commands(self, instance_id: str, comment: str) -> list[dict[str, Any]]:
        """The commands with this comment that were sent to the instance, the newest first."""
        pages = self.ssm.get_paginator("list_commands").paginate(InstanceId=instance_id)
        return [command for page in pages for command in page["Commands"] if command["Comment"] == comment]

    def _send(self, step: commands.Step, job: Job, launch: Launch, store: Store, now: datetime) -> dict[str, Any]:
        left_s = max(60, int((launch.ends_by - now).total_seconds()))
        answer = self.ssm.send_command(
            DocumentName="AWS-RunShellScript",
            InstanceIds=[launch.instance_id],
            Comment=_comment(step, job),
            TimeoutSeconds=DELIVERY_S,
            Parameters={
                "commands": [commands.script(step, job, store, launch.ends_by, self.ssm.meta.region_name)],
                "executionTimeout": [str(left_s)],
            },
        )
        command_id = answer["Command"]["CommandId"]
        self.sent = {"CommandId": command_id, "InstanceId": launch.instance_id}
        self.log.info("Sent command %s (%s) to %s", command_id, step, launch.instance_id)
        return dict(answer["Command"])

    def on_kill(self) -> None:
        if self.sent:
            self.ssm.cancel_command(CommandId=self.sent["CommandId"], InstanceIds=[self.sent["InstanceId"]])

    # ------------------------------------------------------------------------- what came of it

    def _judge(self, store: Store, job: Job, event: dict[str, Any], now: datetime) -> None:
        """Whether what was waited for is good.

        Raises:
            InstanceLost, StepFailed: it is not.
        """
        instance_id, status = event["instance_id"], event["status"]
        if status == "gone":
            raise InstanceLost(f"{instance_id} is {event['state']}: {event['why'] or 'it ended before its job did'}")
        if status == "silent":
            self._give_up(store, job, instance_id, now)
            raise InstanceLost(f"{instance_id} did not say in time: {event['what']}")
        if status in ("online", "finished"):
            return
        if status == "undelivered":
            tried = self._commands(instance_id, f"{event['job']}:{event['step']}"[:100])
            if len(tried) < DELIVERIES:
                self.log.warning("%s was not delivered in %d s: sent again", event["step"], DELIVERY_S)
                return
            self._give_up(store, job, instance_id, now)
            raise InstanceLost(f"{instance_id} takes no commands: {len(tried)} of {event['step']} were not delivered")
        self.log.info("%s", event["stdout"])
        if status == "Success":
            return
        self.log.error("%s", event["stderr"])
        if event["exit_code"] == INTERRUPTED:
            self._give_up(store, job, instance_id, now)
            raise InstanceLost(f"{instance_id} was told that it will be taken away")
        last = event["stderr"].strip().splitlines()[-1:] or ["it printed no error"]
        killed = event["exit_code"] in (KILLED, 137) and status != "Cancelled" and not event["late"]
        refused = event["exit_code"] == REFUSED and event["step"] == "work"
        kind = OutOfMemory if killed else RequestRefused if refused else StepFailed
        raise kind(f"{event['step']} on {instance_id}: {status}, exit code {event['exit_code']}: {last[0]}")

    def _give_up(self, store: Store, job: Job, instance_id: str, now: datetime) -> None:
        for launch in store.launches(job.run_key):
            if launch.instance_id == instance_id:
                launching.give_up(self.ec2, store, job, launch, now)

    def _note(self, store: Store, job: Job, error: Exception) -> None:
        """Keep why it failed, for the report."""
        reason = error.reason if isinstance(error, FleetError) else "failed"
        detail = " ".join(str(error).split()) or type(error).__name__
        store.put_failure(Failure(job=job.job, step=self.step, reason=reason, detail=detail, at=datetime.now(UTC)))

    @staticmethod
    def _times_done(context: Context, job: Job) -> int:
        """How often this task has done the job: it does it again only when a person has cleared it."""
        done: Any = context["task_state_store"].get("done") or {}
        return done["times"] if done.get("job") == job.job else 0


def _comment(step: str, job: Job) -> str:
    return f"{job.job}:{step}"[:100]  # SSM's limit
