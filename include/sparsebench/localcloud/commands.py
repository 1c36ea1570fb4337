"""SSM commands that really run: one invocation for each instance that a command was sent to."""

from __future__ import annotations

import subprocess
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from sparsebench.localcloud import processes
from sparsebench.localcloud.instance import Instance, PoweredOff

Status = Literal["Pending", "InProgress", "Success", "Failed", "TimedOut", "Cancelled"]

STDOUT_CHARACTERS = 24_000
STDERR_CHARACTERS = 8_000
_KILLED = 137
"""Exit code of a script that the SSM agent ended."""


@dataclass
class Invocation:
    """A command on one instance.

    An instance that ends takes its agent with it, so nobody reports how its commands ended: as on EC2, they
    stay Pending or InProgress until their time is up.
    """

    command: Command
    instance: Instance
    reported: Status = "Pending"
    details: str = "Pending"
    response_code: int = -1
    started_at: datetime | None = None
    ended_at: datetime | None = None
    process: subprocess.Popen[bytes] | None = None
    cancelled: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def status(self) -> Status:
        with self.lock:
            if self.reported in ("Pending", "InProgress") and not self.instance.running:
                waited = datetime.now(UTC) - (self.started_at or self.command.requested_at)
                limit_s = self.command.execution_timeout_s if self.started_at else self.command.delivery_timeout_s
                if waited >= timedelta(seconds=limit_s):
                    self._report("TimedOut", "ExecutionTimedOut" if self.started_at else "DeliveryTimedOut")
            return self.reported

    @property
    def stdout(self) -> str:
        """Nothing before the command has ended, and then as much as SSM keeps."""
        return self._output("stdout", STDOUT_CHARACTERS)

    @property
    def stderr(self) -> str:
        return self._output("stderr", STDERR_CHARACTERS)

    def _output(self, stream: str, characters: int) -> str:
        if self.response_code == -1 or self.started_at is None:
            return ""
        with (self.instance.logs / self.command.id / stream).open("rb") as file:
            return file.read(4 * characters).decode(errors="replace")[:characters]  # at most 4 bytes a character

    def _report(self, status: Status, details: str | None = None, response_code: int = -1) -> None:
        self.reported, self.details, self.response_code = status, details or status, response_code
        if status != "InProgress":
            self.ended_at = datetime.now(UTC)

    def run(self) -> None:
        """Run it to its end. Called when a slot is free."""
        with self.lock:
            if self.cancelled:
                return
            try:
                self.process = self.instance.start(self.command.id, self.command.script, self.command.folder)
            except PoweredOff:
                return
            except OSError as problem:
                self.started_at = datetime.now(UTC)
                (self.instance.logs / self.command.id / "stderr").write_text(f"failed to run commands: {problem}\n")
                self._report("Failed", response_code=1)
                return
            self.started_at = datetime.now(UTC)
            self._report("InProgress")
        timed_out = False
        try:
            self.process.wait(self.command.execution_timeout_s)
        except subprocess.TimeoutExpired:
            timed_out = True
            processes.end_group(self.process)
            self.process.wait()
        with self.lock:
            code = self.process.returncode
            if self.cancelled:
                self._report("Cancelled", response_code=_KILLED)
            elif not self.instance.running:
                return  # it went down with its agent
            elif timed_out:
                self._report("TimedOut", "ExecutionTimedOut", _KILLED)
            else:
                self._report("Success" if code == 0 else "Failed", response_code=code if code >= 0 else 128 - code)

    def cancel(self) -> None:
        """End it, unless it has ended. Returns when its processes are gone."""
        with self.lock:
            if self.reported not in ("Pending", "InProgress"):
                return
            self.cancelled = True
            if self.process is None or not self.instance.running:
                self._report("Cancelled")
                return
        processes.end_group(self.process)


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
        every = {invocation.status for invocation in self.invocations}
        if every & {"Pending", "InProgress"}:
            return "Pending" if every == {"Pending"} else "InProgress"
        order: tuple[Status, ...] = ("Failed", "TimedOut", "Cancelled", "Success")
        return next(status for status in order if status in every)


class Commands:
    """Every command that was sent, oldest first. ``slots`` of them run at a time; the others wait their turn."""

    def __init__(self, slots: int) -> None:
        self._pool = ThreadPoolExecutor(slots, thread_name_prefix="command")
        self._commands: dict[str, Command] = {}

    def send(self, command: Command, instances: list[Instance]) -> None:
        command.invocations = [Invocation(command, instance) for instance in instances]
        self._commands[command.id] = command
        for invocation in command.invocations:
            self._pool.submit(invocation.run)

    def get(self, command_id: str, region: str) -> Command | None:
        found = self._commands.get(command_id)
        return found if found and found.region == region else None

    def all(self, region: str) -> list[Command]:
        return [command for command in list(self._commands.values()) if command.region == region]

    def forget(self) -> None:
        self._commands.clear()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
