"""What changed over the nights, in words and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.text import Text

from sparsebench.analysis import events
from sparsebench.analysis.history import History, history, read
from sparsebench.contracts import ChangedSeries, Changes, Event
from sparsebench.report import history_figures, labels
from sparsebench.report.tables.formatting import Table
from sparsebench.report.terminal import shown
from sparsebench.store import Store, Unreadable

MOST_DRAWN = 24
"""Changes that have a figure; the figures of older ones stay as they were."""

MOST_CAUSES = MOST_TYPES = 6
"""That a sentence names; history/changes.json has them all."""


def find(store: Store, unreadable: list[Unreadable]) -> tuple[Changes, History]:
    """Every change that the nights of a store show, and what it was found in. Writes nothing.

    Args:
        unreadable: to which nights are added that cannot be read, with the reason.
    """
    over_nights = history(read(store, unreadable))
    return events.find(store, over_nights), over_nights


def look(store: Store) -> list[Event]:
    """Find every change and keep it in the store, the newest with their figures; returns those that people were not
    told of yet."""
    over_nights = history(read(store, [], keep=True))
    changes = events.known(events.find(store, over_nights), store.changes(), over_nights.nights)
    standing = [event for event in changes.events if event.stands]
    for name, data in figures(standing[-MOST_DRAWN:], over_nights).items():
        store.put_history(name, data)
    store.put_changes(changes)
    return events.untold(changes)


def figures(of: Sequence[Event], over_nights: History) -> dict[str, bytes]:
    """Files: a figure of each change, and the numbers behind it."""
    return {name: data for event in of for name, data in history_figures.files(event, over_nights).items()}


def remember(store: Store, at: datetime) -> None:
    """Remember that people have been told of all that is in the store."""
    if changes := store.changes():
        store.put_changes(events.all_told(changes, at))


def sentence(event: Event) -> str:
    """Who is how much faster or slower, since when, in what, and what differs."""
    others = len(event.series) - 1
    also = f"; so say {labels.count(others, 'other ratio')}" if others else ""
    low, high = sorted((_by(event.low), _by(event.high)))
    text = (
        f"{labels.subject(event)} on {_types(event)} is {_by(event.times):.1f} % {event.direction} since {event.first} "
        f"(95 %: {low:.1f} to {high:.1f} %), {_compared(event)}{also}. {cause(event)}"
    )
    return text if event.stands else f"{text} It is none any more, since nights were measured again."


def summary(changes: Changes) -> str:
    """How many changes there are, and in how much."""
    looked = f"{labels.count(changes.series, 'ratio')} over {labels.count(changes.nights, 'night')}"
    return f"{labels.count(len(changes.events), 'change')} in {looked}."


def cause(event: Event) -> str:
    """What differs around the first night, as far as that is known."""
    known = [difference for difference in event.differs if difference.what != events.INSTANCE]
    if not known:
        but = " but the instance" if event.differs else ""
        return f"Nothing that we know of differs{but}."
    texts = [
        f"{difference.what} ({difference.before or 'none'}, from {difference.night} on {difference.after or 'none'})"
        for difference in known
    ]
    return f"What differs: {labels.listed(labels.first_of(texts, MOST_CAUSES))}."


def _types(event: Event) -> str:
    """The first is that which the number is of."""
    first, *others = event.instance_types
    if not others:
        return first
    return f"{first} (and so on {labels.listed(labels.first_of(others, MOST_TYPES))})"


def _by(times: float) -> float:
    """0.9 is 10 % slower, 1.2 is 20 % faster."""
    return abs(times - 1) * 100


def _compared(event: Event) -> str:
    """What the surest of its series is of."""
    surest = event.series[0]
    file = f"{labels.network(surest.network)} {labels.VARIANT_LABELS[surest.variant_a]}"
    if surest.variant_a != surest.variant_b:
        base = f"against {labels.VARIANT_LABELS[surest.variant_b]}"
        return f"{file} {base}" if event.engine is not None else f"{base} in {labels.engine(surest.engine_a)}"
    if event.engine is None:
        return f"{labels.engine(surest.engine_a)} against {labels.engine(surest.engine_b)}"
    is_a = surest.engine_a.partition(".")[0] == event.engine
    return f"{file} against {labels.engine(surest.engine_b if is_a else surest.engine_a)}"


def table(changes: Changes) -> Table:
    """Every series of every event."""
    rows = [
        [
            (text, kind)
            for text, kind in (
                (event.first, ""),
                (series.instance_type or event.instance_type, ""),
                (labels.subject(event), ""),
                (f"{labels.network(series.network)}, {_side_a(series)} : {_side_b(series)}", ""),
                (series.precision, ""),
                (labels.percent(series.times - 1, 1), "number"),
                (labels.changes(series.low - 1, series.high - 1), "number"),
                (f"{series.p:.0e}", "number"),
            )
        ]
        for event in changes.events
        for series in event.series
    ]
    columns = ("since", "instance type", "event", "ratio of", "lane", "change", "95 %", "p")
    return Table("Ratios that changed", "", "", columns, rows)


def _side_a(series: ChangedSeries) -> str:
    return f"{series.variant_a} {labels.engine(series.engine_a)}"


def _side_b(series: ChangedSeries) -> str:
    return f"{series.variant_b} {labels.engine(series.engine_b)}"


def rendered(changes: Changes, unreadable: list[Unreadable]) -> RenderableType:
    """The changes, for a terminal."""
    parts: list[RenderableType] = [Text(f"• {sentence(event)}") for event in changes.events]
    if changes.events:
        content = table(changes)
        parts += [Text(), shown(content, content.title), Text()]
    parts.append(Text(summary(changes)))
    parts += [Text(f"left out: {night.path}: {night.reason}") for night in unreadable]
    return Group(*parts)
