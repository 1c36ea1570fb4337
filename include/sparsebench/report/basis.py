"""What the numbers of a lane stand on, in words: every figure's caption and every table's note say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from sparsebench.analysis.order import VARIANTS
from sparsebench.analysis.results import FILE, MACHINE, REASONS, Results
from sparsebench.contracts import Protocol
from sparsebench.report import words

MOST_NAMED = 6
"""Unconverged networks that are named in a caption; ratios.csv has them all."""


@dataclass(frozen=True)
class Basis:
    """results, ratios: of one lane. protocol: None of a CSV, which does not tell."""

    results: Results
    ratios: pd.DataFrame
    protocol: Protocol | None

    def words(self, machine: Any = None, variants: Sequence[str] = VARIANTS) -> str:
        """Lane, scenario, hosts, processes, blocks, what is left out and why, and what has not converged.

        Args:
            machine: a row with the MACHINE columns; None for all machines.
        """
        repeats, missing, ratios = (
            _only(frame, machine, variants) for frame in (self.results.repeats, self.results.missing, self.ratios)
        )
        cells = _only(self.results.cells, machine, variants)
        said = [
            words.LANES[self.results.lanes[0]],
            words.scenario(self.protocol, cells),
            _counts(repeats),
            _left_out(missing),
            _unconverged(ratios, self.protocol),
        ]
        return " ".join(filter(None, said))


def _only(frame: pd.DataFrame, machine: Any, variants: Sequence[str]) -> pd.DataFrame:
    shown = frame["variant"].isin(variants)
    if machine is not None:
        shown &= frame["instance_type"] == machine["instance_type"]
        shown &= frame["cpu_model"].isin([machine["cpu_model"], ""])  # "": never begun, so missing on all its machines
        shown &= frame["emulated"].isna() | (frame["emulated"] == machine["emulated"])
    return frame[shown]


def _counts(repeats: pd.DataFrame) -> str:
    if repeats["blocks"].isna().all():
        return f"{words.count(len(repeats), 'throughput')}."
    hosts = repeats[[*MACHINE, "host"]].drop_duplicates()
    blocks, disturbed = int(repeats["blocks"].sum()), int(repeats["disturbed_blocks"].sum())
    processes = words.count(len(repeats), "process")
    said = f"{words.count(len(hosts), 'host')}, {processes}, {words.count(blocks, 'block')}"
    return f"{said}, of which {disturbed:,} disturbed ones are left out." if disturbed else f"{said}, none disturbed."


def _left_out(missing: pd.DataFrame) -> str:
    lost = missing[missing["valid_trials"] == 0].drop_duplicates([*MACHINE, *FILE, "engine", "reason"])
    counts = lost["reason"].value_counts()
    said = ", ".join(f"{counts[reason]} {reason}" for reason in REASONS if reason in counts)
    return f"Cells without a throughput: {said}." if said else ""


def _unconverged(ratios: pd.DataFrame, protocol: Protocol | None) -> str:
    if protocol is None or protocol.target is None or ratios.empty:
        return ""
    target = words.within(protocol.target)
    wide = ratios[~ratios["converged"].fillna(True)]
    if wide.empty:
        return f"Every ratio of two engines is known to {target}."
    several = len(ratios[MACHINE].drop_duplicates()) > 1
    worst = wide.assign(half_width=wide["half_width"].fillna(float("inf"))).sort_values(
        "half_width", ascending=False, kind="stable"
    )
    files = worst.drop_duplicates([*MACHINE, *FILE]).to_dict("records")
    named = ", ".join(_name(row, several) for row in files[:MOST_NAMED])
    more = f" and {len(files) - MOST_NAMED} more" if len(files) > MOST_NAMED else ""
    return f"Unconverged (the target is {target}; the worst ratio is given): {named}{more}."


def _name(row: Any, several: bool) -> str:
    where = f" on {row['instance_type']}" if several else ""
    width = "no interval" if row["half_width"] == float("inf") else words.within(row["half_width"])
    return f"{words.network(row['network'])} {words.VARIANT_LABELS[row['variant']]}{where} {width}"
