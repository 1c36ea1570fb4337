"""Changes of series -> events: what people are told, once, with what may have caused it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from datetime import datetime
from functools import cache
from itertools import pairwise
from math import exp
from typing import NamedTuple

import numpy as np

from sparsebench.analysis.changes import Change, changes
from sparsebench.analysis.difference import inputs
from sparsebench.analysis.history import History, Watched
from sparsebench.analysis.pooling import Night
from sparsebench.bench.engines import ENGINES
from sparsebench.contracts import ChangedInput, ChangedSeries, Changes, Event, in_order
from sparsebench.errors import StoreError
from sparsebench.store import Store

NEAR = 1
"""Nights by which the first nights of two series may differ beyond what is plausible of either."""

INSTANCE = "instance"
"""What is called so in an event's ``differs``. On EC2 it is another one every night, so it is no cause by itself."""


class _Subject(NamedTuple):
    """What series have in common: an engine (by its library, so that its own tool is the same), or a file."""

    engine: str | None = None
    network: str | None = None
    variant: str | None = None


class _Changed(NamedTuple):
    """A change of a series; its nights are indexes into the history."""

    watched: Watched
    change: Change
    first: int
    earliest: int
    latest: int
    told: int

    @property
    def subjects(self) -> list[_Subject]:
        """Whose doing it may be, the likelier first where as many series speak for either."""
        engines = dict.fromkeys(_Subject(_library(side.engine)) for side in (self.watched.a, self.watched.b))
        files = dict.fromkeys(
            _Subject(None, self.watched.network, side.variant) for side in (self.watched.a, self.watched.b)
        )
        return [*engines, *files]

    def gain(self, subject: _Subject) -> tuple[float, float, float]:
        """The change of the log and its interval as the subject's: of A over B, or the other way round."""
        if subject.engine is not None:
            is_b = _library(self.watched.a.engine) != subject.engine
        else:
            is_b = self.watched.a.variant != subject.variant
        size, low, high = self.change.size, self.change.low, self.change.high
        return (-size, -high, -low) if is_b else (size, low, high)

    def is_near(self, other: _Changed) -> bool:
        return self.earliest - NEAR <= other.latest and other.earliest - NEAR <= self.latest


class _Part(NamedTuple):
    """What changed on one instance type; members: the surest first."""

    scenario: str
    subject: _Subject
    members: Sequence[_Changed]
    differs: Sequence[ChangedInput]

    @property
    def surest(self) -> _Changed:
        return self.members[0]

    @property
    def is_faster(self) -> bool:
        size, *_ = self.surest.gain(self.subject)
        return size > 0

    @property
    def causes(self) -> set[tuple[str, str, str]]:
        """What differs, whatever the instance type is. The instances themselves do anyway, and nights need not have had
        the same types."""
        own = f" of {self.surest.watched.instance_type}"
        return {
            (change.what.removesuffix(own), change.before, change.after)
            for change in self.differs
            if change.what != INSTANCE
        }

    def is_the_same(self, other: _Part) -> bool:
        """Whether the other says of another instance type what this one says."""
        return (
            (self.scenario, self.subject, self.is_faster, self.causes)
            == (other.scenario, other.subject, other.is_faster, other.causes)
        ) and self.surest.is_near(other.surest)


def find(store: Store, history: History) -> Changes:
    """All events of a history, the first first. Manifests and hosts are read of the nights around them."""
    looked = sum(len(series.nights) for series in history.series.values())
    groups: dict[tuple[str, str], list[_Changed]] = {}
    for watched, series in history.series.items():
        for change in changes(np.asarray(series.logs), np.asarray(series.errors)):
            nights = (series.nights[at] for at in (change.first, change.earliest, change.latest, change.told))
            groups.setdefault((watched.instance_type, watched.scenario), []).append(_Changed(watched, change, *nights))

    @cache
    def night(name: str) -> Night | None:
        try:
            return Night(store.manifest(name), (), store.hosts(name, []))
        except StoreError:
            return None

    def differing(members: Sequence[_Changed]) -> list[ChangedInput]:
        since, until = _before(history, members), max(member.latest for member in members)
        around = (night(name) for name in history.nights[since : until + 1])
        return list(_differs([known for known in around if known], members))

    parts = [
        _Part(scenario, subject, members, differing(members))
        for (_, scenario), group in groups.items()
        for subject, members in _together(group, differing)
    ]
    events = [_event(history.nights, parts, looked) for parts in _over_types(parts)]
    place = {name: index for index, name in enumerate(history.nights)}
    events.sort(key=lambda event: (place[event.first], event.instance_type, event.series[0].p))
    return Changes(nights=len(history.nights), series=len(history.series), events=tuple(events))


