"""The hosts that measured, and what a night's first run froze."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from sparsebench.analysis.order import ordered
from sparsebench.contracts import HostFacts, Manifest, ModelCard
from sparsebench.report import words
from sparsebench.report.tables.form import Table, rows_of, text


def hosts_frame(hosts: Sequence[HostFacts]) -> pd.DataFrame:
    packages = sorted({package for host in hosts for package in host.versions})
    rows = [
        {
            **host.model_dump(exclude={"cpu_flags", "caches", "versions"}),
            "caches": " ".join(f"{level}={size}" for level, size in sorted(host.caches.items())),
            **{f"version_{package}": host.versions.get(package) for package in packages},
        }
        for host in sorted(hosts, key=lambda host: host.instance_id)
    ]
    return ordered(pd.DataFrame(rows))


def hosts(found: Sequence[HostFacts]) -> Table:
    frame = hosts_frame(found)
    return Table(
        title="Hosts",
        csv="hosts.csv",
        note="Every instance that measured. An emulated one has the CPU of the machine that emulates it.",
        columns=("instance type", "CPU", "emulated", "cores (threads)", "memory", "system", "engines"),
        rows=[
            [
                text(row["instance_type"]),
                text(words.emulated(row) if row["emulated"] else row["cpu_model"]),
                text("yes" if row["emulated"] else "no"),
                (f"{row['physical_cores']} ({row['logical_cores']})", "number"),
                (f"{row['memory_bytes'] / 2**30:.1f} GiB", "number"),
                text(f"{row['os']}, {row['kernel']}, Python {row['python']}"),
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
        *((f"artifact: {card.network} {card.variant}", card.artifact) for card in sorted_cards(manifest)),
    ]
    if manifest.frozen_late:
        rows.insert(3, ("frozen late", frozen_late(manifest)))
    return pd.DataFrame([(name, str(value)) for name, value in rows], columns=["input", "value"])


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
