"""The tables of a report: each a CSV with the exact values, and rows of text for the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sparsebench.analysis import csvfile, models
from sparsebench.analysis.compare import Comparison
from sparsebench.analysis.order import UNSTATED, ordered
from sparsebench.analysis.results import REASONS, Results
from sparsebench.contracts import HostFacts, Manifest
from sparsebench.report import words

Cell = tuple[str, str]
"""Text of a table's cell, and its class on the page: "", "number", "best" or "absent"."""


@dataclass(frozen=True)
class Table:
    title: str
    csv: str
    note: str
    columns: tuple[str, ...]
    rows: list[list[Cell]]


def csv(frame: pd.DataFrame) -> bytes:
    """The frame as CSV in UTF-8; floats with every digit that they have, so that they read back the same."""
    return frame.to_csv(index=False, lineterminator="\n").encode()


def repeats_csv(results: Results) -> bytes:
    """Every throughput, in the form of the study's CSV: ``sparsebench report --csv`` draws it again."""
    frame = results.repeats.rename(columns={"network": "model"})
    given = [name for name in csvfile.COLUMNS if name != "precision" or UNSTATED not in results.lanes]
    return csv(frame[given])


def _text(value: Any) -> Cell:
    return ("" if pd.isna(value) else str(value)), ""


def _number(pattern: str) -> Callable[[Any], Cell]:
    return lambda value: ("" if pd.isna(value) else pattern.format(value), "number")


def _fraction(digits: int) -> Callable[[Any], Cell]:
    return lambda value: ("" if pd.isna(value) else f"{value * 100:.{digits}f} %", "number")


def _percent(value: Any) -> Cell:
    return words.percent(value), "number"


def _rows(frame: pd.DataFrame, **formats: Callable[[Any], Cell]) -> list[list[Cell]]:
    return [[show(row[name]) for name, show in formats.items()] for row in frame.to_dict("records")]


def _network(value: Any) -> Cell:
    return words.network(value), ""


def _variant(value: Any) -> Cell:
    return words.VARIANT_LABELS[value], ""


def _engine(value: Any) -> Cell:
    return words.engine(value), ""


# ------------------------------------------------------------------------------------------- results


def headline_frame(found: Sequence[Comparison]) -> pd.DataFrame:
    """All comparisons as one table, a row a pair and machine."""
    return pd.concat([one.machines.assign(engine_a=one.a, engine_b=one.b) for one in found], ignore_index=True)


def headline(found: Comparison) -> Table:
    a, b = words.engine(found.a), words.engine(found.b)
    machines = found.machines.assign(machine=[words.machine(row) for row in found.machines.to_dict("records")])
    rows = _rows(
        machines,
        machine=_text,
        mean_a=_number("{:.2f}"),
        mean_b=_number("{:.2f}"),
        cells=_number("{}"),
        cells_any=_number("{}"),
        study=_percent,
        study_without=_percent,
        geometric=_percent,
    )
    for row in rows:
        row[3:5] = [(f"{row[3][0]} of {row[4][0]}", "number")]
    if len(rows) > 1:
        rows.append([("all", "best"), *[("", "")] * 3, *[(words.percent(found.study), "number best")], ("", ""),
                     (words.percent(found.geometric), "number best")])  # fmt: skip
    return Table(
        title=f"{a} against {b}",
        csv="headline.csv",
        note="",
        columns=("machine", f"{a}, img/s", f"{b}, img/s", "cells", "study's rule", "mean without it", "geometric mean"),
        rows=rows,
    )


def throughput(cells: pd.DataFrame, missing: pd.DataFrame, csv_name: str) -> Table:
    """Networks and variants of one machine down, engines across; the fastest of each row is marked.

    cells, missing: of one machine and lane.
    """
    both = ordered(pd.concat([cells, missing[missing["valid_trials"] == 0]]))
    engines = list(dict.fromkeys(ordered(both[["engine"]].drop_duplicates())["engine"]))
    found = {(row["network"], row["variant"], row["engine"]): row for row in cells.to_dict("records")}
    reasons = missing.set_index(["network", "variant", "engine"])["reason"].to_dict()
    rows = []
    for network, variant in both[["network", "variant"]].drop_duplicates().itertuples(index=False):
        mine = [found.get((network, variant, engine)) for engine in engines]
        best = max((row["median_img_s"] for row in mine if row), default=None)
        row: list[Cell] = [_network(network), _variant(variant)]
        for engine, cell in zip(engines, mine, strict=True):
            if cell is None:
                row.append((reasons.get((network, variant, engine), "not measured"), "absent"))
                continue
            low, median, high = (f"{cell[f'{name}_img_s']:.1f}" for name in ("low", "median", "high"))
            spread = f" ({low}–{high})" if cell["repeats"] > 1 else ""
            partly = f" [{cell['supported_ops'] * 100:.1f} % ops]" if cell["supported_ops"] < 1 else ""
            row.append((median + spread + partly, "number best" if cell["median_img_s"] == best else "number"))
        rows.append(row)
    return Table(
        title=words.machine(cells.iloc[0]),
        csv=csv_name,
        note="img/s at batch 1, the median over the repeats (slowest–fastest). Bold: the fastest of the row. "
        "“% ops”: so much of the network the engine ran itself; it handed the rest to another engine.",
        columns=("network", "variant", *map(words.engine, engines)),
        rows=rows,
    )