def _together(
    group: Sequence[_Changed], differing: Callable[[Sequence[_Changed]], list[ChangedInput]]
) -> Iterator[tuple[_Subject, list[_Changed]]]:
    """Those that are one event, the surest first: near the surest in time, and with what most have in common."""
    remaining = sorted(group, key=lambda changed: (changed.change.p, changed.watched))
    while remaining:
        near = [changed for changed in remaining if changed.is_near(remaining[0])]
        subject = _common(near, {difference.what for difference in differing(near[:1])})
        members = [changed for changed in near if subject in changed.subjects]
        yield subject, members
        remaining = [changed for changed in remaining if changed not in members]


def _common(near: Sequence[_Changed], differs: Set[str]) -> _Subject:
    """What the surest, which is the first, has in common with most. Of two for which as much speaks it is the one that
    differs, or else an engine, and of two engines the one that got slower."""

    def speaks(subject: _Subject) -> tuple[int, bool, bool, bool]:
        votes = sum(subject in changed.subjects for changed in near)
        is_engine = subject.engine is not None
        what = f"version of {subject.engine}" if is_engine else f"model {subject.network} {subject.variant}"
        size, *_ = near[0].gain(subject)
        return votes, what in differs, is_engine, is_engine and size < 0

    return max(near[0].subjects, key=speaks)


def _over_types(parts: Sequence[_Part]) -> Iterator[list[_Part]]:
    """Those that are one event on several instance types, the surest first."""
    remaining = sorted(parts, key=lambda part: (part.surest.change.p, part.surest.watched))
    while remaining:
        same = remaining[:1]
        for part in remaining[1:]:
            types = {taken.surest.watched.instance_type for taken in same}
            if part.surest.watched.instance_type not in types and same[0].is_the_same(part):
                same.append(part)
        yield same
        remaining = [part for part in remaining if not any(part is taken for taken in same)]


def _event(nights: Sequence[str], parts: Sequence[_Part], looked: int) -> Event:
    surest, subject = parts[0].surest, parts[0].subject
    size, low, high = surest.gain(subject)
    members = [member for part in parts for member in part.members]
    return Event(
        instance_type=surest.watched.instance_type,
        scenario=surest.watched.scenario,
        engine=subject.engine,
        network=subject.network,
        variant=subject.variant,  # type: ignore[arg-type]
        direction="faster" if size > 0 else "slower",
        times=exp(size),
        low=exp(low),
        high=exp(high),
        first=nights[surest.first],
        earliest=nights[surest.earliest],
        latest=nights[surest.latest],
        told=nights[min(changed.told for changed in members)],
        chance=surest.change.p * looked,
        series=tuple(
            ChangedSeries(
                network=watched.network,
                precision=watched.a.precision,
                variant_a=watched.a.variant,  # type: ignore[arg-type]
                engine_a=watched.a.engine,
                variant_b=watched.b.variant,  # type: ignore[arg-type]
                engine_b=watched.b.engine,
                first=nights[first],
                times=exp(change.size),
                low=exp(change.low),
                high=exp(change.high),
                p=change.p,
                # Where it is not said it is the event's, so that what format 1 can hold is written so.
                instance_type=None if watched.instance_type == surest.watched.instance_type else watched.instance_type,
            )
            for watched, change, first, *_ in members
        ),
        differs=tuple(dict.fromkeys(change for part in parts for change in part.differs)),
    )


def _before(history: History, members: Sequence[_Changed]) -> int:
    """The last night that is surely as nights were: of those that have the surest series."""
    surest = members[0]
    return max(night for night in history.series[surest.watched].nights if night < surest.earliest)


