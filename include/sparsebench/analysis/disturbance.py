"""What else went on while each block was timed."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import NamedTuple

import pandas as pd

from sparsebench.analysis.order import ordered
from sparsebench.analysis.results import CELL, MACHINE, Measured, Row, grouped
from sparsebench.contracts import DISTURBED_ABOVE, DisturbanceKind, Interference

MEASURES = list(Interference.model_fields)


class Disturbed(NamedTuple):
    """Blocks that were disturbed in one way, and by how much: the median of them, and the most."""

    kind: DisturbanceKind
    blocks: int
    median: float
    most: float


def blocks(trials: Iterable[Measured]) -> pd.DataFrame:
    """One row a block: the CELL columns, host, job, generation, round, started_at, throughput_img_s, the fields of
    Interference, and disturbed_by (those of its fields that are above their threshold, with semicolons between; empty
    where it is undisturbed)."""
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
            "disturbed_by": "; ".join(disturbance.kind for disturbance in block.interference.disturbances),
        }
        for machine, trial in trials
        for block in trial.blocks
    ]
    columns = [*CELL, "host", "job", "generation", "round", "started_at", "throughput_img_s", *MEASURES, "disturbed_by"]
    return ordered(pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(MEASURES, "float64")))


def by_machine(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a machine: the MACHINE columns, blocks, disturbed_blocks, disturbances (a tuple of Disturbed, that of the
    most blocks first; a block can have several), and of each measure its mean, 5th and 95th percentile (NaN where the
    host does not tell).

    frame: as of ``blocks``.
    """
    measures = frame.groupby(MACHINE, sort=False)[MEASURES]  # as a whole: a frame for each of a thousand takes seconds
    means, lows, highs = measures.mean(), measures.quantile(0.05), measures.quantile(0.95)
    rows: list[Row] = []
    for key, on_machine in grouped(frame, MACHINE):
        rows.append(
            {
                **dict(zip(MACHINE, key, strict=True)),
                "blocks": len(on_machine),
                "disturbed_blocks": int((on_machine["disturbed_by"] != "").sum()),
                "disturbances": _disturbances(on_machine),
                **{f"mean_{name}": value for name, value in zip(MEASURES, means.loc[key], strict=True)},
                **{f"p5_{name}": value for name, value in zip(MEASURES, lows.loc[key], strict=True)},
                **{f"p95_{name}": value for name, value in zip(MEASURES, highs.loc[key], strict=True)},
            }
        )
    return pd.DataFrame(rows)


def _disturbances(frame: pd.DataFrame) -> tuple[Disturbed, ...]:
    counted = []
    for kind in DISTURBED_ABOVE:
        values = frame.loc[[kind in kinds.split("; ") for kinds in frame["disturbed_by"]], kind].tolist()
        if values:
            counted.append(Disturbed(kind, len(values), median(values), max(values)))
    return tuple(sorted(counted, key=lambda disturbed: -disturbed.blocks))
