"""What a run has cost, what it may still cost, and what it is expected to cost before it starts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from sparsebench import catalog
from sparsebench.contracts import BenchRequest, Job, Launch
from sparsebench.errors import BadInput
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
    said = f"an instance may cost {own:.2f} USD, and the run has spent {spent_usd(launches, now):.2f} USD"
    said += f" of {job.budget_usd:.2f} USD"
    if any(launch.ended_at is None for launch in launches):
        raise NoRoom(said)
    raise OverBudget(said)


@dataclass(frozen=True)
class Expected:
    """Of one job: how long its instance is expected to live, and what it then costs (None: no price is known)."""

    instance_type: str
    hours: float
    usd: float | None
    at_most_usd: float | None


def price(instance_type: str, region: str) -> float | None:
    """USD an hour, on demand. An instance type of this machine costs nothing."""
    entry = catalog.instance_types()[instance_type]
    if entry.vcpus is None:
        return 0.0
    return next((price.usd_per_hour for price in entry.prices if price.region == region), None)


def expected(store: Store, job: Job, request: BenchRequest) -> Expected:
    """By what the networks took on this instance type in the last nights, and by the protocol where they did not."""
    history = _history(store, request)
    seconds = PREPARE_S + sum(
        history.get((model.network, model.variant), request.protocol.budget_s) for model in request.models
    )
    hours = seconds / 3600
    if job.usd_per_hour is None:
        return Expected(job.instance_type, hours, None, None)
    return Expected(job.instance_type, hours, job.usd_per_hour * hours, job.usd_per_hour * job.max_minutes / 60)


def _history(store: Store, request: BenchRequest) -> dict[tuple[str, str], float]:
    """Machine seconds of each network and variant: the median of the last nights with the same protocol."""
    took: dict[tuple[str, str], list[float]] = {}
    for night in store.nights()[-HISTORY:]:
        if store.manifest(night).protocol == request.protocol:
            for collection in store.collections(night):
                for one in collection.took:
                    if one.instance_type == request.instance_type:
                        took.setdefault((one.network, one.variant), []).append(one.machine_s)
    return {key: median(seconds) for key, seconds in took.items()}


def within_budget(all_expected: Sequence[Expected], budget_usd: float | None) -> None:
    """
    Raises:
        BadInput: a price is not known, or the run is expected to cost more, or one instance alone may.
    """
    if budget_usd is None:
        return
    for one in all_expected:
        if one.usd is None or one.at_most_usd is None:
            raise BadInput(
                f"instance_types: the catalog has no price of {one.instance_type} in this region, so that budget_usd "
                "cannot be kept; add its price, or leave budget_usd empty"
            )
        if one.at_most_usd > budget_usd:
            raise BadInput(
                f"budget_usd: {budget_usd:.2f}, but {one.instance_type} alone may cost {one.at_most_usd:.2f} USD "
                "before it ends itself; raise it, or ask for fewer networks or a shorter protocol"
            )
    total = sum(one.usd or 0 for one in all_expected)
    if total > budget_usd:
        raise BadInput(
            f"budget_usd: {budget_usd:.2f}, but the sweep is expected to cost {total:.2f} USD; "
            "raise it, or ask for fewer instance types or networks, or a shorter protocol"
        )


def table(all_expected: Sequence[Expected]) -> str:
    """What is expected, as lines for a log or a question."""
    lines = [
        f"{one.instance_type}: about {one.hours:.1f} h"
        + ("" if one.usd is None else f", {one.usd:.2f} USD (at most {one.at_most_usd:.2f})")
        for one in all_expected
    ]
    total = sum(one.usd or 0 for one in all_expected)
    return "\n".join([*lines, f"together: about {total:.2f} USD"])
