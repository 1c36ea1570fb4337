"""What findings say, in sentences that claim no more than their intervals do. Page and terminal show the same."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

from sparsebench import catalog
from sparsebench.analysis.compare import Comparison
from sparsebench.analysis.findings import Findings, Lane, MachineFindings
from sparsebench.analysis.order import ordered
from sparsebench.analysis.ratios import UNPAIRED
from sparsebench.analysis.results import is_tool
from sparsebench.analysis.sample import Sample
from sparsebench.analysis.speedups import NOT_MEASURED
from sparsebench.contracts import BesideBase, ModelCard
from sparsebench.report import labels
from sparsebench.statistics.hosts import ENOUGH_HOSTS
from sparsebench.statistics.pairs import BASE
from sparsebench.statistics.verdicts import EQUIVALENT_WITHIN, Verdict

MOST_NAMED = 6
"""Unconverged networks, or exceptional machines, that are named; ratios.csv and headline.csv have them all."""


def sample_note(sample: Sample) -> str:
    """Lane, scenario, hosts, processes, blocks, what is without a number and why, and what has not converged."""
    parts = [
        labels.LANES[sample.precision],
        scenario(sample),
        _stands_on(sample),
        _counts(sample),
        _unconverged(sample),
    ]
    return " ".join(filter(None, parts))


def scenario(sample: Sample) -> str:
    """What was timed: one inference at a time, or each engine's own way to many images a second."""
    if sample.protocol is None:
        return "The table does not state the batch."
    if sample.protocol.scenario == "latency":
        return "Batch 1, one inference at a time."
    ways = [
        ", ".join(
            [
                f"{labels.engine(way.engine)} with batch {' or '.join(map(str, way.batches))}",
                *(f"{streams} streams" for streams in way.streams),
            ]
        )
        for way in sample.ways
    ]
    return f"Each engine as many images a second as it can, as it recommends: {'; '.join(ways)}."


def _stands_on(sample: Sample) -> str:
    if sample.blocks is None:
        return f"{labels.count(sample.processes, 'throughput')}."
    counted = ", ".join(
        [
            labels.count(sample.hosts, "host"),
            labels.count(sample.processes, "process"),
            labels.count(sample.blocks, "block"),
        ]
    )
    said = [f"of which {sample.disturbed:,} disturbed ones are left out" if sample.disturbed else "none disturbed"]
    if sample.tolerated:
        said.append(f"{sample.tolerated:,} enter although disturbed, as the host was hardly ever quiet")
    if sample.lost:
        said.append(f"{labels.count(sample.lost, 'process')} more left out, all of whose blocks were disturbed")
    return f"{counted}, {'; '.join(said)}."


def _counts(sample: Sample) -> str:
    counts = sample.counts
    planned = f"{labels.count(counts.planned, 'cell')} planned, {counts.with_number:,} with a number"
    if not counts.without:
        return f"{planned}."
    reasons = ", ".join(f"{number} {labels.reason(reason)}" for reason, number in counts.without.items())
    return f"{planned}, {counts.planned - counts.with_number:,} without: {reasons}."


def _unconverged(sample: Sample) -> str:
    if sample.protocol is None or sample.protocol.target is None or not sample.compared:
        return ""
    target = labels.within(sample.protocol.target)
    if not sample.unconverged:
        return f"Every ratio of two engines is known to {target}."
    named = []
    for file in sample.unconverged[:MOST_NAMED]:
        where = f" on {file.instance_type}" if sample.machines > 1 else ""
        width = labels.within(file.half_width) if math.isfinite(file.half_width) else "no interval"
        named.append(f"{labels.network(file.network)} {labels.VARIANT_LABELS[file.variant]}{where} {width}")
    more = f" and {len(sample.unconverged) - MOST_NAMED} more" if len(sample.unconverged) > MOST_NAMED else ""
    return f"Unconverged (the target is {target}; the worst ratio is given): {', '.join(named)}{more}."


MOST_BUSY = 3
"""Processes that are named."""

