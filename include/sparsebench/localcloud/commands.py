"""SSM commands that really run: one invocation for each instance that a command was sent to."""

from __future__ import annotations

import signal
import subprocess
import threading
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal

from sparsebench.localcloud import processes
from sparsebench.localcloud.cloud import Cloud
from sparsebench.localcloud.instance import Instance, PoweredOff
from sparsebench.localcloud.slots import Slots

Status = Literal["Pending", "InProgress", "Success", "Failed", "TimedOut", "Cancelled"]

STDOUT_CHARACTERS = 24_000
STDERR_CHARACTERS = 8_000
_KILLED = 137
"""Exit code of a script that the SSM agent ended. The agent takes it for that, whoever killed the script."""
_REBOOT = 194
"""Exit code by which a script asks the agent to reboot the machine."""


@dataclass(frozen=True)
class Report:
    """What SSM knows of a command on one instance. Output comes with the end, as much of it as SSM keeps."""

    status: Status = "Pending"
    details: str = "Pending"
    response_code: int = -1
    started_at: datetime | None = None
    ended_at: datetime | None = None
    stdout: str = ""
    stderr: str = ""

    @property
    def over(self) -> bool:
        return self.status not in ("Pending", "InProgress")


class Invocation:
    """A command on one instance.

    An instance that ends takes its agent with it, so nobody reports how its commands ended: as on EC2, they
    stay Pending or InProgress until both the time of delivery and that of execution are up: DeliveryTimedOut. So does a
    command that is ``lost`` in that status.
    """

    def __init__(
        self, command: Command, instance: Instance, lost: Literal["Pending", "InProgress"] | None = None
    ) -> None:
        self.command = command
        self.instance = instance
        self.lost = lost
        self._lock = threading.Lock()
        self._report = Report()
        self._process: subprocess.Popen[bytes] | None = None
        self._cancelled = False

    @property
    def report(self) -> Report:
        with self._lock:
            report = self._report
            unheard_of = not self.instance.running or self.lost == report.status
            waited_s = (datetime.now(UTC) - self.command.requested_at).total_seconds()
            patience_s = self.command.delivery_timeout_s + self.command.execution_timeout_s
            if not report.over and unheard_of and waited_s >= patience_s:
                ended_at = datetime.now(UTC)
                self._report = replace(report, status="TimedOut", details="DeliveryTimedOut", ended_at=ended_at)
            return self._report

    def deliver(self) -> None:
        """Its agent has it, and a slot is waited for, which EC2 does not have."""
        with self._lock:
            self._report = Report("InProgress", "InProgress", started_at=datetime.now(UTC))

    def terminate(self) -> None:
        """It is never delivered: too many others of its command have failed."""
        with self._lock:
            self._report = Report("Cancelled", "Terminated", ended_at=datetime.now(UTC))

    @property
    def is_shown(self) -> bool:
        """Whether GetCommandInvocation finds it: like everything else, some time after it was sent."""
        return (datetime.now(UTC) - self.command.requested_at).total_seconds() >= self.instance.invocation_lag_s

    def run(self, started: Callable[[], None]) -> None:
        """Run it to its end. Called when a slot is free; calls ``started`` when it has begun."""
        while self._run_once(started):
            self.instance.reboot()

    def _run_once(self, started: Callable[[], None]) -> bool:
        """Whether the script asks for a reboot, after which the agent runs it again."""
        with self._lock:
            if self._cancelled:
                return False
            try:
                self._process = self.instance.start(self.command.id, self.command.script, self.command.folder)
            except PoweredOff:
                return False
            except OSError as problem:
                (self._logs / "stderr").write_text(f"failed to run commands: {problem}\n")
                self._report = replace(self._report, started_at=datetime.now(UTC))
                self._end("Failed", 1)
                return False
            self._report = Report("InProgress", "InProgress", started_at=datetime.now(UTC))
        started()
        timed_out = False
        try:
            self._process.wait(self.command.execution_timeout_s)
        except subprocess.TimeoutExpired:
            timed_out = True
            processes.end_group(self._process)
        code = self._process.wait()
        with self._lock:
            if self._cancelled:
                self._end("Cancelled", _KILLED)
            elif not self.instance.running or self.lost:
                return False  # it went down with its agent, or nobody is to know
            elif code == _REBOOT:
                return True
            elif timed_out or code in (_KILLED, -signal.SIGKILL):
                self._end("TimedOut", _KILLED, "ExecutionTimedOut")
            else:
                self._end("Success" if code == 0 else "Failed", code if code >= 0 else 128 - code)
        return False

    def cancel(self) -> None:
        """End it, unless it has ended. Returns when its processes are gone."""
        with self._lock:
            if self._report.over:
                return
            self._cancelled = True
            if self._process is None or self._process.returncode is not None or not self.instance.running:
                self._report = replace(
                    self._report, status="Cancelled", details="Cancelled", ended_at=datetime.now(UTC)
                )
                return
        processes.end_group(self._process)

    @property
    def _logs(self) -> Path:
        return self.instance.logs / self.command.id

    def _end(self, status: Status, response_code: int, details: str | None = None) -> None:
        self._report = replace(
            self._report,
            status=status,
            details=details or status,
            response_code=response_code,
            ended_at=datetime.now(UTC),
            stdout=_head(self._logs / "stdout", STDOUT_CHARACTERS),
            stderr=_head(self._logs / "stderr", STDERR_CHARACTERS),
        )


