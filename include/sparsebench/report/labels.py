"""Labels and wording that the page, the figures and the terminal share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from sparsebench import catalog
from sparsebench.analysis.counts import Counts
from sparsebench.analysis.disturbance import Disturbed
from sparsebench.analysis.order import UNSTATED
from sparsebench.analysis.ratios import UNPAIRED
from sparsebench.analysis.results import REASONS, Machine
from sparsebench.analysis.speedups import NOT_MEASURED
from sparsebench.bench.engines import ENGINES
from sparsebench.bench.labels import disturbance
from sparsebench.contracts import Event
from sparsebench.store import Unreadable

VARIANT_LABELS = {
    "base": "base",
    "pruned": "pruned",
    "pruned_int8": "pruned, INT8",
    "int8": "INT8",
    "fake85": "fake 85\u00a0%",
    "fake99": "fake 99\u00a0%",
}

LANES = {
    "f32": "Lane f32: every engine is held to fp32.",
    "native": "Lane native: each engine's own choice of precision.",
    UNSTATED: "The table does not state the engines' precision.",
}


def engine(name: str) -> str:
    return ENGINES[name].label if name in ENGINES else name


def network(name: str) -> str:
    """Its label; a network that the catalog does not know has its name."""
    networks = catalog.networks() | catalog.digits_networks()
    return networks[name].label if name in networks else name


def subject(event: Event) -> str:
    """Whose change it is: an engine's, or a file's."""
    if event.engine is not None:
        return engine(event.engine)
    return f"{network(event.network or '')} {VARIANT_LABELS[event.variant or '']}"


def machine(row: Any) -> str:
    """The instance type with its CPU. An emulated one never passes for the type: it names the real CPU.

    row: a Machine, or a row with its fields.
    """
    row = row._asdict() if isinstance(row, Machine) else row
    if is_this_machine(row["instance_type"]):
        return f"this machine ({row['cpu_model']})"
    if row["emulated"]:
        return f"{row['instance_type']}, {emulated(row)}"
    return f"{row['instance_type']}, {row['cpu_model']}" if row["cpu_model"] else str(row["instance_type"])


def emulated(row: Any) -> str:
    return f"emulated on {row['cpu_model']}, not {row['instance_type']}"


def is_emulated(row: Any) -> bool:
    """Whether it is another machine than its name says."""
    return bool(row["emulated"]) and not is_this_machine(row["instance_type"])


def is_this_machine(instance_type: str) -> bool:
    """Whether the type stands for whatever machine it is on, as localhost does: then nothing is emulated."""
    entry = catalog.instance_types().get(instance_type)
    return entry is not None and entry.vcpus is None


def count(number: int, what: str) -> str:
    """1,080 blocks, 1 block."""
    plural = f"{what}es" if what.endswith("s") else f"{what}s"
    return f"{number:,} {what if number == 1 else plural}"


def unreadable(objects: Sequence[Unreadable]) -> str:
    """How much of the store is damaged or false, in one line."""
    return f"{count(len(objects), 'object')} of the store could not be read, or said something else than its place."


def counts(counted: Counts) -> str:
    """How many cells were planned, how many have a number, and why the others have none."""
    if not counted.planned:
        return "No run was to measure anything."
    planned = f"{count(counted.planned, 'cell')} planned, {counted.with_number:,} with a number"
    if not counted.without:
        return f"{planned}, none without."
    reasons = "; ".join(f"{number} {reason(name)} ({REASONS[name]})" for name, number in counted.without.items())
    return f"{planned}, {counted.planned - counted.with_number:,} without: {reasons}."


def reason(name: str) -> str:
    """A key of REASONS, as a word."""
    return name.replace("_", " ")


def disturbed(disturbances: Disturbed) -> str:
    """36 blocks: other processes took 0.9 of a core (at most 1.2)."""
    most = disturbance(disturbances.kind, disturbances.most) != disturbance(disturbances.kind, disturbances.median)
    limit = f" (at most {disturbances.most:.1f})" if most else ""
    return f"{count(disturbances.blocks, 'block')}: {disturbance(disturbances.kind, disturbances.median)}{limit}"


def lost(row: Any) -> str:
    """Why a cell, or some of its trials, has no number. row: of Results.missing."""
    if row["reason"] != "disturbed":
        return str(row["detail"])
    return f"every block; in most of them {disturbance(row['disturbed_by'], row['disturbed_value'])}"


def rate(value: float) -> str:
    """Images per second with three digits or more."""
    return f"{value:.2f}" if value < 100 else f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def usd(row: Any) -> str:
    """0.42 (0.40–0.45): a cost in USD and its 95 % interval, where it has one."""
    value, low, high = (dollars(row[end], row["usd_per_million"]) for end in ("usd_per_million", "low", "high"))
    return value if pd.isna(row["low"]) else f"{value} ({low}–{high})"


def dollars(usd: float, like: float) -> str:
    """The amount with cents; of less than a dollar, with tenths of them. like: what it stands beside, and has the same
    digits."""
    return f"{usd:.{2 if like >= 1 else 3}f}"


def percent(ratio: float, digits: int = 2) -> str:
    """A change with its sign: 0.1215 is +12.15 %."""
    if math.isnan(ratio):
        return ""
    return f"{ratio * 100:+.{digits}f} %".replace("-", "−")


def within(half_width: float, digits: int = 1) -> str:
    """0.031 is ± 3.1 %, which is not broken into lines."""
    return f"±\u00a0{half_width * 100:.{digits}f}\u00a0%"


def accuracy(row: Any) -> str:
    """97.2 % (95.0–98.5): a top-1 and its 95 % interval; empty where it was not measured."""
    if pd.isna(row["top1"]):
        return ""
    return f"{row['top1'] * 100:.1f}\u00a0% ({row['low'] * 100:.1f}–{row['high'] * 100:.1f})"


def top1(fraction: float) -> str:
    """0.761 is 76.1 %, which is not broken into lines."""
    return f"{fraction * 100:.1f}\u00a0%"


def sentence(text: str) -> str:
    """The text with a capital at its start, and otherwise as it is."""
    return text[:1].upper() + text[1:]


def listed(names: Sequence[str]) -> str:
    """A, B and C."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


