"""SSM commands that really run: one invocation for each instance that a command was sent to."""

from __future__ import annotations

import subprocess
import threading
import uuid
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

Status = Literal["Pending", "InProgress", "Success", "Failed", "TimedOut", "Cancelled"]

STDOUT_CHARACTERS = 24_000
STDERR_CHARACTERS = 8_000
_KILLED = 137
"""Exit code of a script that the SSM agent ended."""


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
    stay Pending or InProgress until their time is up. So does a command that is ``lost`` in that status.
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
            if not report.over and unheard_of and self._waited_s() >= self._patience_s():
                details = "ExecutionTimedOut" if report.started_at else "DeliveryTimedOut"
                self._report = replace(report, status="TimedOut", details=details, ended_at=datetime.now(UTC))
            return self._report

    def _waited_s(self) -> float:
        since = self._report.started_at or self.command.requested_at
        return (datetime.now(UTC) - since).total_seconds()

    def _patience_s(self) -> float:
        started = self._report.started_at is not None
        return self.command.execution_timeout_s if started else self.command.delivery_timeout_s

    def run(self, started: Callable[[], None]) -> None:
        """Run it to its end. Called when a slot is free; calls ``started`` when it has begun."""
        with self._lock:
            if self._cancelled:
                return
            try:
                self._process = self.instance.start(self.command.id, self.command.script, self.command.folder)
            except PoweredOff:
                return
            except OSError as problem:
                (self._logs / "stderr").write_text(f"failed to run commands: {problem}\n")
                self._report = replace(self._report, started_at=datetime.now(UTC))
                self._end("Failed", 1)
                return
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
                return  # it went down with its agent, or nobody is to know
            elif timed_out:
                self._end("TimedOut", _KILLED, "ExecutionTimedOut")
            else:
                self._end("Success" if code == 0 else "Failed", code if code >= 0 else 128 - code)

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


@dataclass
class Command:
    script: str
    folder: str | None
    execution_timeout_s: float
    delivery_timeout_s: float
    """Time until an agent has taken the command. Waiting for a slot is not counted: EC2 has no such thing."""
    document: str
    parameters: dict[str, list[str]]
    comment: str
    region: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    requested_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    invocations: list[Invocation] = field(default_factory=list)

    @property
    def status(self) -> Status:
        """One word for all of its invocations: the worst of them once all have ended."""
        every = {invocation.report.status for invocation in self.invocations}
        if every & {"Pending", "InProgress"}:
            return "Pending" if every == {"Pending"} else "InProgress"
        order: tuple[Status, ...] = ("Failed", "TimedOut", "Cancelled", "Success")
        return next(status for status in order if status in every)


class Commands:
    """Every command that was sent, oldest first. ``slots`` of them run at a time; the others wait their turn."""

    def __init__(self, slots: int, cloud: Cloud) -> None:
        self._cloud = cloud
        self._pool = ThreadPoolExecutor(slots, thread_name_prefix="command")
        self._commands: dict[str, Command] = {}

    def send(self, command: Command, instances: list[Instance]) -> None:
        cloud, comment = self._cloud, command.comment
        command.invocations = [Invocation(command, one, cloud.command_sent(one, comment)) for one in instances]
        self._commands[command.id] = command
        for invocation in command.invocations:
            if invocation.lost != "Pending":
                self._pool.submit(invocation.run, partial(cloud.command_started, invocation.instance, comment))

    def get(self, command_id: str, region: str) -> Command | None:
        found = self._commands.get(command_id)
        return found if found and found.region == region else None

    def all(self, region: str) -> list[Command]:
        return [command for command in list(self._commands.values()) if command.region == region]

    def forget(self) -> None:
        self._commands.clear()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