PAYS = {
    "faster": "{what} are faster than their base, so that pruning pays, with {engines}.",
    "slower": "{what} are slower than their base, so that pruning does not pay, with {engines}.",
    "equivalent": "{what} are as fast as their base (within {margin}), so that pruning does not pay, with {engines}.",
    "undecided": "Whether {what} are faster than their base is undecided with {engines}.",
    "too_few": "Whether {what} are faster than their base cannot be said yet, of too few processes, with {engines}.",
    "disturbed": "Whether {what} are faster than their base cannot be said, because something disturbed all but too "
    "few processes, with {engines}.",
    UNPAIRED: "Whether {what} are faster than their base cannot be said, because the two were timed at other times, "
    "with {engines}.",
    "no_interval": "Whether {what} are faster than their base cannot be said, because there is no interval, with "
    "{engines}.",
    NOT_MEASURED: "Whether {what} are faster than their base cannot be said, because no network has both numbers, with "
    "{engines}.",
}
"""By the verdict of the mean over networks; in this order."""


def pays(machine: MachineFindings) -> list[str]:
    """Whether each variant pays on a machine, one sentence a verdict; then what its cheapest inferences cost."""
    means = {(row["variant"], row["engine"]): row for row in machine.means.to_dict("records")}
    outcomes = []
    for variant, rows in machine.speedups.groupby("variant", sort=False):
        engines: dict[str, list[str]] = {}
        for engine in dict.fromkeys(rows["engine"]):
            verdict, numbers = _pays(means.get((variant, engine)), rows[rows["engine"] == engine].to_dict("records"))
            engines.setdefault(verdict, []).append(f"{labels.engine(engine)} ({numbers})")
        label = f"{labels.VARIANT_LABELS[str(variant)]} networks"
        for verdict in filter(engines.get, PAYS):
            what = label if PAYS[verdict].startswith("Whether") else labels.sentence(label)
            margin = labels.within(EQUIVALENT_WITHIN, 0)
            outcomes.append(PAYS[verdict].format(what=what, margin=margin, engines="; ".join(engines[verdict])))
    return [*outcomes, *_cheapest(machine)]


def stands_on(machine: MachineFindings) -> list[str]:
    """Of which hosts and minutes it holds, what is said of a machine; what disturbed it, and what of it is unsteady."""
    return [*_when(machine.hosts), *_busy(machine), *_uneven(machine.hosts), *_unsteady(machine.steady)]


def beside_base(cards: Sequence[ModelCard]) -> list[str]:
    """What the pruned and quantised files of networks of one's own compute beside their base: accuracy, which takes
    labels, is not known of them."""
    known = catalog.networks() | catalog.digits_networks()
    return [
        f"{labels.network(card.network)}, {labels.VARIANT_LABELS[card.variant]}: {_beside_base(card.beside_base)}"
        for card in cards
        if card.network not in known and card.variant != "base"
    ]


def _beside_base(seen: BesideBase | None) -> str:
    if seen is None:
        return "its outputs were not held to its base's, for which sample inputs are needed that both files take."
    on = f"on {labels.count(seen.samples, 'sample')} its outputs are"
    if not seen.relative:
        return f"{on} the base's."
    same = "" if seen.same_largest is None else f"{seen.same_largest * 100:.1f} %"
    top = same and f"; the top class is the base's in {same} of all places"
    return f"{on} off the base's by {seen.relative:.2g} at most, relative to the largest number{top}."


def doubts(machines: Sequence[MachineFindings], network: str | None = None) -> list[str]:
    """Hosts that changed speed, and what is unsteady, machine by machine. network: None for all."""
    notes = []
    for machine in machines:
        cells = machine.steady if network is None else machine.steady[machine.steady["network"] == network]
        where = labels.sentence(labels.machine(machine.machine))
        notes += [f"{where}: {said}" for said in (*_uneven(machine.hosts), *_unsteady(cells))]
    more = len(notes) - MOST_NAMED
    return [*notes[:MOST_NAMED], f"{more} more of this kind."] if more > 0 else notes


