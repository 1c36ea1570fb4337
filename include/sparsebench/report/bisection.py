"""What a comparison of two nights' inputs says, in sentences."""

from __future__ import annotations

from sparsebench.analysis.bisection import Shift, expected_of, shifts
from sparsebench.analysis.pooling import Night
from sparsebench.contracts import Changes, WatchedRatio
from sparsebench.report import labels
from sparsebench.store import Store

MOST = 12
"""Ratios that are told one by one; the two nights' reports have all."""


def answer(store: Store, nights: tuple[str, str], instance_type: str) -> list[str]:
    """On which side each change is; the ratios that the history calls changed first.

    Args:
        nights: of the comparison, with the inputs before and after.
    """
    before, after = (Night.read(store, name) for name in nights)
    every, changes = shifts(before, after, instance_type), store.changes()
    told = [(shift, said) for shift in every if (said := _told(shift, changes, instance_type, after))]
    head = f"{before.manifest.repeats} and {after.manifest.repeats} on {instance_type}, "
    if not every:
        return [f"{head}nothing can be said: no ratio was measured on two quiet instances of either side."]
    if told:
        return [head + _hosts(every[0]), *(said for _, said in told[:MOST])]
    moved = [shift for shift in every if shift.moved(len(every))]
    if not moved:
        return [
            f"{head}{_hosts(every[0])} with the inputs alone none of {labels.count(len(every), 'ratio')} moved further "
            "than chance explains. Where the history says that one did, that is on the hosts' side, or smaller than "
            f"{labels.percent(_widest(every), 1)}."
        ]
    return [head + _hosts(every[0]), *(f"{_ratio(s.ratio)}: {_change(s)}: the inputs do it." for s in moved[:MOST])]


def _told(shift: Shift, changes: Changes | None, instance_type: str, after: Night) -> str:
    """Of a ratio that the history calls changed; empty of another."""
    series = expected_of(changes, shift.ratio, instance_type, after.manifest.repeats or "")
    if series is None:
        return ""
    _, low, high = shift.times
    history = f"the history says {labels.percent(series.times - 1, 1)} since {series.first}"
    text = f"{_ratio(shift.ratio)}: {history}; with the inputs alone {_change(shift)}: "
    same_way = (series.times - 1) * (shift.times[0] - 1) > 0
    if not low <= 1 <= high and same_way:
        return text + ("the inputs do it." if low <= series.times <= high else "the inputs do some of it.")
    if not low <= series.times <= high:
        return text + "it is on the hosts' side."
    return text + "it cannot be told; more instances of each would."


def _hosts(shift: Shift) -> str:
    return f"{shift.hosts[0]} and {shift.hosts[1]} instances:"


def _widest(every: list[Shift]) -> float:
    return max(shift.times[2] / shift.times[0] - 1 for shift in every)


def _change(shift: Shift) -> str:
    times, low, high = shift.times
    return f"{labels.percent(times - 1, 1)} ({labels.changes(low - 1, high - 1)})"


def _ratio(ratio: WatchedRatio) -> str:
    a, b = (
        f"{labels.VARIANT_LABELS[variant]} in {labels.engine(engine)}"
        for variant, engine in ((ratio.variant_a, ratio.engine_a), (ratio.variant_b, ratio.engine_b))
    )
    return f"{labels.network(ratio.network)} ({ratio.precision}), {a} over {b}"
