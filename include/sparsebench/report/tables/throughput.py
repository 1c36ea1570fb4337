"""Networks and variants of one machine down, engines across."""

from __future__ import annotations

from typing import Any

import pandas as pd

from sparsebench.analysis import csvfile
from sparsebench.analysis.findings import OfMachine
from sparsebench.analysis.order import UNSTATED, ordered
from sparsebench.analysis.ratios import slower
from sparsebench.analysis.results import FILE, Results
from sparsebench.report import words
from sparsebench.report.tables.form import Cell, Table, csv, network, variant

TIED = "≈ "
NBSP = "\u00a0"


def repeats_csv(results: Results) -> bytes:
    """Every throughput, in the form of the study's CSV: ``sparsebench report --csv`` draws it again."""
    frame = results.repeats.rename(columns={"network": "model"})
    given = [name for name in csvfile.COLUMNS if name != "precision" or UNSTATED not in results.lanes]
    return csv(frame[given])


def throughput(of: OfMachine, csv_name: str, basis: str) -> Table:
    """The fastest of each row is marked, and so is what is not shown to be slower than it."""
    cells, missing, ratios = of.cells, of.missing, of.ratios
    both = ordered(pd.concat([frame[[*FILE, "engine"]] for frame in (cells, missing)]))
    engines = list(dict.fromkeys(ordered(both[["engine"]].drop_duplicates())["engine"]))
    known_cells = {(row["network"], row["variant"], row["engine"]): row for row in cells.to_dict("records")}
    reasons = missing.set_index([*FILE, "engine"])["reason"].to_dict()
    known, beaten = ratios["low"].notna().any(), slower(ratios)
    rows = []
    for name, as_ in both[FILE].drop_duplicates().itertuples(index=False, name=None):
        rates = {engine: known_cells[name, as_, engine] for engine in engines if (name, as_, engine) in known_cells}
        best = max(rates, key=lambda engine: rates[engine]["mean_img_s"], default="")
        row: list[Cell] = [network(name), variant(as_)]
        for engine in engines:
            if engine not in rates:
                reason = reasons.get((name, as_, engine), "not planned")
                row.append((words.reason(reason), "absent"))
            elif engine == best:
                row.append(_cell(rates[engine], " best"))
            else:
                row.append(_cell(rates[engine], mark=TIED if known and engine not in beaten.get((name, as_, best), ()) else ""))
        rows.append(row)
    marks = (
        f"Bold: the fastest of the row by its mean. “{TIED.strip()}”: not shown to be slower than that."
        if known
        else "Bold: the largest number of the row. There are no intervals, so that it is the fastest is not shown."
    )
    return Table(
        title=words.machine(of.machine),
        csv=csv_name,
        note=f"img/s: the geometric mean over the processes (its 95 % interval). {marks} “% ops”: so much of the "
        f"network the engine ran itself; it handed the rest to another engine. {basis}",
        columns=("network", "variant", *map(words.engine, engines)),
        rows=rows,
    )


def _cell(cell: Any, kind: str = "", mark: str = "") -> Cell:
    shown = mark + words.rate(cell["mean_img_s"])
    if not pd.isna(cell["low_img_s"]):
        shown += f" ({words.rate(cell['low_img_s'])}–{words.rate(cell['high_img_s'])})"
    if cell["supported_ops"] < 1:
        return f"{shown.replace(' ', NBSP)} [{cell['supported_ops'] * 100:.1f} % ops]", f"number wide{kind}"
    return shown, f"number{kind}"
