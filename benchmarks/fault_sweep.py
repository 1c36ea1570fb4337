"""One sweep with its faults, from its trigger to its end."""

from __future__ import annotations

import threading
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from posixpath import basename
from typing import Any

import boto3
import psutil
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from common import CONSOLE
from fault_checks import judge
from fault_scenarios import PROTOCOL, Act, Phase, Place, Process, Scenario
from fault_system import (
    DAG,
    HOLD,
    HUNT_S,
    POLL_S,
    SWEEP_S,
    VARIANT,
    Api,
    Faults,
    Sent,
    Stopped,
    System,
    Types,
    patiently,
    pause,
)
from tiny import NETWORK

from sparsebench import catalog
from sparsebench.contracts import Launch, Trial, run_key, sha256
from sparsebench.errors import SparsebenchError
from sparsebench.fleet import tags
from sparsebench.fleet.plan import job_name
from sparsebench.local.api import FINISHED
from sparsebench.local.stack import USER
from sparsebench.localcloud import processes
from sparsebench.store import Store


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


@dataclass
class Lab:
    """The system of one phase, and what is asked of it."""

    phase: Phase
    system: System
    store: Store

    def __post_init__(self) -> None:
        self.api = Api(self.system.url, USER, self.system.password)
        self.faults = Faults(self.system.cloud_url)
        self.types = Types([n for n, one in catalog.cpu_instance_types().items() if one.vcpus], self.faults.clear)
        session, patient = boto3.session.Session(), Config(retries={"mode": "standard", "max_attempts": 10})
        self.ec2, self._ssm = session.client("ec2", config=patient), session.client("ssm", config=patient)
        self.active: set[int] = set()
        self.drawing = threading.Lock()
        self.undisturbed_s = 0.0
        self._times = (60.0, 25.0)
        self._sent: dict[str, Sent] = {}

    def place(self, instance_type: str) -> Place:
        answer = patiently(
            lambda: self.ec2.describe_instance_type_offerings(
                LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": [instance_type]}]
            )
        )
        zones = sorted(offer["Location"] for offer in answer["InstanceTypeOfferings"])
        return Place(instance_type, tuple(zones), self.phase, *self._times)

    def sent(self) -> list[Sent]:
        """All commands, those before a restart of the emulator among them."""
        pages = self._ssm.get_paginator("list_command_invocations").paginate(Details=True)
        self._sent |= {one["CommandId"]: Sent.of(one) for page in pages for one in page["CommandInvocations"]}
        return sorted(self._sent.values(), key=lambda one: one.requested_at)

    def restart_cloud(self, down_s: float) -> None:
        def restart() -> None:
            patiently(self.sent)
            self.system.kill("localcloud", down_s)
            time.sleep(down_s)
            patiently(lambda: self.ec2.describe_regions())

        self.faults.across(restart, self.active)

    def alive(self, run_id: str) -> list[str]:
        """A run's instances that are not terminated."""
        pages = self.ec2.get_paginator("describe_instances").paginate(
            Filters=[
                {"Name": f"tag:{tags.RUN}", "Values": [run_id]},
                {"Name": "instance-state-name", "Values": tags.ALIVE},
            ]
        )
        return [one["InstanceId"] for page in pages for group in page["Reservations"] for one in group["Instances"]]

    def measure_undisturbed(self, seed: int) -> Outcome:
        """What a sweep takes to which nothing is done."""
        scenario = Scenario(0, seed, (), self.phase)
        outcome = self.carry_out(scenario)
        sweep = Sweep(self, scenario, outcome.instance_type)
        launches, trials = sweep.launches(), sweep.trials()
        if launches and trials:
            begins = min(trial.started_at for trial in trials)
            ends = max(trial.ended_at for trial in trials)
            self._times = (begins - launches[0].launched_at).total_seconds(), (ends - begins).total_seconds()
        self.undisturbed_s = outcome.instances_s
        return outcome

    def carry_out(self, scenario: Scenario) -> Outcome:
        """Run a scenario to its end, and look at what is there."""
        instance_type = self.types.take()
        self.active.add(scenario.number)
        began = time.monotonic()
        outcome = Outcome(scenario.number, scenario.name, self.phase, instance_type)
        try:
            CONSOLE.print(f"{scenario.name} begins on {instance_type}", highlight=False, soft_wrap=True)
            sweep = Sweep(self, scenario, instance_type)
            judge(sweep, sweep.carry_out(), outcome)
        except Stopped:
            outcome.problems.append("stopped")
        except Exception:
            outcome.problems.append(f"the benchmark itself failed: {traceback.format_exc()}")
        finally:
            self.active.discard(scenario.number)
            outcome.took_s = time.monotonic() - began
            self.types.give_back(instance_type, patiently(lambda: self.faults.wait_in_vain(scenario.number)))
        return outcome


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
        for kind, act in [one for one in self._todo if one[1].stage == "start"]:
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
        found = self.lab.api.task_instances(DAG, self.run_id)
        return {task["task_id"].rpartition(".")[2]: task for task in found}

    def look_at_trials(self) -> None:
        """Keep the digests of new ones."""
        if self.lab.faults.in_s3:
            return  # whose faults are for the system
        with suppress(SparsebenchError, BotoCoreError, ClientError, OSError):
            for path in self.trial_paths():
                if path not in self.seen:
                    self.seen[path] = sha256(self.lab.store.read(path))

    def _look_at_runners(self) -> None:
        found = self._runners()
        self.side_by_side |= {instance_id for instance_id, running in found.items() if len(running) > 1}

    def _runners(self) -> dict[str, list[psutil.Process]]:
        """What measures, by instance: real processes of this machine."""
        if self.lab.faults.in_s3:
            return {}
        alive = [launch.instance_id for launch in patiently(self.launches) if not launch.ended_at]
        return {one: _runners_among(processes.of(one)) for one in alive}

    def trial_paths(self) -> list[str]:
        if not self.night:
            return []
        found = self.lab.store.paths(f"nights/{self.night}/trials/{self.instance_type}")
        return [path for path in found if basename(path).startswith(f"{self.job}-")]

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
        running = [process for found in self._runners().values() for process in found]
        for process in running:
            with suppress(psutil.Error):
                process.kill()
        return bool(running)

    def _kill_task(self, process: Process, act: Act, task: dict[str, Any]) -> bool:
        system, deadline = self.lab.system, time.monotonic() + HUNT_S
        while not (found := system.task_process(task["id"])):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.2)
        if act.hold:
            self._wait_for_command()
        time.sleep(act.after_s)
        with suppress(psutil.Error):
            supervisor = found.parent()
            if not found.is_running() or supervisor is None:
                return False
            if process == "worker":
                system.kill("celery-worker")
            elif process == "supervisor":
                supervisor.kill()
            found.kill()
        return True

    def _wait_for_command(self) -> None:
        """Until a command was sent whose sender does not know it yet."""
        owner = self.scenario.number, "hold"
        self.lab.faults.post(*owner, [HOLD])
        deadline = time.monotonic() + HUNT_S
        while not self.lab.faults.struck()[owner] and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(0.5)


def _runners_among(found: set[psutil.Process]) -> list[psutil.Process]:
    """Those that measure. A runner's child has its command line too until it becomes another program, and is none."""
    measuring = {process.pid: process for process in found if _measures(process)}
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