def _differs(nights: Sequence[Night], members: Sequence[_Changed]) -> Iterator[ChangedInput]:
    """Between each two nights that follow each other on their instance type: what may have caused it."""
    engines = {_library(side.engine) for member in members for side in (member.watched.a, member.watched.b)}
    networks = {member.watched.network for member in members}
    others = {_library(name) for name in ENGINES} - engines
    concerns = (_concerning(night, members[0].watched.instance_type, networks, others) for night in nights)
    concerned = [night for night in concerns if night.hosts]
    for a, b in pairwise(concerned):
        for what, before, after in inputs(a, b):
            yield ChangedInput(night=b.name, what=what, before=before, after=after)
        if (old := _instances(a)) != (new := _instances(b)):
            yield ChangedInput(night=b.name, what=INSTANCE, before=old, after=new)


def _concerning(night: Night, instance_type: str, networks: set[str], others: set[str]) -> Night:
    """What an event may be due to: the models of its networks, the hosts of its type, without the other engines."""
    models = tuple(card for card in night.manifest.models if card.network in networks)
    hosts = [
        host.model_copy(
            update={"versions": {name: version for name, version in host.versions.items() if name not in others}}
        )
        for host in night.hosts
        if host.instance_type == instance_type
    ]
    return Night(night.manifest.model_copy(update={"models": models}), (), hosts)


def _instances(night: Night) -> str:
    return ", ".join(sorted(host.instance_id for host in night.hosts))


def _library(engine: str) -> str:
    return engine.partition(".")[0]


def known(now: Changes, before: Changes | None, nights: Sequence[str] = ()) -> Changes:
    """Changes with when people were told of each.

    An event is one of before when a series of both changed at about the same time. What was told and is no change any
    more, since nights were measured again, is kept, so that it is not told once more should it come back.

    Args:
        nights: all that there are, oldest first.
    """
    old = before.events if before else ()
    matched: set[int] = set()
    events = []
    for event in now.events:
        same = [index for index, other in enumerate(old) if _is_same(event, other, nights)]
        matched |= set(same)
        times = [moment for index in same if (moment := old[index].told_at)]
        events.append(event.model_copy(update={"told_at": min(times, default=None)}))
    gone = [
        event.model_copy(update={"stands": False})
        for index, event in enumerate(old)
        if index not in matched and event.told_at
    ]
    return now.model_copy(update={"events": (*events, *gone)})


def untold(changes: Changes) -> list[Event]:
    return [event for event in changes.events if event.told_at is None]


def all_told(changes: Changes, at: datetime) -> Changes:
    events = tuple(event.model_copy(update={"told_at": event.told_at or at}) for event in changes.events)
    return changes.model_copy(update={"events": events})


def _holds(event: Event, night: str) -> bool:
    """Whether a night is among those that the event may be of."""
    return in_order(event.earliest) <= in_order(night) <= in_order(event.latest)


def _overlap(event: Event, other: Event, nights: Sequence[str]) -> bool:
    """Whether they may be of the same night, or of two that follow each other: another version of the code, or a night
    that was measured again, may move the first night."""
    if _holds(event, other.earliest) or _holds(other, event.earliest):
        return True
    first, second = sorted((event, other), key=lambda each: in_order(each.earliest))
    return event.direction == other.direction and (first.latest, second.earliest) in pairwise(nights)


def _is_same(event: Event, other: Event, nights: Sequence[str]) -> bool:
    """Whether a series of both changed at about the same time. nights: all that there are, oldest first."""
    if event.scenario != other.scenario:
        return False
    firsts, others = _firsts(event), _firsts(other)
    shared = firsts.keys() & others.keys()
    if event.instance_type == other.instance_type:
        return bool(shared) and _overlap(event, other, nights)
    # The nights around an event are those of its surest series: of another instance type they can be others.
    return any(
        firsts[ratio] == others[ratio] or _holds(other, firsts[ratio]) or _holds(event, others[ratio])
        for ratio in shared
    )


def _firsts(event: Event) -> dict[tuple[str, ...], str]:
    """The first night of each series."""
    return {
        (
            *(series.instance_type or event.instance_type, series.network, series.precision),
            *(series.variant_a, series.engine_a, series.variant_b, series.engine_b),
        ): series.first
        for series in event.series
    }
