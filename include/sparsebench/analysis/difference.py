"""What changed from one night to another: what was measured, where, and which ratios moved further than chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from sparsebench.analysis.findings import Findings
from sparsebench.analysis.pooling import Night

HOST_FACTS = {
    "CPU": "cpu_model",
    "emulation": "emulated",
    "kernel": "kernel",
    "operating system": "os",
    "threads": "threads",
    "CPU limit": "quota_cores",
}
"""What of a host's facts is compared, by what it is called."""


class Change(NamedTuple):
    """An input that differs. Empty: that night had none."""

    what: str
    before: str
    after: str


class Interval(NamedTuple):
    ratio: float
    low: float
    high: float


class Compared(NamedTuple):
    """What a ratio of throughputs is of: treatment a over treatment b."""

    instance_type: str
    cpu_model: str
    network: str
    variant: str
    a: str
    b: str


class Moved(NamedTuple):
    """A ratio whose intervals of the two nights do not overlap."""

    compared: Compared
    before: Interval
    after: Interval


@dataclass(frozen=True)
class Difference:
    """What changed from night ``before`` to night ``after``. compared: ratios that have an interval in both."""

    before: str
    after: str
    inputs: tuple[Change, ...]
    moved: tuple[Moved, ...]
    compared: int


def difference(before: Findings, after: Findings) -> Difference:
    """The difference of two nights' findings."""
    (a,), (b,) = before.nights, after.nights
    old, new = _intervals(before), _intervals(after)
    both = [key for key in old if key in new]
    moved = [Moved(key, old[key], new[key]) for key in both if _apart(old[key], new[key])]
    return Difference(a.manifest.night, b.manifest.night, tuple(inputs(a, b)), tuple(moved), len(both))


def _apart(a: Interval, b: Interval) -> bool:
    return a.high < b.low or b.high < a.low


def inputs(a: Night, b: Night) -> Iterator[Change]:
    """What was measured, with what, and on which hosts: what differs."""
    old, new = a.manifest, b.manifest
    for field in type(old.protocol).model_fields:
        if field != "description":
            yield from _change(f"protocol {field}", getattr(old.protocol, field), getattr(new.protocol, field))
    yield from _change("image", old.image, new.image)
    if old.arm_image and new.arm_image:
        yield from _change("image for arm64", old.arm_image, new.arm_image)
    yield from _change("code (payload)", old.payload[:12], new.payload[:12])
    yield from _change("packages (bench lock)", old.bench_lock[:12], new.bench_lock[:12])
    yield from _changes("version of", _versions(a), _versions(b))
    yield from _changes("model", _models(a), _models(b))
    for what, name in HOST_FACTS.items():
        yield from _changes(f"{what} of", _of_hosts(a, name), _of_hosts(b, name))
    before, after = _microcode(a), _microcode(b)
    for instance_type in sorted(before.keys() & after.keys()):  # it was not recorded always
        yield from _change(f"microcode of {instance_type}", before[instance_type], after[instance_type])


def _change(what: str, before: object, after: object) -> Iterator[Change]:
    if before != after:
        yield Change(what, str(before), str(after))


def _changes(what: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    for name in sorted({*before, *after}):
        yield from _change(f"{what} {name}", before.get(name, ""), after.get(name, ""))


def _models(night: Night) -> dict[str, str]:
    return {f"{card.network} {card.variant}": card.artifact[:12] for card in night.manifest.models}


def _of_hosts(night: Night, name: str) -> dict[str, str]:
    """A field of HostFacts by instance type; only what was measured has hosts."""
    return _joined((host.instance_type, str(getattr(host, name))) for host in night.hosts)


def _microcode(night: Night) -> dict[str, str]:
    return _joined((host.instance_type, host.microcode) for host in night.hosts if host.microcode)


def _versions(night: Night) -> dict[str, str]:
    return _joined(item for host in night.hosts for item in host.versions.items())


def _joined(pairs: Iterator[tuple[str, str]]) -> dict[str, str]:
    """All that there are of each name, joined."""
    values: dict[str, set[str]] = {}
    for name, value in pairs:
        values.setdefault(name, set()).add(value)
    return {name: ", ".join(sorted(of_name)) for name, of_name in values.items()}


def _intervals(findings: Findings) -> dict[Compared, Interval]:
    """Every ratio that has an interval, by what it is of: engines on a file, and files in an engine."""
    engines = findings.ratios.assign(
        a=findings.ratios["engine_a"] + " " + findings.ratios["precision_a"],
        b=findings.ratios["engine_b"] + " " + findings.ratios["precision_b"],
    )
    treatment = findings.speedups["engine"] + " " + findings.speedups["precision"]
    files = findings.speedups.assign(a=findings.speedups["variant"] + ", " + treatment, b="base, " + treatment)
    columns = [*Compared._fields, *Interval._fields]
    frame = pd.concat([table[columns] for table in (engines, files)]).dropna()
    key = len(Compared._fields)
    return {Compared(*row[:key]): Interval(*row[key:]) for row in frame.itertuples(index=False, name=None)}
