"""Every pair of engines, with interval and verdict; and each engine's native precision against fp32."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparsebench.analysis.results import MACHINE
from sparsebench.contracts import Execution
from sparsebench.report import labels
from sparsebench.report.tables.formatting import Cell, Table, engine, network, short, text, variant, without_repetition
from sparsebench.statistics.verdicts import EQUIVALENT_WITHIN, MIN_PROCESSES

CSV = "ratios.csv"

VERDICTS = (
    "Faster or slower: a test of the ratio says so at 5 % for all of the table's pairs together (Holm). Equivalent: "
    f"the whole interval lies within {labels.within(EQUIVALENT_WITHIN, 0)}. Undecided: neither; if the pair's own "
    "interval leaves out 1 all the same, the wider one that holds for all pairs together does not (family_low, "
    f"family_high in ratios.csv). Too few: fewer than {MIN_PROCESSES} processes; disturbed: so few undisturbed ones. "
    "Known to: half of the interval, and the target where it was not reached."
)


def pairs(ratios: pd.DataFrame, target: float | None, sample_note: str) -> Table:
    """ratios: of one machine and lane."""
    return Table(
        title=f"Engine against engine on {labels.machine(ratios.iloc[0])}",
        csv=CSV,
        note="The first engine's throughput over the second's, paired round by round: the geometric mean over the "
        f"{_units(ratios)} (its 95 % interval). The verdict is on the first engine. {VERDICTS} "
        f"Rounds: those that entered, of those in which both were timed. {sample_note}",
        columns=("network", "variant", "engines", "ratio", "verdict", "known to", "processes", "rounds"),
        rows=without_repetition(
            [
                [
                    network(row["network"]),
                    variant(row["variant"]),
                    short(f"{labels.engine(row['engine_a'])} / {labels.engine(row['engine_b'])}"),
                    *_numbers(row, target),
                    (str(row["processes"]), "number"),
                    (_rounds(row), "number"),
                ]
                for row in ratios.to_dict("records")
            ],
            leading=2,
        ),
    )


def native(
    ratios: pd.DataFrame,
    executions: Mapping[tuple[object, ...], Execution],
    errors: Mapping[tuple[object, ...], float],
    target: float | None,
) -> Table:
    """ratios: of each engine in its native precision to itself in fp32, on one machine; executions, errors: by the CELL
    columns."""
    rows = []
    for row in ratios.to_dict("records"):
        cell = (*(row[name] for name in MACHINE), row["network"], row["variant"], row["engine_a"], "native")
        rows.append(
            [
                network(row["network"]),
                variant(row["variant"]),
                engine(row["engine_a"]),
                *_numbers(row, target),
                text(labels.shares(executions[cell].precisions) if cell in executions else "not told"),
                ("" if pd.isna(errors.get(cell)) else f"{errors[cell]:.1e}", "number"),
            ]
        )
    return Table(
        title=labels.machine(ratios.iloc[0]),
        csv=CSV,
        note="Throughput in the engine's own choice of precision over that in fp32, the geometric mean over the "
        f"{_units(ratios)} (its 95 % interval). The verdict is on the former. {VERDICTS} Computed in: shares of the "
        "time of all operators, as the engine tells. Output error: the largest difference from ONNX Runtime's fp32 "
        "output over the largest logit, of the worst image.",
        columns=(
            "network",
            "variant",
            "engine",
            "native / f32",
            "verdict",
            "known to",
            "computed in",
            "output error",
        ),
        rows=without_repetition(rows, leading=2),
    )


def _numbers(row: dict[Any, Any], target: float | None) -> list[Cell]:
    """Ratio, verdict, and how well it is known."""
    width = "" if pd.isna(row["half_width"]) else labels.within(row["half_width"])
    unconverged = row["converged"] is not pd.NA and not row["converged"]
    known: Cell = (width, "number")
    if target is not None and unconverged:
        known = (f"{width or 'unknown'} > {labels.within(target)}", "number open")
    return [(labels.ratio(row), "number"), short(labels.verdict(row)), known]


def _rounds(row: dict[Any, Any]) -> str:
    entered, excluded = row["rounds"], row["excluded_rounds"]
    return str(entered) if pd.isna(excluded) or not excluded else f"{entered} of {entered + excluded}"


def _units(ratios: pd.DataFrame) -> str:
    return " or ".join(dict.fromkeys(ratios["over"]))