MOST_NAMED = 12
"""Of a list in a sentence; the table has them all."""


def first_of(names: Sequence[str], most: int) -> list[str]:
    """A, B and, in place of the others, 3 more."""
    more = len(names) - most
    return [*names[:most], *([f"{more:,} more"] if more > 0 else [])]


def some(named: Sequence[str], where: str, most: int = MOST_NAMED) -> str:
    """A; B; and 3 more in that table."""
    more = [f"and {len(named) - most:,} more in {where}"] if len(named) > most else []
    return "; ".join([*named[:most], *more])


def points(change: float) -> str:
    """−0.0952 is −9.5 points of accuracy."""
    return "" if pd.isna(change) else f"{change * 100:+.1f}".replace("-", "−")


def share(fraction: float) -> str:
    """0.88 is 88 %."""
    return f"{fraction * 100:.0f}\u00a0%"


def changes(low: float, high: float) -> str:
    """The 95 % interval of a change: +4.6 to +21.9 %."""
    return f"{percent(low, 1).removesuffix(' %')} to {percent(high, 1)}"


def ratio(row: Any) -> str:
    """1.129 (1.046–1.219): a ratio and its 95 % interval, where it has one."""
    if math.isnan(row["ratio"]):
        return ""
    interval = "" if math.isnan(row["low"]) else f" ({row['low']:.3f}–{row['high']:.3f})"
    return f"{row['ratio']:.3f}{interval}"


def verdict(row: Any) -> str:
    """The verdict on A, or why there is none. row: of analysis.ratios or speedups, or of a Comparison's machines."""
    if row["verdict"] == NOT_MEASURED:
        return f"not measured: {because(row)}"
    if not row["rounds" if "rounds" in row else "entered"]:
        return "no common round"
    if math.isnan(row["low"]):
        single = {"hosts": ": one host", "processes": ": one process", "repeats": ": one repeat"}
        return f"no interval{single.get(row['over'], '')}"
    if row["verdict"] == "undecided" and together(row):
        return f"undecided; {together(row)}"
    return VERDICTS[row["verdict"]]


VERDICTS = {
    "faster": "faster",
    "slower": "slower",
    "equivalent": "equivalent",
    "undecided": "undecided",
    "too_few": "too few processes",
    "disturbed": "disturbed, no verdict",
    UNPAIRED: "unpaired, no verdict",
}


def together(row: Any) -> str:
    """What is beside an undecided pair whose own interval leaves out that they are equal: the interval that its verdict
    rests on. Empty where the two do not contradict each other."""
    equal = 1 if "ratio" in row else 0  # a Comparison's machines have changes
    if row["low"] <= equal <= row["high"]:
        return ""
    ends = f"{row['family_low']:.3f}–{row['family_high']:.3f}"
    return f"with all pairs together {ends if equal else changes(row['family_low'], row['family_high'])}"


def because(row: Any) -> str:
    """Why a variant is not compared with its base. row: of speedups.every."""
    what = VARIANT_LABELS[row["lacks"]]
    return f"{what} {'was not planned' if row['because'] == 'not_planned' else reason(row['because'])}"


def shares(precisions: Mapping[str, float]) -> str:
    """The precisions that are computed in, with their shares of the time: bf16 88 %, f32 12 %."""
    return ", ".join(f"{name} {share(part)}" for name, part in precisions.items()) or "not told"