def missing(results: Results) -> Table:
    frame = results.missing
    lost = frame[frame["valid_trials"] == 0]
    cell = ["instance_type", "network", "variant", "engine", "precision"]
    counts = lost.drop_duplicates([*cell, "reason"])["reason"].value_counts()
    said = "; ".join(
        f"{counts[reason]} {reason} ({words_for})" for reason, words_for in REASONS.items() if reason in counts
    )
    total = len(lost.drop_duplicates(cell))
    if total:
        note = f"{total} cells have no valid throughput: {said}."
    elif results.repeats.empty:
        note = "No run has measured anything."
    else:
        note = "Every cell has a valid throughput."
    partly = len(frame) - len(lost)
    if partly:
        note += f" {partly} more lost some of their trials; their throughput is of the others."
    machines = [words.machine(row) if row["cpu_model"] else row["instance_type"] for row in frame.to_dict("records")]
    return Table(
        title="Missing cells",
        csv="missing.csv",
        note=note,
        columns=(
            "machine",
            "network",
            "variant",
            "engine",
            "lane",
            "reason",
            "trials lost",
            "valid trials",
            "detail",
        ),
        rows=_rows(
            frame.assign(machine=machines),
            machine=_text,
            network=_network,
            variant=_variant,
            engine=_engine,
            precision=_text,
            reason=_text,
            trials=_number("{}"),
            valid_trials=_number("{}"),
            detail=_text,
        ),
    )


# -------------------------------------------------------------------------------------------- inputs


def sizes(frame: pd.DataFrame, study: pd.DataFrame) -> Table:
    """frame, study: as of analysis.models.sizes; the study's published numbers stand beside ours."""
    published = study.set_index(["network", "variant"])["ratio"].to_dict()
    keys = zip(frame["network"], frame["variant"], strict=True)
    beside = frame.assign(study=np.array([published.get(key) for key in keys], dtype=float))
    mean, study_mean = models.mean_ratio(frame), models.mean_ratio(study)
    said = "" if mean is None else f" On average a pruned network is {mean:.3f} times smaller"
    said += "" if mean is None else f" (in the study: {study_mean:.3f}), INT8 left out."
    return Table(
        title="Sizes after gzip −9",
        csv="sizes.csv",
        note=f"MB of 10⁶ bytes, base → pruned.{said}",
        columns=("network", "variant", "base, MB", "pruned, MB", "ratio", "study's ratio"),
        rows=_rows(
            beside,
            network=_network,
            variant=_variant,
            base_mb=_number("{:.2f}"),
            pruned_mb=_number("{:.2f}"),
            ratio=_number("{:.2f}"),
            study=_number("{:.2f}"),
        ),
    )


def sparsities(frame: pd.DataFrame, study: pd.DataFrame) -> Table:
    """frame: as of analysis.models.sparsities. study: network, variant, sparsity, top1."""
    published = study.set_index(["network", "variant"]).to_dict("index")
    empty = {"sparsity": None, "top1": None}
    beside = [published.get(key, empty) for key in zip(frame["network"], frame["variant"], strict=True)]
    shown = frame.assign(
        study_sparsity=np.array([row["sparsity"] for row in beside], dtype=float),
        study_top1=np.array([row["top1"] for row in beside], dtype=float),
        measured_on=[
            "" if pd.isna(row["images"]) else f"{row['dataset']}, {row['images']} images"
            for row in frame.to_dict("records")
        ],
    )
    return Table(
        title="Sparsity and accuracy",
        csv="sparsity.csv",
        note="Sparsity: achieved, over all prunable weights. Accuracy is blank where it was not measured; random "
        "weights have none. The study's numbers are of ImageNet-1k.",
        columns=(
            "network",
            "variant",
            "weights",
            "origin of the weights",
            "sparsity",
            "study's",
            "top-1",
            "study's",
            "top-5",
            "measured on",
        ),
        rows=_rows(
            shown,
            network=_network,
            variant=_variant,
            weights=_text,
            origin=_text,
            sparsity=_fraction(2),
            study_sparsity=_fraction(0),
            top1=_fraction(2),
            study_top1=_fraction(2),
            top5=_fraction(2),
            measured_on=_text,
        ),
    )


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
                _text(row["instance_type"]),
                _text(words.emulated(row) if row["emulated"] else row["cpu_model"]),
                _text("yes" if row["emulated"] else "no"),
                (f"{row['physical_cores']} ({row['logical_cores']})", "number"),
                (f"{row['memory_bytes'] / 2**30:.1f} GiB", "number"),
                _text(f"{row['os']}, {row['kernel']}, Python {row['python']}"),
                _text(
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


def sorted_cards(manifest: Manifest) -> list[Any]:
    return sorted(manifest.models, key=lambda card: (card.network, card.variant))


def frozen_late(manifest: Manifest) -> str:
    return f"a past night that had no manifest; frozen from the inputs of {manifest.frozen_at.date().isoformat()}"


def inputs(manifest: Manifest) -> Table:
    return Table(
        title="The night's inputs",
        csv="inputs.csv",
        note="Frozen by the night's first run; every later run of the night measures with the same.",
        columns=("input", "value"),
        rows=_rows(inputs_frame(manifest), input=_text, value=_text),
    )
