"""What disturbed the measurement."""

from __future__ import annotations

import pandas as pd

from sparsebench.contracts import MAX_FOREIGN_CORES, MAX_STOLEN_CORES
from sparsebench.report import labels
from sparsebench.report.tables.formatting import Cell, Table, text


def disturbance(frame: pd.DataFrame) -> Table:
    """frame: as of analysis.disturbance.by_machine."""
    return Table(
        title="What disturbed the measurement",
        csv="interference.csv",
        note="Of all blocks in all lanes. A block is disturbed, and enters nothing, when other processes took more "
        f"than {MAX_FOREIGN_CORES} of a core, the hypervisor took more than {MAX_STOLEN_CORES}, the CPU was throttled, "
        "or pages came from a disk. Each number: the mean, and what 95 % of the blocks stay below (of the frequency: "
        "above). Because: the median of the blocks that were so disturbed, and the most. Pressure: the fraction of the "
        "time in which some task waited for a CPU. Blank where a host does not tell.",
        columns=("machine", "blocks", "disturbed", "because", "foreign cores", "stolen cores", "pressure", "MHz"),
        rows=[
            [
                text(labels.machine(row)),
                (f"{row['blocks']:,}", "number"),
                (f"{row['disturbed_blocks']:,}", "number"),
                text("; ".join(map(labels.disturbed, row["disturbances"])) or "none"),
                _both(row, "foreign_cores", "p95", "{:.2f}"),
                _both(row, "stolen_cores", "p95", "{:.2f}"),
                _both(row, "pressure", "p95", "{:.3f}"),
                _both(row, "frequency_mhz", "p5", "{:.0f}"),
            ]
            for row in frame.to_dict("records")
        ],
    )


def _both(row: dict[object, float], name: str, end: str, pattern: str) -> Cell:
    mean, other = row[f"mean_{name}"], row[f"{end}_{name}"]
    return ("" if pd.isna(mean) else f"{pattern.format(mean)} ({pattern.format(other)})", "number")
