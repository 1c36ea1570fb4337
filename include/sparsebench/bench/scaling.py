"""How an engine scales with threads: what a larger machine of the same kind would bring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, isfinite

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from sparsebench.bench.host import host_facts
from sparsebench.contracts import HostFacts, Trial
from sparsebench.errors import BadInput
from sparsebench.statistics.intervals import estimate
from sparsebench.statistics.pairs import Blocks, by_treatment, logs

LEGEND = (
    "img/s: geometric mean over the processes, with its 95 % interval; times: of the fewest threads, from processes "
    "that took turns; of ideal: that over how many times as many threads there are"
)


def hosts_of(text: str, field: str) -> list[HostFacts]:
    """This machine with each of these numbers of threads. text: numbers with commas between.

    Raises:
        BadInput: one is no number, or more than there are cores for.
    """
    most = host_facts().threads or 1
    hosts = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        if not item.isdecimal() or not 1 <= int(item) <= most:
            raise BadInput(f"{field}: {item!r} is not one of 1 to {most}, which this process has cores for")
        hosts[int(item)] = host_facts(int(item))
    if not hosts:
        raise BadInput(f"{field}: {text!r} names none; expected numbers such as 1,{most}")
    return [hosts[threads] for threads in sorted(hosts)]


def scaling(trials: Mapping[int, Sequence[Trial]], title: str) -> Group:
    """A row for each engine, precision and number of threads. trials: of one file, by threads."""
    rows = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for column in ("engine", "lane"):
        rows.add_column(column, no_wrap=True)
    for column in ("threads", "img/s", "times", "of ideal"):
        rows.add_column(column, justify="right", no_wrap=True)
    blocks = {threads: by_treatment(measured) for threads, measured in trials.items()}
    fewest = min(trials)
    for treatment in dict.fromkeys(key for of_threads in blocks.values() for key in of_threads):
        for threads, of_threads in blocks.items():
            if own := of_threads.get(treatment):
                first = blocks[fewest].get(treatment, {}) if threads != fewest else {}
                numbers = _numbers(own, first, threads / fewest)
                rows.add_row(treatment.engine, treatment.precision, str(threads), *numbers)
    return Group(Text(title, style="italic"), rows, Text(LEGEND))


def _numbers(own: Blocks, first: Blocks, more: float) -> list[str]:
    """img/s, times, and their share of the ideal. more: how many times as many threads there are as in ``first``, which
    is empty for the fewest."""
    speed = estimate(list(logs(own).values()))
    low, high = speed.interval()
    rate = f"{exp(speed.mean):.1f}" + (f" ({exp(low):.1f}–{exp(high):.1f})" if isfinite(low) else "")
    of_first = {unit.generation: values for unit, values in logs(first).items()}
    gains = [
        [_mean(values) - _mean(of_first[unit.generation])]
        for unit, values in logs(own).items()
        if unit.generation in of_first
    ]
    if not gains:
        return [rate, "", ""]
    gain = estimate(gains)
    low, high = gain.interval()
    times = f"{exp(gain.mean):.2f}" + (f" ({exp(low):.2f}–{exp(high):.2f})" if isfinite(low) else "")
    return [rate, times, f"{exp(gain.mean) / more:.0%}"]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