def _when(hosts: pd.DataFrame) -> list[str]:
    """On how many hosts, and for how long, it was measured, where these are too few to speak for others. hosts: as of
    steadiness.HOSTS."""
    if not 0 < len(hosts) < ENOUGH_HOSTS:
        return []
    shortest, longest = (max(1, round(minutes)) for minutes in (hosts["minutes"].min(), hosts["minutes"].max()))
    minutes = f"{longest} min" if shortest == longest else f"{shortest} to {longest} min"
    each = "" if len(hosts) == 1 else " each"
    on = labels.count(len(hosts), "host")
    return [f"Measured on {on} within {minutes}{each}, of which alone the intervals speak."]


def _busy(machine: MachineFindings) -> list[str]:
    """Who took the CPUs where that left no verdicts, as far as it was seen before anything was measured."""
    if "disturbed" not in {*machine.ratios["verdict"], *machine.speedups["verdict"]}:
        return []
    cores: Counter[str] = Counter()
    for host in machine.facts:
        cores.update(host.neighbours.processes if host.neighbours else {})
    seen = ", ".join(f"{name} {taken / len(machine.facts):.2f}" for name, taken in cores.most_common(MOST_BUSY))
    who = f" Before it began these took the CPUs, in cores: {seen}." if seen else ""
    return [
        "Too few processes were undisturbed for verdicts: measure again while nothing else takes the CPUs, or where "
        f"what is measured may come first (as root, or after sudo prlimit --nice=40 --pid $$).{who}"
    ]


def _uneven(hosts: pd.DataFrame) -> list[str]:
    """Whether hosts changed their speed. hosts: as of steadiness.HOSTS."""
    uneven = hosts[hosts["uneven"]]
    if uneven.empty:
        return []
    which = "The host" if len(hosts) == 1 else f"{len(uneven)} of {len(hosts)} hosts"
    slower = labels.share(1 - uneven["speed_kept"].min())
    return [
        f"{which} changed speed meanwhile: all engines together were up to {slower} slower in some processes than in "
        "others, beyond what is left out as disturbed."
    ]


def _unsteady(cells: pd.DataFrame) -> list[str]:
    """What scatters by more than all else. cells: as of steadiness.CELLS."""
    named = [
        f"{labels.network(row['network'])} {labels.VARIANT_LABELS[row['variant']]} with {labels.engine(row['engine'])} "
        f"({labels.share(row['scatter'])}, others {labels.share(row['usual'])})"
        for row in cells[cells["unsteady"]].to_dict("records")
    ]
    if not named:
        return []
    return [
        f"Unsteady from block to block: {labels.some(named, 'steadiness.csv')}. What the host does not show slows that "
        "more than the rest: at another time its ratios can differ by more than their intervals."
    ]


def _pays(mean: Any, rows: list[Any]) -> tuple[str, str]:
    """A key of PAYS, and the numbers behind it, or the reasons."""
    if mean is None or math.isnan(mean["ratio"]):
        reasons = Counter(labels.because(row) if row["because"] else "no common round" for row in rows)
        return NOT_MEASURED, ", ".join(f"{reason}: {number}" for reason, number in reasons.items())
    networks = f"{mean['entered']} of {labels.count(mean['planned'], 'network')}"
    times = f"{mean['ratio']:.2f} times as fast"
    if math.isnan(mean["low"]):
        return "no_interval", f"{times}, {networks}"
    together = labels.together(mean) if mean["verdict"] == "undecided" else ""
    interval = f"95 % interval {mean['low']:.2f} to {mean['high']:.2f}"
    return mean["verdict"], ", ".join(filter(None, [times, interval, together, networks]))


