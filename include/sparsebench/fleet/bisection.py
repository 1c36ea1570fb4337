"""Two nights' inputs on the same kind of instance in one run: on which side is a change, the inputs' or the hosts'?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import count
from typing import TypeVar

from sparsebench.contracts import Manifest, is_night
from sparsebench.errors import BadInput
from sparsebench.fleet.nights import Sweep, fitting, freeze
from sparsebench.fleet.plan import Plan, Run, planned_on
from sparsebench.fleet.spending import within_budget
from sparsebench.store import Store

T = TypeVar("T")

FEWEST, MOST = 2, 10
"""Instances of each side."""


def plan_bisection(
    store: Store,
    nights: tuple[str, str],
    instance_type: str,
    networks: Sequence[str],
    each: int,
    run: Run,
    now: datetime,
) -> Plan:
    """Check everything, freeze a night for either side, and return the jobs: before and after by turns, so that a drift
    of the data centre takes both along.

    Args:
        nights: before the change, and after it; each side has the inputs of one.
        networks: empty: all that both nights have.
        each: how many instances each side gets. Hosts differ, so one each says nothing.

    Raises:
        BadInput, StoreError, IntegrityError: before anything was written.
    """
    if not FEWEST <= each <= MOST:
        raise BadInput(f"each is {each}; expected {FEWEST} to {MOST} instances of either side")
    frozen = [_manifest(store, night, field) for night, field in zip(nights, ("before", "after"), strict=True)]
    if frozen[0].night == frozen[1].night:
        raise BadInput(f"after is {nights[1]}, as before is; expected two nights")
    if frozen[0].protocol.scenario != frozen[1].protocol.scenario:
        raise BadInput("before and after were measured in other scenarios, of which nothing can be compared")
    store.check_writable()
    facts = run.facts(instance_type)
    names = _free_nights(store, now)
    sides = [
        Manifest.freeze(**(_fields(manifest) | {"night": next(names), "frozen_at": now, "repeats": manifest.night}))
        for manifest in frozen
    ]
    engines = tuple(engine for engine in sides[0].engines if engine in sides[1].engines)
    both = set.intersection(*({card.network for card in manifest.models} for manifest in sides))
    sweep = Sweep(instance_types=(instance_type,), networks=tuple(networks or sorted(both)), engines=engines)
    plans = []
    for manifest in sides:
        for card in sweep.models_of(fitting(manifest, sweep)):
            for artifact in {card.artifact, *card.encodings.values(), *filter(None, [card.parent])}:
                store.fetch_artifact(artifact)
        parts = {f"{manifest.repeats}-{number}": instance_type for number in range(1, each + 1)}
        plans.append(planned_on(store, sweep, manifest, run, parts))
    before, after = plans
    plan = Plan(
        _by_turns(before.jobs, after.jobs),
        _by_turns(before.requests, after.requests),
        _by_turns(before.expected, after.expected),
    )
    within_budget(plan.expected, run.budget_usd)
    for manifest, side in zip(sides, plans, strict=True):
        freeze(store, manifest)
        if facts.vcpus is not None:
            store.freeze_instance_facts(manifest, facts)
        for request in side.requests:
            store.put_bench_request(request, manifest.request_format)
    return plan


def _by_turns(before: Sequence[T], after: Sequence[T]) -> tuple[T, ...]:
    return tuple(each for pair in zip(before, after, strict=True) for each in pair)


def _manifest(store: Store, night: str, field: str) -> Manifest:
    if not is_night(night) or not store.has_manifest(night):
        raise BadInput(f"{field} is {night!r}, which has no manifest in the store; expected a night such as 2026-11-24")
    return store.manifest(night)


def _fields(manifest: Manifest) -> dict[str, object]:
    return {name: getattr(manifest, name) for name in Manifest.model_fields if name != "digest"}


def _free_nights(store: Store, now: datetime) -> Iterator[str]:
    """Names of nights of today that nobody has; the day's first is the schedule's."""
    names = (f"{now.date().isoformat()}.{number}" for number in count(2))
    return (name for name in names if not store.has_manifest(name))
