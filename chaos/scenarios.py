"""What `python -m chaos` does to a sweep: kinds of faults, dealt out to scenarios by a seeded generator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from random import Random
from typing import Any, Literal

from sparsebench import catalog
from sparsebench.fleet.instance_types import of_catalog

Phase = Literal["bucket", "folder"]
"""bucket: the store is one in the emulator's S3, and instances are spot. folder: the store is a folder, so that the
emulator may lose its memory, and instances are on demand."""

Stage = Literal["start", "plan", "ask", "launch", "agent", "prepare", "work", "terminate", "collect"]
"""When something is done to a sweep: before it is triggered, or once this task of it runs."""

Process = Literal["task", "supervisor", "worker", "scheduler", "triggerer", "api-server", "localcloud", "runner"]
"""What is killed. task: the process that runs a task's code. supervisor: that and the process above it. worker: the
whole Celery worker. runner: what measures on the instance."""

Ending = Literal["complete", "unsupported", "over_budget", "refused"]
"""How a sweep is to end: all cells measured, all missing for this reason, or refused by its plan."""

Group = Literal["launch", "agent", "command", "calls", "process"]
"""What a kind strikes. Of two kinds in a scenario, one would hide the other if they struck the same."""

Fault = dict[str, Any]
"""As localcloud takes it (sparsebench.localcloud.faults)."""

PROTOCOL = "quick"
BOTH: tuple[Phase, ...] = ("bucket", "folder")
SECOND = 0.4
"""The probability that a scenario gets a second kind."""


@dataclass(frozen=True)
class Place:
    """Where a scenario happens, and how long an undisturbed sweep takes there.

    Attributes:
        zones: that offer the type, in the order in which they are tried.
        work_begins_s: from the launch until the first trial begins.
        work_s: from then until the last one has ended.
    """

    instance_type: str
    zones: tuple[str, ...]
    phase: Phase
    work_begins_s: float
    work_s: float

    @property
    def markets(self) -> int:
        """How many a launch tries: spot before on demand."""
        return 2 if self.phase == "bucket" else 1

    @property
    def most_usd(self) -> float:
        """What one instance of a sweep over one network may cost: fleet.plan.max_minutes at the catalog's price, and
        what a burstable type is charged beside it."""
        facts = of_catalog(self.instance_type, "us-east-1")
        assert facts
        assert facts.at_most_usd_per_hour
        minutes = 30 + ceil((catalog.protocols()[PROTOCOL].budget_s + 300) / 60)
        return facts.at_most_usd_per_hour * minutes / 60


@dataclass(frozen=True)
class Act:
    """Something that is done to a sweep ``after_s`` seconds after it has come to a stage.

    down_s: how long what was killed stays down. hold: kill a task once it has sent a command, before it knows.
    """

    stage: Stage
    after_s: float = 0
    faults: tuple[Fault, ...] = ()
    kill: Process | None = None
    down_s: float = 0
    hold: bool = False


@dataclass(frozen=True)
class Recipe:
    """A kind with its parameters. budget_usd: of the sweep; None: as configured."""

    acts: tuple[Act, ...]
    ends_as: Ending = "complete"
    budget_usd: float | None = None


@dataclass(frozen=True)
class Kind:
    name: str
    group: Group
    make: Callable[[Random, Place], Recipe]
    phases: tuple[Phase, ...] = BOTH
    alone: bool = False
    """Because the sweep does not come far enough for another kind."""


# ------------------------------------------------------------------------------------------------ launches


def _launches(place: Place, code: str, times: int | None, **which: Any) -> Recipe:
    """The first launches are refused."""
    fault = {"action": "RunInstances", "code": code, "instance_type": place.instance_type, "times": times}
    return Recipe((Act("start", faults=(fault | which,)),))


def _capacity_zone(random: Random, place: Place) -> Recipe:
    return _launches(place, "InsufficientInstanceCapacity", 1, availability_zone=place.zones[0])


def _capacity_all(random: Random, place: Place) -> Recipe:
    markets = random.randint(1, place.markets)  # of two, on demand may have one
    return _launches(place, "InsufficientInstanceCapacity", len(place.zones) * markets)


def _quota(random: Random, place: Place) -> Recipe:
    return _launches(place, "VcpuLimitExceeded", random.randint(1, 4) * place.markets)


def _unsupported(random: Random, place: Place) -> Recipe:
    return Recipe(_launches(place, "Unsupported", None).acts, "unsupported")


def _image_gone(random: Random, place: Place) -> Recipe:
    return Recipe(_launches(place, "InvalidAMIID.NotFound", None).acts, "unsupported")


def _lost_answer(random: Random, place: Place) -> Recipe:
    fault = {
        "kind": "lost_answer",
        "service": "ec2",
        "action": "RunInstances",
        "instance_type": place.instance_type,
        "closed": random.random() < 0.5,
        "times": 1,
    }
    return Recipe((Act("start", faults=(fault,)),))


def _over_budget(random: Random, place: Place) -> Recipe:
    """Less than one instance may cost; or no more than that, and the instance is lost."""
    if random.random() < 0.5:
        return Recipe((), "refused", round(place.most_usd * random.uniform(0.1, 0.9), 4))
    kill = {"kind": "kill", "since": "command", "comment": ":prepare", "after_s": 0.5}
    return Recipe((_instance(place, **kill),), "over_budget", place.most_usd * 1.001)


# ------------------------------------------------------------------------------------ instances and commands


def _instance(place: Place, **fault: Any) -> Act:
    return Act("start", faults=({**fault, "instance_type": place.instance_type, "times": 1},))


def _unseen(random: Random, place: Place) -> Recipe:
    """EC2 shows it later than the steps after the launch ask for it."""
    return Recipe((_instance(place, kind="unseen", seconds=random.uniform(20, 150)),))


def _agent_never(random: Random, place: Place) -> Recipe:
    return Recipe((_instance(place, kind="agent_offline"),))


def _agent_late(random: Random, place: Place) -> Recipe:
    return Recipe((_instance(place, kind="agent_offline", online_after_s=random.uniform(20, 240)),))


def _command_lost(random: Random, place: Place) -> Recipe:
    return Recipe((_instance(place, kind="lost_command", comment=random.choice([":prepare", ":work"])),))


def _end_unreported(random: Random, place: Place) -> Recipe:
    """The end of prepare is waited for until the instance ends itself: half an hour."""
    comment = ":prepare" if random.random() < 0.2 else ":work"
    return Recipe((_instance(place, kind="lost_command", comment=comment, stays="InProgress"),))


def _killed(random: Random, place: Place, step: str, most_s: float) -> Recipe:
    after_s = random.uniform(0.2, most_s)
    return Recipe((_instance(place, kind="kill", since="command", comment=f":{step}", after_s=after_s),))


def _spot_notice(random: Random, place: Place) -> Recipe:
    after_s = place.work_begins_s + place.work_s * random.uniform(0, 0.8)
    return Recipe((_instance(place, kind="spot_notice", after_s=after_s, notice_s=random.uniform(20, 120)),))


# ------------------------------------------------------------------------------------------ calls of AWS


def _storm(random: Random, least: float, most: float) -> Fault:
    """Some requests of all, for a while."""
    return {
        "per_request": True,
        "probability": random.uniform(least, most),
        "for_s": random.uniform(20, 60),
        "seed": random.randrange(1 << 30),
    }


def _throttling(random: Random, place: Place) -> Recipe:
    stage: Stage = random.choice(["plan", "launch", "prepare", "work", "collect"])
    storm = _storm(random, 0.3, 0.8)
    ec2 = {"service": "ec2", "action": "*", "code": "RequestLimitExceeded"}
    ssm = {"service": "ssm", "action": "*", "code": "ThrottlingException"}
    return Recipe((Act(stage, faults=(ec2 | storm, ssm | storm)),))


def _slow(random: Random, place: Place) -> Recipe:
    """Answers that take seconds; or one that takes longer than an SDK waits, so that it asks again."""
    stage: Stage = random.choice(["plan", "launch", "prepare", "work"])
    if random.random() < 0.6:
        delay = {"kind": "delay", "action": "*", "seconds": random.uniform(2, 10)} | _storm(random, 0.3, 0.8)
        return Recipe((Act(stage, faults=(delay | {"service": "ec2"}, delay | {"service": "ssm"})),))
    action = random.choice(["RunInstances", "SendCommand", "GetCommandInvocation", "DescribeInstances"])
    late = {"kind": "delay", "action": action, "seconds": random.uniform(62, 75), "when": "after", "times": 1}
    if action == "RunInstances":
        late["instance_type"] = place.instance_type
    return Recipe((Act("start", faults=(late | {"per_request": True},)),))


def _s3_errors(random: Random, place: Place) -> Recipe:
    stage: Stage = random.choice(["plan", "launch", "prepare", "work", "collect"])
    code = random.choice(["SlowDown", "InternalError", "ServiceUnavailable"])
    action = random.choice(["*", "PutObject", "GetObject", "HeadObject", "ListObjectsV2"])
    fault = {"service": "s3", "action": action, "code": code} | _storm(random, 0.3, 0.7)
    return Recipe((Act(stage, random.uniform(0, 5), faults=(fault,)),))


# -------------------------------------------------------------------------------------------- processes


def _emulator(random: Random, place: Place) -> Recipe:
    stage: Stage = random.choice(["launch", "agent", "prepare", "work"])
    return Recipe((Act(stage, random.uniform(0, 20), kill="localcloud", down_s=random.uniform(0, 20)),))


def _worker(random: Random, place: Place) -> Recipe:
    stage: Stage = random.choice(["plan", "ask", "launch", "agent", "prepare", "work", "terminate", "collect"])
    process: Process = random.choice(["task", "supervisor", "worker"])
    hold = stage in ("prepare", "work")
    return Recipe((Act(stage, 0 if hold else random.uniform(0, 5), kill=process, hold=hold),))


def _component(random: Random, place: Place, process: Process) -> Recipe:
    stage: Stage = random.choice(["plan", "launch", "agent", "prepare", "work", "terminate"])
    return Recipe((Act(stage, random.uniform(0, 20), kill=process, down_s=random.uniform(0, 10)),))


def _runner(random: Random, place: Place) -> Recipe:
    return Recipe((Act("work", random.uniform(0, place.work_s / 2), kill="runner"),))


KINDS = (
    Kind("capacity in one zone", "launch", _capacity_zone),
    Kind("capacity in all zones", "launch", _capacity_all),
    Kind("quota", "launch", _quota),
    Kind("unsupported type", "launch", _unsupported, alone=True),
    Kind("image gone", "launch", _image_gone, alone=True),
    Kind("over budget", "launch", _over_budget, alone=True),
    Kind("lost answer to RunInstances", "launch", _lost_answer),
    Kind("instance not shown yet", "agent", _unseen),
    Kind("agent never online", "agent", _agent_never),
    Kind("agent late", "agent", _agent_late),
    Kind("command lost", "command", _command_lost),
    Kind("end of command not reported", "command", _end_unreported),
    Kind("instance killed in prepare", "command", partial(_killed, step="prepare", most_s=4)),
    Kind("instance killed in work", "command", partial(_killed, step="work", most_s=12)),
    Kind("spot notice", "command", _spot_notice, phases=("bucket",)),
    Kind("runner killed", "command", _runner),
    Kind("throttling storm", "calls", _throttling),
    Kind("slow answers", "calls", _slow),
    Kind("S3 errors", "calls", _s3_errors, phases=("bucket",)),
    Kind("emulator restarted", "process", _emulator, phases=("folder",)),
    Kind("worker process killed", "process", _worker),
    Kind("scheduler killed", "process", partial(_component, process="scheduler")),
    Kind("triggerer killed", "process", partial(_component, process="triggerer")),
    Kind("API server killed", "process", partial(_component, process="api-server")),
)
BY_NAME = {kind.name: kind for kind in KINDS}

QUICK = (
    "capacity in one zone",
    "lost answer to RunInstances",
    "instance killed in work",
    "worker process killed",
    "emulator restarted",
)


@dataclass(frozen=True)
class Scenario:
    """One sweep, and what is done to it. Its number and seed determine all of it but for the instance type."""

    number: int
    seed: int
    kinds: tuple[str, ...]
    phase: Phase
    engines: tuple[str, ...] = ("onnxruntime",)

    @property
    def name(self) -> str:
        return f"#{self.number} {' + '.join(self.kinds) or 'undisturbed'}"

    def recipes(self, place: Place) -> dict[str, Recipe]:
        """The recipes, by kind."""
        return {name: BY_NAME[name].make(Random(f"{self.seed}/{self.number}/{name}"), place) for name in self.kinds}  # noqa: S311


def deal(count: int, seed: int) -> list[Scenario]:
    """Scenarios from number 1, each with the kinds that were dealt least so far: the first are the same for any count.

    Some get a second kind that strikes something else, in a phase where both can be.
    """
    dealt: Counter[str] = Counter()
    scenarios = []
    for number in range(1, count + 1):
        random = Random(f"{seed}/{number}")  # noqa: S311 - dice, not secrets
        first, *others = sorted(random.sample(KINDS, len(KINDS)), key=lambda kind: dealt[kind.name])
        kinds = [first]
        if random.random() < SECOND:
            kinds += [other for other in others if _fit(first, other)][:1]
        dealt.update(kind.name for kind in kinds)
        engines = ("onnxruntime", "openvino") if number % 4 == 0 else ("onnxruntime",)
        scenarios.append(Scenario(number, seed, tuple(kind.name for kind in kinds), _phase(kinds, number), engines))
    return scenarios


def quick(seed: int) -> list[Scenario]:
    """One scenario of each of five kinds."""
    return [Scenario(number, seed, (name,), "folder") for number, name in enumerate(QUICK, 1)]


def _fit(first: Kind, second: Kind) -> bool:
    return (
        not first.alone
        and not second.alone
        and first.group != second.group
        and bool({*first.phases} & {*second.phases})
    )


def _phase(kinds: Sequence[Kind], number: int) -> Phase:
    possible = [phase for phase in BOTH if all(phase in kind.phases for kind in kinds)]
    return possible[number % len(possible)]
