"""One sweep with its faults, from its trigger to its end."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from posixpath import basename
from typing import Any

import psutil
from benchmarks.common import CONSOLE
from botocore.exceptions import BotoCoreError, ClientError
from tests.support.tiny import NETWORK

from chaos.lab import Lab
from chaos.scenarios import PROTOCOL, Act, Phase, Process, Scenario
from chaos.system import DAG, HOLD, HUNT_S, POLL_S, SWEEP_S, VARIANT, patiently, pause
from sparsebench.contracts import Launch, Trial, run_key, sha256
from sparsebench.errors import SparsebenchError
from sparsebench.fleet.plan import job_name
from sparsebench.local.api import FINISHED
from sparsebench.localcloud import processes


@dataclass
class Outcome:
    """What came of a scenario. Times in seconds.

    instances_s: that its instances lived, together. problems: what should not be.
    """

    number: int
    name: str
    phase: Phase
    instance_type: str
    ended_as: str = ""
    expected: str = ""
    left_over: int = 0
    trials: int = 0
    lost_trials: int = 0
    duplicates: int = 0
    wrong: int = 0
    untyped: int = 0
    instances_s: float = 0
    took_s: float = 0
    problems: list[str] = field(default_factory=list)


class Sweep:
    """One sweep, and what is done to it on the way."""

    def __init__(self, lab: Lab, scenario: Scenario, instance_type: str) -> None:
        self.lab, self.scenario, self.instance_type = lab, scenario, instance_type
        self.run_id = f"scenario-{scenario.number}"
        self.job = job_name(DAG, self.run_id, instance_type)
        self.recipes = scenario.recipes(lab.place(instance_type))
        self.seen: dict[str, str] = {}
        """Digest of each trial that was ever in the store, by its path."""
        self.side_by_side: set[str] = set()
        """Instances on which the job was seen to run twice at the same time."""
        self._todo = [(kind, act) for kind, recipe in self.recipes.items() for act in recipe.acts]
        self._reached: dict[str, float] = {}
        self._night: str | None = None

    @property
    def expected(self) -> str:
        """How it is to end."""
        return next((recipe.ends_as for recipe in self.recipes.values() if recipe.ends_as != "complete"), "complete")

    @property
    def night(self) -> str | None:
        """The night that its plan chose; None as long as it has not."""
        if self._night is None:
            store = self.lab.store
            self._night = next((n for n in store.nights() if store.exists(f"nights/{n}/jobs/{self.job}.json")), None)
        return self._night

    def launches(self) -> list[Launch]:
        return self.lab.store.launches(run_key(DAG, self.run_id))

    def trials(self) -> list[Trial]:
        return self.lab.store.trials(self.night, self.instance_type, self.job) if self.night else []

    def carry_out(self) -> str:
        """Run it; the state in which it ends."""
        for kind, act in [(kind, act) for kind, act in self._todo if act.stage == "start"]:
            self._act(kind, act, {})
        conf: dict[str, Any] = {
            "instance_types": [self.instance_type],
            "networks": [NETWORK],
            "variants": [VARIANT],
            "engines": list(self.scenario.engines),
            "protocol": PROTOCOL,
        }
        budgets = [recipe.budget_usd for recipe in self.recipes.values() if recipe.budget_usd is not None]
        self.lab.api.start(DAG, self.run_id, conf | ({"budget_usd": budgets[0]} if budgets else {}))
        deadline = time.monotonic() + SWEEP_S
        while (state := self.lab.api.run_state(DAG, self.run_id)) not in FINISHED:
            if time.monotonic() > deadline:
                return f"{state} after {SWEEP_S} s"
            self._act_where_due()
            self.look_at_trials()
            self._look_at_runners()
            pause(POLL_S)
        return state

    def tasks(self) -> dict[str, dict[str, Any]]:
        """Its task instances, by the last part of their ids."""
        tasks = self.lab.api.task_instances(DAG, self.run_id)
        return {task["task_id"].rpartition(".")[2]: task for task in tasks}

    def look_at_trials(self) -> None:
        """Keep the digests of new ones."""
        if self.lab.faults.in_s3:
            return  # whose faults are for the system
        with suppress(SparsebenchError, BotoCoreError, ClientError, OSError):
            for path in self.trial_paths():
                if path not in self.seen:
                    self.seen[path] = sha256(self.lab.store.read(path))

    def _look_at_runners(self) -> None:
        self.side_by_side |= {instance_id for instance_id, running in self._runners().items() if len(running) > 1}

    def _runners(self) -> dict[str, list[psutil.Process]]:
        """What measures, by instance: real processes of this machine."""
        if self.lab.faults.in_s3:
            return {}
        alive = [launch.instance_id for launch in patiently(self.launches) if not launch.ended_at]
        return {instance_id: _runners_among(processes.of_instance(instance_id)) for instance_id in alive}

    def trial_paths(self) -> list[str]:
        if not self.night:
            return []
        paths = self.lab.store.paths(f"nights/{self.night}/trials/{self.instance_type}")
        return [path for path in paths if basename(path).startswith(f"{self.job}-")]

    # --------------------------------------------------------------------------- what is done to it

    def _act_where_due(self) -> None:
        if not self._todo:
            return
        tasks = self.tasks()
        for stage, task in tasks.items():
            if task["start_date"] and stage not in self._reached:
                self._reached[stage] = time.monotonic()
        for kind, act in list(self._todo):
            hunted = act.kill in ("task", "supervisor", "worker")
            reached = self._reached.get(act.stage)
            if hunted:
                due = tasks.get(act.stage, {}).get("state") in ("queued", "running")
            else:
                due = reached is not None and time.monotonic() >= reached + act.after_s
            if due:
                self._act(kind, act, tasks)

    def _act(self, kind: str, act: Act, tasks: dict[str, dict[str, Any]]) -> None:
        """Do it; what could not be done is done later."""
        number, faults = self.scenario.number, self.lab.faults
        if act.faults:
            faults.post(number, kind, act.faults)
        elif act.kill and self._kill(act.kill, act, tasks):
            faults.killed(number, kind)
        else:
            return
        self._todo.remove((kind, act))
        what = f"killed: {act.kill}" if act.kill else "faults are in force"
        CONSOLE.print(f"{self.scenario.name}: {what} ({act.stage})", highlight=False, soft_wrap=True, style="dim")

    def _kill(self, process: Process, act: Act, tasks: dict[str, dict[str, Any]]) -> bool:
        match process:
            case "localcloud":
                self.lab.restart_cloud(act.down_s)
            case "runner":
                return self._kill_runner()
            case "task" | "supervisor" | "worker":
                return self._kill_task(process, act, tasks[act.stage])
            case _:
                self.lab.system.kill(process, act.down_s)
        return True

    def _kill_runner(self) -> bool:
        running = [process for runners in self._runners().values() for process in runners]
        for process in running:
            with suppress(psutil.Error):
                # It crashes. SIGKILL is what the kernel does for want of memory, which no retry mends.
                process.send_signal(signal.SIGABRT)
        return bool(running)

    def _kill_task(self, process: Process, act: Act, task: dict[str, Any]) -> bool:
        system, deadline = self.lab.system, time.monotonic() + HUNT_S
        while not (hunted := system.task_process(task["id"])):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.2)
        if act.hold:
            self._wait_for_command()
        time.sleep(act.after_s)
        with suppress(psutil.Error):
            supervisor = hunted.parent()
            if not hunted.is_running() or supervisor is None:
                return False
            if process == "worker":
                system.kill("celery-worker")
            elif process == "supervisor":
                supervisor.kill()
            hunted.kill()
        return True

    def _wait_for_command(self) -> None:
        """Until a command was sent whose sender does not know it yet."""
        owner = self.scenario.number, "hold"
        self.lab.faults.post(*owner, [HOLD])
        deadline = time.monotonic() + HUNT_S
        while not self.lab.faults.struck()[owner] and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(0.5)


def _runners_among(processes_: set[psutil.Process]) -> list[psutil.Process]:
    """Those that measure. A runner's child has its command line too until it becomes another program, and is none."""
    measuring = {process.pid: process for process in processes_ if _measures(process)}
    runners = []
    for process in measuring.values():
        with suppress(psutil.Error):
            if process.ppid() not in measuring:
                runners.append(process)
    return runners


def _measures(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return {"sparsebench.bench", "run"} <= set(process.cmdline())
    return False
