"""How each engine computes, and what it takes: load time and memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from sparsebench.analysis.results import MACHINE
from sparsebench.contracts import Execution
from sparsebench.report import labels
from sparsebench.report.tables.formatting import (
    Table,
    engine,
    network,
    number,
    rows_of,
    text,
    variant,
    without_repetition,
)

TOP = 3


def execution(executions: Mapping[tuple[object, ...], Execution]) -> Table:
    """The table shows the executions of one machine, by the CELL columns."""
    rows = [
        [
            network(key[3]),
            variant(key[4]),
            engine(key[5]),
            text(key[6]),
            text(labels.shares(how.precisions)),
            text(", ".join(_instruction_sets(how)) or "not told"),
            text("; ".join(f"{kernel.name} {labels.share(kernel.time_share)}" for kernel in how.kernels[:TOP])),
            text(how.source),
        ]
        for key, how in executions.items()
    ]
    return Table(
        title=labels.machine(dict(zip(MACHINE, next(iter(executions)), strict=False))),
        csv="kernels.csv",
        note="Read from each engine by a run of its own with its profiler on, at batch 1. Shares are of the time of "
        f"all operators. The {TOP} kernels that take the most time; all are in the file.",
        columns=("network", "variant", "engine", "lane", "computed in", "instruction sets", "kernels", "source"),
        rows=without_repetition(rows, leading=2),
    )


def _instruction_sets(how: Execution) -> Iterable[str]:
    return dict.fromkeys(kernel.isa for kernel in how.kernels if kernel.isa != "unknown")


def costs(frame: pd.DataFrame) -> Table:
    """frame: as of analysis.execution.costs."""
    machines = [labels.machine(row) for row in frame.to_dict("records")]
    return Table(
        title="Load time and memory",
        csv="costs.csv",
        note="Load: to load and compile a network, the mean over all networks and processes. Peak memory: the largest "
        "resident size of any process, in MB of 10⁶ bytes.",
        columns=("machine", "engine", "lane", "load, s", "peak memory, MB"),
        rows=without_repetition(
            rows_of(
                frame.assign(machine=machines),
                machine=text,
                engine=engine,
                precision=text,
                load_s=number("{:.2f}"),
                peak_memory_mb=number("{:.0f}"),
            ),
            leading=1,
        ),
    )
