"""The system that faults are injected into: Airflow with Celery, localcloud, and whatever dies starts again."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
from botocore.exceptions import BotoCoreError, ClientError

from chaos.scenarios import Fault
from sparsebench.contracts import Variant
from sparsebench.errors import SparsebenchError
from sparsebench.local.api import FINISHED, AirflowApi
from sparsebench.local.processes import Process as Running
from sparsebench.local.stack import Stack
from sparsebench.localcloud.credentials import KEY_HEADER

T = TypeVar("T")
CellKey = tuple[str, str, str, str]
"""Network, variant, engine, precision."""

DAG = "benchmark_sweep"
DAGS = {DAG, "reap_instances", "nothing_left_over"}
VARIANT: Variant = "base"
BUCKET = "sparsebench-faults"

POLL_S = 2
PATIENCE_S = 240
"""For an API server, an emulator or a bucket to answer again."""
SWEEP_S = 5400
"""For a sweep to end: an end of prepare that is not reported alone takes half an hour."""
SDK_S = 60
"""That an SDK waits for an answer before it asks again."""
HUNT_S = 20
"""For a process that is to be killed to appear."""

HOLD: Fault = {
    "kind": "delay",
    "service": "ssm",
    "action": "SendCommand",
    "when": "after",
    "seconds": 15,
    "times": 1,
    "per_request": True,
}
"""Keeps a task waiting for the answer to a command that it has sent."""

POLICY = f"""def dag_policy(dag):
    if dag.dag_id == "{DAG}":
        dag.max_active_runs = 16
"""
"""Airflow's way to let a deployment change a DAG: as many sweeps at a time as are wanted."""

SHORT = {
    "AIRFLOW__CORE__PARALLELISM": "16",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "90",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "120",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "30",
}
"""Airflow notices minutes sooner than by default that a process has died."""


STOP = threading.Event()
"""The benchmark is being ended."""


class Stopped(Exception):
    """It is."""


def pause(seconds: float) -> None:
    """
    Raises:
        Stopped: the benchmark is being ended.
    """
    if STOP.wait(seconds):
        raise Stopped


# ------------------------------------------------------------------------------------------ the system


@dataclass
class System(Stack):
    """The stack, whose processes can be killed, and are started again as Docker does."""

    slots: int = 1
    """SSM commands that run at a time."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._commands: dict[str, list[str]] = {}
        self._killed: set[int] = set()
        self._not_before: dict[str, float] = {}
        self.fallen: list[str] = []
        """What has ended though nobody killed it."""

    def _start(self, name: str, command: list[str], logs: Path, idle: bool) -> None:
        if name == "localcloud":
            command = [*command, "--slots", str(self.slots)]
        self._commands[name] = command
        super()._start(name, command, logs, idle=False)  # here it is not the numbers that matter

    def kill(self, name: str, down_s: float = 0) -> None:
        """Kill a component; it is started again after so many seconds."""
        process = self._process(name)
        self._killed.add(process.popen.pid)
        self._not_before[name] = time.monotonic() + down_s
        self._end(process)

    def _process(self, name: str) -> Running:
        return next(process for process in self._processes if process.name == name)

    @staticmethod
    def _end(process: Running) -> None:
        """The process ends as a container does: all of it. What runs on localcloud's instances is no part of it."""
        with suppress(ProcessLookupError):
            if process.name == "localcloud":
                os.kill(process.popen.pid, signal.SIGKILL)
            else:
                os.killpg(process.popen.pid, signal.SIGKILL)

    def keep_up(self) -> None:
        """Start again what has ended."""
        for index, process in enumerate(self._processes):
            code = process.popen.poll()
            if code is None or time.monotonic() < self._not_before.get(process.name, 0):
                continue
            if process.popen.pid not in self._killed:
                self.fallen.append(f"{process.name} ended by itself, exit code {code}")
            self._end(process)
            command = self._commands[process.name]
            self._processes[index] = Running.start(process.name, command, self.env, process.log, False, cwd=self.home)

    def task_process(self, task_instance: str) -> psutil.Process | None:
        """The process that runs a task's code; its parent supervises it."""
        with suppress(psutil.Error):
            for child in psutil.Process(self._process("celery-worker").popen.pid).children(recursive=True):
                with suppress(psutil.Error):
                    if f"airflow worker -- {task_instance}" in " ".join(child.cmdline()):
                        return child
        return None


class Api(AirflowApi):
    """Waits while the API server does not answer."""

    def call(self, method: str, path: str, **kwargs: Any) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return super().call(method, path, **kwargs)
            except (httpx.HTTPError, SparsebenchError) as error:
                refused = any(f": {status} " in str(error) for status in (400, 403, 404, 409, 422))
                if refused or time.monotonic() > deadline:
                    raise SparsebenchError(f"{method} {path}: {error}") from error
                pause(1)

    def start(self, dag_id: str, run_id: str, conf: dict[str, Any]) -> None:
        """Trigger a run by its id, once, however often the API server has to be asked."""
        try:
            body = {"dag_run_id": run_id, "logical_date": None, "conf": conf}
            self.call("POST", f"/dags/{dag_id}/dagRuns", json=body)
        except SparsebenchError as error:
            if ": 409 " not in str(error):
                raise

    def finished(self, dag_id: str, run_id: str) -> str:
        """The state in which a run ends."""
        while (state := self.run_state(dag_id, run_id)) not in FINISHED:
            pause(POLL_S)
        return state