def _cheapest(machine: MachineFindings) -> list[str]:
    """For the networks that have both files with a price: what a million inferences cost, base and pruned."""
    rows = {(row["network"], row["variant"]): row for row in _lowest(machine.costs, ["network", "variant"])}
    named = [
        f"{labels.network(name)} {labels.usd(row)} instead of {labels.usd(rows[name, BASE])}"
        for (name, variant), row in rows.items()
        if variant == "pruned" and (name, BASE) in rows
    ]
    if not named:
        return []
    return [
        "A million inferences cost, pruned instead of base, each in the engine in which it costs least, in USD: "
        f"{labels.some(named, 'usd.csv')}."
    ]


def over_machines(lane: Lane) -> list[str]:
    """On how many of several machines each variant pays, a sentence a variant. What to take is in choices.py."""
    if len(lane.machines) < 2:
        return []
    means = ordered(pd.concat([machine.means for machine in lane.machines]))
    lines = []
    for variant, of_variant in means[~means["engine"].map(is_tool).astype(bool)].groupby("variant", sort=False):
        engines = []
        for engine, rows in of_variant.groupby("engine", sort=False):
            counted = Counter(VERDICT_OVER_MACHINES[verdict] for verdict in rows["verdict"])
            named = ", ".join(f"{what} on {number}" for what, number in counted.items())
            low, high = (f"{end:.2f}" for end in (rows["ratio"].min(), rows["ratio"].max()))
            times = low if low == high else f"{low} to {high}"
            engines.append(f"with {labels.engine(str(engine))} {named} ({times} times as fast)")
        what = labels.sentence(labels.VARIANT_LABELS[str(variant)])
        lines.append(f"{what} against base, of {len(lane.machines)} machines: {'; '.join(engines)}.")
    return lines


def lowest_costs(lane: Lane) -> list[str]:
    """Where a million inferences cost least, by the means of a table of throughputs, which carries no choice."""
    lowest = _lowest(pd.concat([machine.costs for machine in lane.machines]), ["network"])
    if not lowest or len(lane.machines) < 2:
        return []
    places = [
        f"{labels.network(row['network'])} {labels.usd(row)} ({labels.machine(row)}, {labels.engine(row['engine'])}, "
        f"{labels.VARIANT_LABELS[row['variant']]})"
        for row in lowest
    ]
    named = labels.some(places, "usd.csv")
    return [f"A million inferences cost least, by the means of what was measured, in USD: {named}."]


VERDICT_OVER_MACHINES = {
    "faster": "it pays",
    "slower": "it does not pay",
    "equivalent": "it does not pay",
    "undecided": "undecided",
    "too_few": "not known",
    "disturbed": "not known",
    UNPAIRED: "not known",
}


def _lowest(costs: pd.DataFrame, by: list[str]) -> list[Any]:
    """The rows with the lowest cost of each group, as they are ordered."""
    priced = costs.dropna(subset=["usd_per_million"]).reset_index(drop=True)
    if priced.empty:
        return []
    return ordered(priced.loc[priced.groupby(by, sort=False)["usd_per_million"].idxmin()]).to_dict("records")


def pooled(findings: Findings) -> str:
    names = ", ".join(night.name for night in findings.nights)
    nights = labels.count(len(findings.nights), "night")
    return f"Pooled: {nights} ({names}) taken as one; each host of each is a further sample."


def faster(a: str, ratio: float, b: str, digits: int = 2) -> str:
    """0.12 is "a is 12.00 % faster than b"."""
    size = f"{abs(ratio) * 100:.{digits}f}"
    if not float(size):
        return f"{a} is as fast as {b}"
    return f"{a} is {size} % {'faster' if ratio > 0 else 'slower'} than {b}"


def headline(comparison: Comparison) -> str:
    """A comparison in plain words: the geometric mean and what may be said of it, then the study's rule."""
    return " ".join(
        [geometric(comparison), f"By the study's rule, {study(comparison)}", *emulated_machines(comparison)]
    )


