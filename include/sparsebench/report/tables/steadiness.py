"""Which cells scatter by more than all else."""

from __future__ import annotations

import pandas as pd

from sparsebench.analysis.steadiness import TIMES_USUAL, UNSTEADY
from sparsebench.report import labels
from sparsebench.report.tables.formatting import Table, text

CSV = "steadiness.csv"


def unsteady(cells: pd.DataFrame) -> Table | None:
    """None where all are steady. cells: as of analysis.steadiness.CELLS."""
    rows = cells[cells["unsteady"]].to_dict("records")
    if not rows:
        return None
    return Table(
        title="Unsteady from block to block",
        csv=CSV,
        note="Cells whose blocks scatter about the mean of their process by a standard deviation of more than "
        f"{labels.share(UNSTEADY)}, and more than {TIMES_USUAL} times the median of the network's other cells. What "
        "the host does not show, such as neighbours in its caches, slows them more than the rest; at another time "
        "their ratios can differ by more than their intervals.",
        columns=("machine", "network", "variant", "engine", "lane", "scatter", "others"),
        rows=[
            [
                text(labels.machine(row)),
                text(labels.network(row["network"])),
                text(labels.VARIANT_LABELS[row["variant"]]),
                text(labels.engine(row["engine"])),
                text(row["precision"]),
                (labels.share(row["scatter"]), "number"),
                (labels.share(row["usual"]), "number"),
            ]
            for row in rows
        ],
    )
