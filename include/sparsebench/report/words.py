"""The words that the page, the figures and the terminal share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparsebench import catalog
from sparsebench.analysis.compare import Comparison
from sparsebench.analysis.order import UNSTATED
from sparsebench.bench.engines import ENGINES
from sparsebench.contracts import Protocol
from sparsebench.statistics.verdicts import EQUIVALENT_WITHIN, Verdict

VARIANT_LABELS = {
    "base": "base",
    "pruned": "pruned",
    "pruned_int8": "pruned, INT8",
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


def machine(row: Any) -> str:
    """The instance type with its CPU. An emulated one never passes for the type: it names the real CPU."""
    if row["emulated"]:
        return f"{row['instance_type']}, {emulated(row)}"
    return f"{row['instance_type']}, {row['cpu_model']}"


def emulated(row: Any) -> str:
    entry = catalog.instance_types().get(row["instance_type"])
    is_this_machine = entry is not None and entry.vcpus is None
    claim = "" if is_this_machine else f", not {row['instance_type']}"
    return f"emulated on {row['cpu_model']}{claim}"


def scenario(protocol: Protocol | None, cells: pd.DataFrame) -> str:
    """What was timed: one inference at a time, or each engine's own way to many images a second.

    cells: as of Results.cells; they have each engine's batch and streams.
    """
    if protocol is None:
        return "The table does not state the batch."
    if protocol.scenario == "latency":
        return "Batch 1, one inference at a time."
    ways = []
    for name, mine in cells.groupby("engine", sort=False):
        streams = [f"{one} streams" for one in sorted(set(mine["streams"].dropna()))]
        batches = " or ".join(str(batch) for batch in sorted(set(mine["batch"].dropna())))
        ways.append(", ".join([f"{engine(str(name))} with batch {batches}", *streams]))
    return f"Each engine as many images a second as it can, as it recommends: {'; '.join(ways)}."


def count(number: int, what: str) -> str:
    """1,080 blocks, 1 block."""
    plural = f"{what}es" if what.endswith("s") else f"{what}s"
    return f"{number:,} {what if number == 1 else plural}"


def rate(value: float) -> str:
    """Images per second with three digits or more."""
    return f"{value:.2f}" if value < 100 else f"{value:.1f}" if value < 1000 else f"{value:.0f}"


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
    """The verdict on A, or why there is none. row: of analysis.ratios.RATIOS, or of a Comparison's machines."""
    if not row["rounds" if "rounds" in row else "entered"]:
        return "no common round"
    if math.isnan(row["low"]):
        one = {"hosts": ": one host", "processes": ": one process", "repeats": ": one repeat"}
        return f"no interval{one.get(row['over'], '')}"
    return str(row["verdict"])


def shares(precisions: Mapping[str, float]) -> str:
    """The precisions that are computed in, with their shares of the time: bf16 88 %, f32 12 %."""
    return ", ".join(f"{name} {share(part)}" for name, part in precisions.items()) or "not told"


def faster(a: str, ratio: float, b: str, digits: int = 2) -> str:
    """0.12 is "a is 12.00 % faster than b"."""
    size = f"{abs(ratio) * 100:.{digits}f}"
    if not float(size):
        return f"{a} is as fast as {b}"
    return f"{a} is {size} % {'faster' if ratio > 0 else 'slower'} than {b}"


def headline(found: Comparison) -> str:
    """A comparison in plain words: the geometric mean and what may be said of it, then the study's rule."""
    return " ".join([geometric(found), f"By the study's rule, {study(found)}", *emulated_machines(found)])


def geometric(found: Comparison) -> str:
    """What the geometric mean says, on how much it stands, and on which machines it is otherwise."""
    a, b, overall = engine(found.a), engine(found.b), found.overall
    machines = found.machines.to_dict("records")
    entered, cells_any = found.machines["entered"].sum(), found.machines["cells_any"].sum()
    basis = f"{_where(found)}, geometric mean over {entered} of {cells_any} cells"
    if not entered:
        return f"{a} and {b} were never timed in the same round {_where(found)}, so their ratio is not known."
    said = [f"{_verdict(a, b, overall, basis)}."]
    for row in machines:
        if len(machines) > 1 and row["verdict"] != overall.kind and not math.isnan(row["low"]):
            there = {"faster": f"{a} is faster", "slower": f"{a} is slower"}.get(row["verdict"], row["verdict"])
            said.append(f"On {row['instance_type']}: {there} ({changes(row['low'], row['high'])}).")
    return " ".join(said)


def _verdict(a: str, b: str, verdict: Verdict, basis: str) -> str:
    change = percent(verdict.ratio - 1, 1)
    if not math.isfinite(verdict.high):
        return f"{a} against {b}: {change} {basis}. There is no interval, so which is faster is not known"
    interval = f"95 % interval {changes(verdict.low - 1, verdict.high - 1)}"
    match verdict.kind:
        case "equivalent":
            return f"{a} and {b} are equally fast within {within(EQUIVALENT_WITHIN, 0)}: {change}, {interval}, {basis}"
        case "undecided":
            return f"Whether {a} or {b} is faster is undecided: {change}, {interval}, {basis}"
    return f"{faster(a, verdict.ratio - 1, b, 1)}, {interval}, {basis}"


def study(found: Comparison) -> str:
    """A comparison by the study's rule, the exceptions included. It has no interval."""
    a, b = engine(found.a), engine(found.b)
    cells, cells_any = found.machines["cells"].sum(), found.machines["cells_any"].sum()
    said = [f"{faster(a, found.study, b)} {_where(found)}, over {cells} of {cells_any} cells."]
    for row in found.machines.to_dict("records"):
        if row["study"] * found.study < 0:
            other = faster(b, 1 / (1 + row["study"]) - 1, a)
            said.append(f"Not so on {row['instance_type']}: {faster(a, row['study'], b)} there, which is: {other}.")
    return " ".join(said)


def emulated_machines(found: Comparison) -> list[str]:
    machines = found.machines.to_dict("records")
    if len(machines) == 1:
        return []
    return [f"Note: {row['instance_type']} is {emulated(row)}." for row in machines if row["emulated"]]


def _where(found: Comparison) -> str:
    machines = found.machines.to_dict("records")
    if len(machines) == 1:
        return f"on {machine(machines[0])}"
    types = len(set(found.machines["instance_type"]))
    what = "instance types" if types == len(machines) else f"machines of {types} instance types"
    return f"on average over {len(machines)} {what}"
