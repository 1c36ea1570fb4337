"""The runs of a night, the hosts that measured, and what its first run froze."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from sparsebench.analysis.order import ordered
from sparsebench.analysis.steadiness import EVEN
from sparsebench.contracts import Collection, HostFacts, Manifest, ModelCard
from sparsebench.report import labels
from sparsebench.report.tables.formatting import Table, number, rows_of, text

EVENNESS = ["measured_from", "measured_until", "generations", "speed_kept", "p", "uneven"]
"""Columns of steadiness.HOSTS that stand beside a host's facts."""


def runs_frame(collections: Sequence[Collection]) -> pd.DataFrame:
    """One row a run: run, planned, measured, missing, machine_min, cost_usd."""
    rows = [
        {
            "run": run.run_id,
            "planned": run.planned,
            "measured": run.measured,
            "missing": ", ".join(
                f"{count} {why}" for why, count in sorted(Counter(cell.reason for cell in run.missing).items())
            ),
            "machine_min": sum(took.machine_s for took in run.took) / 60,
            "cost_usd": run.cost_usd,
        }
        for run in sorted(collections, key=lambda run: run.run_id)
    ]
    return pd.DataFrame(rows)


def runs(frame: pd.DataFrame) -> Table:
    """frame: as of runs_frame."""
    return Table(
        title="Runs",
        csv="runs.csv",
        note="What each run was to measure, and what it has cost at most: its instances, from launch to end, at the "
        "catalog's prices on demand. Machine minutes are of measuring alone. Without a price the cost is blank.",
        columns=("run", "cells planned", "measured", "missing", "machine minutes", "USD"),
        rows=rows_of(
            frame,
            run=text,
            planned=number("{}"),
            measured=number("{}"),
            missing=text,
            machine_min=number("{:.1f}"),
            cost_usd=number("{:.2f}"),
        ),
    )


def hosts_frame(hosts: Sequence[HostFacts], speeds: pd.DataFrame) -> pd.DataFrame:
    """One row a host: its facts, and how evenly fast it was. speeds: as of steadiness.HOSTS."""
    evenness = {
        (row["instance_type"], row["host"]): {name: row[name] for name in EVENNESS} for row in speeds.to_dict("records")
    }
    packages = sorted({package for host in hosts for package in host.versions})
    rows = [
        {
            **host.model_dump(exclude={"cpu_flags", "caches", "versions"}),
            "caches": " ".join(f"{level}={size}" for level, size in sorted(host.caches.items())),
            **{f"version_{package}": host.versions.get(package) for package in packages},
            **evenness.get((host.instance_type, host.instance_id), dict.fromkeys(EVENNESS)),
        }
        for host in sorted(hosts, key=lambda host: host.instance_id)
    ]
    return ordered(pd.DataFrame(rows))


def hosts(frame: pd.DataFrame) -> Table:
    """frame: as of hosts_frame."""
    return Table(
        title="Hosts",
        csv="hosts.csv",
        note="Every instance that measured. An emulated one has the CPU of the machine that emulates it. Speed kept: "
        "what all engines together did in their slowest processes over what they did in their fastest; below "
        f"{labels.share(EVEN)} the host changed its speed, and ratios can depend on that.",
        columns=("instance type", "CPU", "emulated", "cores (threads)", "memory", "system", "speed kept", "engines"),
        rows=[
            [
                text(row["instance_type"]),
                text(labels.emulated(row) if labels.is_emulated(row) else row["cpu_model"]),
                text("yes" if labels.is_emulated(row) else "no"),
                (f"{row['physical_cores']} ({row['logical_cores']})", "number"),
                (f"{row['memory_bytes'] / 2**30:.1f} GiB", "number"),
                text(f"{row['os']}, {row['kernel']}, Python {row['python']}"),
                ("" if pd.isna(row["speed_kept"]) else labels.share(row["speed_kept"]), "number"),
                text(
                    ", ".join(
                        f"{name.removeprefix('version_')} {version}"
                        for name, version in {str(column): value for column, value in row.items()}.items()
                        if name.startswith("version_") and not pd.isna(version)
                    )
                ),
            ]
            for row in frame.to_dict("records")
        ],
    )


def inputs_frame(manifest: Manifest) -> pd.DataFrame:
    """The night's frozen inputs, one row an input."""
    protocol = manifest.protocol.model_dump(mode="json")
    rows = [
        ("night", manifest.night),
        ("manifest", manifest.digest),
        ("frozen at", manifest.frozen_at.isoformat()),
        ("payload", manifest.payload),
        ("bench lock", manifest.bench_lock),
        *(
            (f"protocol: {name}", " ".join(value) if isinstance(value, list) else value)
            for name, value in protocol.items()
        ),
        *(artifact for card in sorted_cards(manifest) for artifact in _artifacts(card)),
    ]
    if manifest.frozen_late:
        rows.insert(3, ("frozen late", frozen_late(manifest)))
    return pd.DataFrame([(name, str(value)) for name, value in rows], columns=["input", "value"])


def _artifacts(card: ModelCard) -> list[tuple[str, str]]:
    name = f"artifact: {card.network} {card.variant}"
    own = [(f"{name}, {labels.engine(engine)}", artifact) for engine, artifact in sorted(card.encodings.items())]
    return [(name, card.artifact), *own]


def sorted_cards(manifest: Manifest) -> list[ModelCard]:
    return sorted(manifest.models, key=lambda card: (card.network, card.variant))


def frozen_late(manifest: Manifest) -> str:
    return f"a past night that had no manifest; frozen from the inputs of {manifest.frozen_at.date().isoformat()}"


def inputs(manifest: Manifest) -> Table:
    return Table(
        title="The night's inputs",
        csv="inputs.csv",
        note="Frozen by the night's first run; every later run of the night measures with the same.",
        columns=("input", "value"),
        rows=rows_of(inputs_frame(manifest), input=text, value=text),
    )
