"""What a run has cost, what it may still cost, and what it is expected to cost before it starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from sparsebench.bench.stopping import VERDICT_BUDGETS
from sparsebench.contracts import BenchRequest, Job, Launch, Protocol, Took
from sparsebench.errors import BadInput, StoreError
from sparsebench.fleet.failures import NoRoom, OverBudget
from sparsebench.store import Store

PREPARE_S = 600
"""An instance boots, its agent comes online, and the environment is installed: taken as ten minutes."""

HISTORY = 5
"""Nights that are looked at for how long a network took."""


def spent_usd(launches: Iterable[Launch], now: datetime) -> float:
    return sum(launch.cost_usd(now) for launch in launches)


def at_most_usd(launches: Iterable[Launch]) -> float:
    """What they can have cost in the end: each instance ends itself by ``ends_by``."""
    return sum(launch.cost_usd(launch.ends_by) for launch in launches)


def check(store: Store, job: Job, now: datetime) -> None:
    """Whether the budget of the job's run pays for one more instance, to the latest end of all.

    Raises:
        NoRoom: not now, but when those that run have ended sooner than they might.
        OverBudget: never again in this run.
    """
    if job.budget_usd is None:
        return
    launches = store.launches(job.run_key)
    own = (job.usd_per_hour or 0) * job.max_minutes / 60
    if at_most_usd(launches) + own <= job.budget_usd:
        return
    shortfall = f"an instance may cost {own:.2f} USD, and the run has spent {spent_usd(launches, now):.2f} USD"
    shortfall += f" of {job.budget_usd:.2f} USD"
    if any(launch.ended_at is None for launch in launches):
        raise NoRoom(shortfall)
    raise OverBudget(shortfall)


@dataclass(frozen=True)
class Expected:
    """What is expected of one job: how long its instance is expected to live, and what it then costs (None: no price is
    known)."""

    instance_type: str
    hours: float
    usd: float | None
    at_most_usd: float | None
    of_type: str = ""
    """What the instance type has and costs, and since when that is known; empty for this machine."""
    too_slow: str = ""
    """Where earlier nights say that the budget does not hold the processes that verdicts need: what it would take."""


def check_payable(instance_type: str, usd_per_hour: float | None, max_minutes: int, budget_usd: float | None) -> None:
    """Check that the budget pays for a job of which nobody is asked, to its latest end.

    Raises:
        BadInput: it does not, or its price is not known.
    """
    if usd_per_hour is None:
        raise BadInput(
            f"instance_type: no price of {instance_type} is known in this region: let Airflow ask for it "
            "(pricing:GetProducts), add it to the catalog, or choose another type"
        )
    at_most = usd_per_hour * max_minutes / 60
    if budget_usd is not None and at_most > budget_usd:
        raise BadInput(
            f"budget_usd: {budget_usd:.2f}, but {instance_type} alone may cost {at_most:.2f} USD before it ends "
            "itself; raise it, or ask for less"
        )


def took(store: Store, protocol: Protocol) -> list[Took]:
    """How long the last nights with the same protocol took. It is read once for all jobs of a plan."""
    spells: list[Took] = []
    for night in store.nights()[-HISTORY:]:
        with suppress(StoreError):  # a night that is damaged, or has no manifest, tells nothing, and stops no other
            if store.manifest(night).protocol == protocol:
                spells += [spell for collection in store.collections(night) for spell in collection.took]
    return spells


def expected(spells: Sequence[Took], job: Job, request: BenchRequest, of_type: str = "") -> Expected:
    """The estimate of a job, by what the networks took on this instance type in the last nights, and by the protocol
    where they did not. spells: as of ``took``."""
    history, too_slow = _history(spells, request)
    seconds = PREPARE_S + sum(
        history.get((model.network, model.variant), request.protocol.budget_s) for model in request.models
    )
    hours = seconds / 3600
    if job.usd_per_hour is None:
        return Expected(job.instance_type, hours, None, None, of_type, too_slow)
    usd = job.usd_per_hour * hours
    return Expected(job.instance_type, hours, usd, job.usd_per_hour * job.max_minutes / 60, of_type, too_slow)


def _history(spells: Sequence[Took], request: BenchRequest) -> tuple[dict[tuple[str, str], float], str]:
    """Machine seconds of each network and variant on the request's instance type: the median of the spells. And whether
    what may be spent holds the processes that verdicts need, by those nights."""
    seconds: dict[tuple[str, str], list[float]] = {}
    of_process: dict[tuple[str, str], list[float]] = {}
    for spell in spells:
        if spell.instance_type == request.instance_type:
            file = spell.network, spell.variant
            seconds.setdefault(file, []).append(spell.machine_s)
            if spell.processes:
                of_process.setdefault(file, []).append(spell.machine_s / spell.processes)
    return {file: median(of_file) for file, of_file in seconds.items()}, _too_slow(request, of_process)


def _too_slow(request: BenchRequest, of_process: Mapping[tuple[str, str], Sequence[float]]) -> str:
    files = [(model.network, model.variant) for model in request.models]
    if not all(file in of_process for file in files):
        return ""
    least, most_s = request.protocol.min_processes, VERDICT_BUDGETS * request.protocol.budget_s * len(files)
    needed_s = least * sum(median(of_process[file]) for file in files)
    if needed_s <= most_s:
        return ""
    return f"{least} processes of each engine take about {needed_s:.0f} s, and {most_s:.0f} s may be spent on them"


def within_budget(all_expected: Sequence[Expected], budget_usd: float | None) -> None:
    """
    Raises:
        BadInput: a price is not known, or the run is expected to cost more, or one instance alone may.
    """
    if budget_usd is None:
        return
    for job in all_expected:
        if job.usd is None or job.at_most_usd is None:
            raise BadInput(
                f"instance_types: no price of {job.instance_type} is known in this region, so that nobody can keep to "
                "budget_usd: let Airflow ask for it (pricing:GetProducts), add it to the catalog, or leave it empty"
            )
        if job.at_most_usd > budget_usd:
            raise BadInput(
                f"budget_usd: {budget_usd:.2f}, but {job.instance_type} alone may cost {job.at_most_usd:.2f} USD "
                "before it ends itself; raise it, or ask for fewer networks or a shorter protocol"
            )
    total = total_usd(all_expected) or 0
    if total > budget_usd:
        raise BadInput(
            f"budget_usd: {budget_usd:.2f}, but the sweep is expected to cost {total:.2f} USD; "
            "raise it, or ask for fewer instance types or networks, or a shorter protocol"
        )


def table(all_expected: Sequence[Expected]) -> str:
    """What is expected, as lines for a log or a question."""
    lines = [
        f"{job.instance_type}: about {job.hours:.1f} h"
        + (", its price is not known" if job.usd is None else f", {job.usd:.2f} USD (at most {job.at_most_usd:.2f})")
        + (job.of_type and f"; {job.of_type}")
        + (job.too_slow and f"; too slow for a verdict on every cell: {job.too_slow}")
        for job in all_expected
    ]
    total = total_usd(all_expected)
    return "\n".join([*lines, "together: not known" if total is None else f"together: about {total:.2f} USD"])


def total_usd(all_expected: Sequence[Expected]) -> float | None:
    """The cost of all jobs; None: a price is not known."""
    each = [job.usd for job in all_expected]
    return None if None in each else sum(usd for usd in each if usd is not None)
