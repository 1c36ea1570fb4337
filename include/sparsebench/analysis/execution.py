"""How the engines compute: kernels, precisions, load time, memory, and how far their output is from the reference."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from sparsebench.analysis.models import MB
from sparsebench.analysis.order import ordered
from sparsebench.analysis.results import CELL, MACHINE, Measured, Results, grouped
from sparsebench.contracts import Execution

Key = tuple[object, ...]


def executions(results: Results) -> dict[Key, Execution]:
    """How each cell is computed, by its CELL columns and in their order; as the first host that tells does it."""
    executions: dict[Key, Execution] = {}
    for machine, trial in results.trials:
        if trial.execution:
            cell = trial.cell
            executions.setdefault((*machine, cell.network, cell.variant, cell.engine, cell.precision), trial.execution)
    return {key: executions[key] for key in results.cells[CELL].itertuples(index=False, name=None) if key in executions}


def kernels(trials: Iterable[Measured]) -> pd.DataFrame:
    """One row a kernel, the largest share of each cell first: the CELL columns, host, source, kernel, computes_in (its
    precision), isa, count (operators), time_share (a fraction). Of every host that tells."""
    rows = [
        {
            **machine._asdict(),
            **trial.cell.model_dump(),
            "host": trial.instance_id,
            "source": trial.execution.source,
            "kernel": kernel.name,
            "computes_in": kernel.precision,
            **kernel.model_dump(include={"isa", "count", "time_share"}),
        }
        for machine, trial in trials
        if trial.execution
        for kernel in trial.execution.kernels
    ]
    columns = [*CELL, "host", "source", "kernel", "computes_in", "isa", "count", "time_share"]
    return ordered(pd.DataFrame(rows, columns=columns))


def costs(results: Results) -> pd.DataFrame:
    """One row a machine, engine and lane: the MACHINE columns, engine, precision, load_s (the mean over all networks'
    processes), peak_memory_mb (the largest of them), output_error (the worst)."""
    groups = results.repeats.groupby([*MACHINE, "engine", "precision"], sort=False)
    costs = groups.agg(
        load_s=("load_s", "mean"), peak_memory_mb=("peak_memory_bytes", "max"), output_error=("output_error", "max")
    ).reset_index()
    return ordered(costs.assign(peak_memory_mb=costs["peak_memory_mb"] / MB))


def output_errors(results: Results) -> dict[Key, float]:
    """The worst relative difference of each cell's output from the reference, by its CELL columns."""
    return {key: repeats["output_error"].max() for key, repeats in grouped(results.repeats, CELL)}