def geometric(comparison: Comparison) -> str:
    """What the geometric mean says, on how much it stands, and on which machines it is otherwise."""
    a, b, overall = labels.engine(comparison.a), labels.engine(comparison.b), comparison.overall
    machines = comparison.machines.to_dict("records")
    entered, cells_planned = comparison.machines["entered"].sum(), comparison.machines["cells_planned"].sum()
    scope = f"{_where(comparison)}, geometric mean over {entered} of {cells_planned} cells"
    if not entered:
        return f"{a} and {b} were never timed in the same round {_where(comparison)}, so their ratio is not known."
    others = []
    for row in machines:
        if len(machines) > 1 and row["verdict"] != overall.kind and not math.isnan(row["low"]):
            there = {"faster": f"{a} is faster", "slower": f"{a} is slower"}.get(row["verdict"], labels.verdict(row))
            others.append(f"On {row['instance_type']}: {there} ({labels.changes(row['low'], row['high'])}).")
    return " ".join([f"{_verdict(a, b, overall, scope)}.", *_first(others, "Another verdict, too, on {}.")])


def _verdict(a: str, b: str, verdict: Verdict, scope: str) -> str:
    change = labels.percent(verdict.ratio - 1, 1)
    if not math.isfinite(verdict.high):
        return f"{a} against {b}: {change} {scope}. There is no interval, so which is faster is not known"
    interval = f"95 % interval {labels.changes(verdict.low - 1, verdict.high - 1)}"
    match verdict.kind:
        case "equivalent":
            margin = labels.within(EQUIVALENT_WITHIN, 0)
            return f"{a} and {b} are equally fast within {margin}: {change}, {interval}, {scope}"
        case "undecided":
            if not verdict.low <= 1 <= verdict.high:
                together = labels.changes(verdict.family_low - 1, verdict.family_high - 1)
                interval = f"{interval} ({together} when all that is compared here has to hold together)"
            return f"Whether {a} or {b} is faster is undecided: {change}, {interval}, {scope}"
        case "too_few":
            return f"{a} against {b}: {change}, {interval}, {scope}. That is of too few processes for a verdict"
        case "disturbed":
            return f"{a} against {b}: {change}, {interval}, {scope}. Too few processes were undisturbed for a verdict"
    return f"{faster(a, verdict.ratio - 1, b, 1)}, {interval}, {scope}"


def study(comparison: Comparison) -> str:
    """A comparison by the study's rule, the exceptions included. It has no interval."""
    a, b = labels.engine(comparison.a), labels.engine(comparison.b)
    cells, cells_planned = comparison.machines["cells"].sum(), comparison.machines["cells_planned"].sum()
    overall = f"{faster(a, comparison.study, b)} {_where(comparison)}, over {cells} of {cells_planned} cells."
    others = []
    for row in comparison.machines.to_dict("records"):
        if row["study"] * comparison.study < 0:
            other = faster(b, 1 / (1 + row["study"]) - 1, a)
            others.append(f"Not so on {row['instance_type']}: {faster(a, row['study'], b)} there, which is: {other}.")
    return " ".join([overall, *_first(others, "Nor on {}.")])


def emulated_machines(comparison: Comparison) -> list[str]:
    machines = comparison.machines.to_dict("records")
    if len(machines) == 1:
        return []
    return [f"Note: {sentence}" for sentence in emulated(machines)]


def emulated(machines: Sequence[Any]) -> list[str]:
    """Which of these machines, which have the fields of a Machine, are emulated, and on what."""
    notes = [f"{row['instance_type']} is {labels.emulated(row)}." for row in machines if labels.is_emulated(row)]
    return _first(notes, "emulated, too: {}.")


def _first(notes: list[str], rest: str) -> list[str]:
    """The first of these sentences, and one on the others. rest: says it of so many machines."""
    more = len(notes) - MOST_NAMED
    return [*notes[:MOST_NAMED], rest.format(f"{labels.count(more, 'machine')} more")] if more > 0 else notes


def _where(comparison: Comparison) -> str:
    machines = comparison.machines.to_dict("records")
    if len(machines) == 1:
        return f"on {labels.machine(machines[0])}"
    types = len(set(comparison.machines["instance_type"]))
    what = "instance types" if types == len(machines) else f"machines of {types} instance types"
    return f"on average over {len(machines)} {what}"