def _head(file: Path, characters: int) -> str:
    with file.open("rb") as stream:
        return stream.read(4 * characters).decode(errors="replace")[:characters]  # 4 bytes a character at most


THREADS = 256
"""Commands that are delivered at a time; a thread waits for the turn of each."""


@dataclass
class Command:
    script: str
    folder: str | None
    execution_timeout_s: float
    delivery_timeout_s: float
    document: str
    parameters: dict[str, list[str]]
    comment: str
    region: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    requested_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    invocations: list[Invocation] = field(default_factory=list)
    max_concurrency: int = 50
    max_errors: int = 0
    """Invocations that may fail, or time out, before no other is begun."""

    @property
    def status(self) -> Status:
        """One word for all of its invocations: the worst of them once all have ended."""
        if not self.invocations:
            return "Failed"  # NoInstancesInTag
        every = {invocation.report.status for invocation in self.invocations}
        if every & {"Pending", "InProgress"}:
            return "Pending" if every == {"Pending"} else "InProgress"
        order: tuple[Status, ...] = ("Failed", "TimedOut", "Cancelled", "Success")
        return next(status for status in order if status in every)


class Commands:
    """Every command that was sent, oldest first."""

    def __init__(self, slots: Slots, cloud: Cloud) -> None:
        self._cloud = cloud
        self._slots = slots
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="command")
        self._commands: dict[str, Command] = {}

    def send(self, command: Command, instances: list[Instance]) -> None:
        cloud, comment = self._cloud, command.comment
        command.invocations = [
            Invocation(command, instance, cloud.command_sent(instance, comment)) for instance in instances
        ]
        self._commands[command.id] = command
        rest = deque(command.invocations)
        for _ in range(command.max_concurrency):
            self._deliver_next(command, rest)

    def _deliver_next(self, command: Command, rest: deque[Invocation]) -> None:
        """The command goes to the next instance, or to none any more where too many have failed."""
        try:
            invocation = rest.popleft()
        except IndexError:
            return
        if sum(earlier.report.status in ("Failed", "TimedOut") for earlier in command.invocations) > command.max_errors:
            invocation.terminate()
            self._deliver_next(command, rest)
        elif invocation.lost != "Pending":
            invocation.deliver()
            self._pool.submit(self._run, invocation, command, rest)

    def _run(self, invocation: Invocation, command: Command, rest: deque[Invocation]) -> None:
        with self._slots.turn() as has_slot:
            if has_slot:
                invocation.run(partial(self._cloud.command_started, invocation.instance, command.comment))
        self._deliver_next(command, rest)

    def get(self, command_id: str, region: str) -> Command | None:
        command = self._commands.get(command_id)
        return command if command and command.region == region else None

    def all(self, region: str) -> list[Command]:
        return [command for command in list(self._commands.values()) if command.region == region]

    def forget(self) -> None:
        self._commands.clear()

    def close(self) -> None:
        self._slots.close()
        self._pool.shutdown(cancel_futures=True)
