"""What else went on while each block was timed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import pandas as pd

from sparsebench.analysis.order import ordered
from sparsebench.analysis.results import CELL, MACHINE, Measured, Row, grouped
from sparsebench.contracts import Interference

MEASURES = list(Interference.model_fields)


def kind(reason: str) -> str:
    """Why a block is disturbed, without the numbers, so that blocks can be counted by it."""
    return re.sub(r"\d+(\.\d+)?", "…", reason).removeprefix("… ")


def blocks(trials: Iterable[Measured]) -> pd.DataFrame:
    """One row a block: the CELL columns, host, job, generation, round, started_at, throughput_img_s, the fields of
    Interference, and reasons (why it is disturbed, with semicolons between; empty where it is not)."""
    rows = [
        {
            **machine._asdict(),
            **trial.cell.model_dump(),
            "host": trial.instance_id,
            "job": trial.job,
            "generation": trial.generation,
            "round": block.round,
            "started_at": block.started_at.isoformat(),
            "throughput_img_s": block.throughput_img_s,
            **dict(block.interference),
            "reasons": "; ".join(block.interference.reasons),
        }
        for machine, trial in trials
        for block in trial.blocks
    ]
    columns = [*CELL, "host", "job", "generation", "round", "started_at", "throughput_img_s", *MEASURES, "reasons"]
    return ordered(pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(MEASURES, "float64")))


def by_machine(found: pd.DataFrame) -> pd.DataFrame:
    """One row a machine: the MACHINE columns, blocks, disturbed_blocks, reasons (a Counter: a block can have several),
    and of each measure its mean, 5th and 95th percentile (NaN where the host does not tell).

    found: as of ``blocks``.
    """
    rows: list[Row] = []
    for key, mine in grouped(found, MACHINE):
        numbers = mine[MEASURES]
        reasons = Counter(kind(reason) for text in mine["reasons"] for reason in text.split("; ") if reason)
        rows.append(
            {
                **dict(zip(MACHINE, key, strict=True)),
                "blocks": len(mine),
                "disturbed_blocks": int((mine["reasons"] != "").sum()),
                "reasons": reasons,
                **{f"mean_{name}": numbers[name].mean() for name in MEASURES},
                **{f"p5_{name}": numbers[name].quantile(0.05) for name in MEASURES},
                **{f"p95_{name}": numbers[name].quantile(0.95) for name in MEASURES},
            }
        )
    return pd.DataFrame(rows)