def patiently(ask: Callable[[], T]) -> T:
    """The answer, once faults let it through."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return ask()
        except (SparsebenchError, BotoCoreError, ClientError, OSError):
            if time.monotonic() > deadline:
                raise
            pause(POLL_S)


class Faults:
    """localcloud's faults: whose they are, and how often each has struck."""

    def __init__(self, cloud_url: str) -> None:
        self._url = f"{cloud_url}/localcloud/faults"
        self._headers = {KEY_HEADER: os.environ["AWS_SECRET_ACCESS_KEY"]}
        self._lock = threading.RLock()
        self._owners: list[tuple[int, str]] = []
        """Scenario and kind of each that localcloud knows, in its order."""
        self._before: Counter[tuple[int, str]] = Counter()
        """How often those have struck that it does not know any more, and what was killed."""
        self._s3_until = 0.0
        self.repeats_sends = False
        """Whether an SDK may have sent a command twice, since the answer took longer than it waits."""

    def post(self, number: int, kind: str, faults: Sequence[Fault]) -> None:
        with self._lock:
            httpx.post(self._url, headers=self._headers, json=list(faults), timeout=PATIENCE_S).raise_for_status()
            self._owners += [(number, kind)] * len(faults)
            late = [
                fault for fault in faults if fault.get("seconds", 0) > SDK_S and fault.get("action") == "SendCommand"
            ]
            self.repeats_sends |= bool(late)
            ends = [fault["for_s"] for fault in faults if fault.get("service") == "s3"]
            self._s3_until = max([self._s3_until, *(time.monotonic() + seconds for seconds in ends)])

    def killed(self, number: int, kind: str) -> None:
        with self._lock:
            self._before[number, kind] += 1

    @property
    def in_s3(self) -> bool:
        return time.monotonic() < self._s3_until

    def struck(self) -> Counter[tuple[int, str]]:
        """The faults that struck, by scenario and kind."""
        with self._lock:
            times = self._before.copy()
            for owner, fault in self._report():
                times[owner] += fault["struck"]
            return times

    def wait_in_vain(self, number: int) -> bool:
        """Whether a scenario has faults that have not struck, and still may."""
        with self._lock:
            return any(owner[0] == number and fault["in_force"] for owner, fault in self._report())

    def clear(self) -> None:
        with self._lock:
            self._before = self.struck()
            httpx.delete(self._url, headers=self._headers, timeout=PATIENCE_S).raise_for_status()
            self._owners.clear()

    def across(self, restart: Callable[[], None], active: set[int]) -> None:
        """Restart localcloud. Faults of these scenarios that still may strike, may do so afterwards."""
        with self._lock:
            pending = [(owner, fault) for owner, fault in self._report() if fault["in_force"] and owner[0] in active]
            self._before = self.struck()
            restart()
            self._owners.clear()
            for owner, fault in pending:
                if fault["times"] is not None:
                    fault["times"] -= fault["struck"]
                self.post(*owner, [{name: fault[name] for name in fault.keys() - {"struck", "in_force"}}])

    def _report(self) -> list[tuple[tuple[int, str], dict[str, Any]]]:
        answer = httpx.get(self._url, headers=self._headers, timeout=PATIENCE_S)
        answer.raise_for_status()
        return list(zip(self._owners, answer.json(), strict=True))


class Types:
    """Instance types, each for one scenario at a time: its faults are told apart by them."""

    def __init__(self, names: Sequence[str], clear: Callable[[], None]) -> None:
        self._free = list(names)
        self._dirty: list[str] = []
        self._taken = 0
        self._clear = clear
        self._changed = threading.Condition()

    def take(self) -> str:
        with self._changed:
            while not self._free:
                if self._taken:
                    self._changed.wait()
                else:
                    self._clear()
                    self._free, self._dirty = self._dirty, []
            self._taken += 1
            return self._free.pop(0)

    def give_back(self, name: str, dirty: bool) -> None:
        """dirty: with faults that may still strike, so that it is used again when these can be cleared."""
        with self._changed:
            self._taken -= 1
            (self._dirty if dirty else self._free).append(name)
            self._changed.notify_all()


# --------------------------------------------------------------------------------------------- a sweep


@dataclass(frozen=True)
class Sent:
    """A command that was sent to an instance. ended_at: None where that was never reported."""

    comment: str
    instance_id: str
    status: str
    requested_at: datetime
    ended_at: datetime | None

    @classmethod
    def from_ssm(cls, invocation: Any) -> Sent:
        (plugin,) = invocation["CommandPlugins"]
        return cls(
            invocation["Comment"],
            invocation["InstanceId"],
            invocation["Status"],
            invocation["RequestedDateTime"],
            plugin.get("ResponseFinishDateTime"),
        )
