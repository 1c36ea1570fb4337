"""Does pruning pay: each variant against its base, file by file and over all networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, isnan, nan

import pandas as pd

from sparsebench.analysis.compare import geometric_mean
from sparsebench.analysis.ratios import SPEEDUPS, UNPAIRED, Pair, Ratio, speedups
from sparsebench.analysis.results import CELL, FILE, MACHINE, Machine, Results, Row, table
from sparsebench.statistics.pairs import BASE
from sparsebench.statistics.verdicts import Compared, Verdict, verdicts

NOT_MEASURED = "not_measured"
"""In place of a verdict, where the variant or its base has no number."""

ALL_SPEEDUPS = {**SPEEDUPS, "lacks": "str", "because": "str"}
"""Columns of ``every``. lacks: the variant that has no number (itself, or base), and because: why (a key of REASONS, or
not_planned); both are empty where there is a ratio."""

MEANS: dict[str, str] = {
    **dict.fromkeys(MACHINE, "str"),
    "emulated": "bool",
    "variant": "str",
    "engine": "str",
    "precision": "str",
    **dict.fromkeys(["ratio", "low", "high", "family_low", "family_high"], "float64"),
    "verdict": "str",
    "p": "float64",
    "entered": "int64",
    "planned": "int64",
    "paired": "bool",
    "over": "str",
}
"""Columns of ``means``: one row a machine, variant, engine and precision. ratio: the geometric mean over the networks
that entered (those with an interval; where none has, those with a ratio) of those that were planned. paired: all of
them were timed in the same rounds as their base."""


def every(measured: Mapping[Pair, Ratio], results: Results, target: float | None) -> pd.DataFrame:
    """One row a machine and planned variant, engine and precision (columns: ALL_SPEEDUPS)."""
    known = speedups(measured, target).assign(lacks="", because="")
    has = set(known[CELL].itertuples(index=False, name=None))
    absent = [row for row in _planned(results) if tuple(row[name] for name in CELL) not in has]
    empty = {"ratio": nan, "verdict": NOT_MEASURED, "over": "", "processes": 0, "disturbed_processes": 0, "rounds": 0}
    frame = pd.DataFrame([*known.to_dict("records"), *({**empty, **row} for row in absent)], columns=list(ALL_SPEEDUPS))
    return table(frame.to_dict("records"), ALL_SPEEDUPS)  # type: ignore[arg-type]


def _planned(results: Results) -> list[Row]:
    """Every planned variant but base, with what it lacks and why."""
    rows: list[Row] = []
    for machine, cells, missing in results.by_machine():
        reasons = {tuple(row): "" for row in cells[[*FILE, "engine", "precision"]].itertuples(index=False, name=None)}
        for *cell, reason in missing[[*FILE, "engine", "precision", "reason"]].itertuples(index=False, name=None):
            reasons.setdefault(tuple(cell), reason)
        for (network, variant, engine, precision), reason in reasons.items():
            if variant != BASE:
                of_base = reasons.get((network, BASE, engine, precision), "not_planned")
                lacks, because = (variant, reason) if reason else (BASE, of_base)
                rows.append(
                    {
                        **machine._asdict(),
                        "network": network,
                        "variant": variant,
                        "engine": engine,
                        "precision": precision,
                        "lacks": lacks,
                        "because": because,
                    }
                )
    return rows


_Group = tuple[Machine, str, str, str]
"""Machine, variant, engine and precision."""


def means(measured: Mapping[Pair, Ratio], rows: pd.DataFrame) -> pd.DataFrame:
    """Over the networks of each machine, variant, engine and lane (columns: MEANS). The family of verdicts: all of a
    machine and lane. rows: as of ``every``."""
    groups: dict[_Group, list[Ratio]] = {}
    for pair, ratio in measured.items():
        if not pair.same_file:
            key: _Group = (pair.machine, pair.a.variant, pair.a.engine, pair.a.precision)
            groups.setdefault(key, []).append(ratio)
    chosen = {
        key: [ratio for ratio in ratios if isfinite(ratio.log.error)]
        or [ratio for ratio in ratios if not isnan(ratio.log.mean)]
        for key, ratios in groups.items()
    }
    combined: dict[object, dict[_Group, Compared]] = {}
    for key, ratios in chosen.items():
        combined.setdefault((key[0], key[3]), {})[key] = geometric_mean([ratio.compared for ratio in ratios])
    judged = {key: verdict for family in combined.values() for key, verdict in verdicts(family).items()}
    planned = rows.groupby([*MACHINE, "variant", "engine", "precision"]).size().to_dict()
    return table(
        [
            {
                **machine._asdict(),
                "variant": variant,
                "engine": engine,
                "precision": precision,
                "ratio": verdict.ratio,
                "low": verdict.low if isfinite(verdict.high) else nan,
                "high": verdict.high if isfinite(verdict.high) else nan,
                **_said(verdict, chosen[machine, variant, engine, precision]),
                "planned": planned[(*machine, variant, engine, precision)],
            }
            for (machine, variant, engine, precision), verdict in judged.items()
        ],
        MEANS,
    )


def _said(verdict: Verdict, ratios: Sequence[Ratio]) -> Row:
    paired = all(ratio.paired for ratio in ratios)
    return {
        "family_low": verdict.family_low if paired else nan,
        "family_high": verdict.family_high if paired else nan,
        "verdict": verdict.kind if paired else UNPAIRED,
        "p": verdict.p if paired else nan,
        "entered": len(ratios),
        "paired": paired,
        "over": " or ".join(sorted({ratio.over for ratio in ratios})),
    }
