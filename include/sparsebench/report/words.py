"""The words that the page, the figures and the terminal share."""

from __future__ import annotations

import math
from typing import Any

from sparsebench import catalog
from sparsebench.analysis.compare import Comparison
from sparsebench.analysis.order import UNSTATED
from sparsebench.bench.engines import ENGINES

VARIANT_LABELS = {
    "base": "base",
    "pruned": "pruned",
    "pruned_int8": "pruned, INT8",
    "fake85": "fake 85\u00a0%",
    "fake99": "fake 99\u00a0%",
}

LANES = {
    "f32": "Lane f32: every engine is held to fp32.",
    "native": "Lane native: each engine's own choice of precision.",
    UNSTATED: "The table does not state the engines' precision.",
}


def engine(name: str) -> str:
    return ENGINES[name].label if name in ENGINES else name


def network(name: str) -> str:
    networks = catalog.networks()
    return networks[name].label if name in networks else name


def machine(row: Any) -> str:
    """The instance type with its CPU. An emulated one never passes for the type: it names the real CPU."""
    if row["emulated"]:
        return f"{row['instance_type']}, {emulated(row)}"
    return f"{row['instance_type']}, {row['cpu_model']}"


def emulated(row: Any) -> str:
    entry = catalog.instance_types().get(row["instance_type"])
    is_this_machine = entry is not None and entry.vcpus is None
    claim = "" if is_this_machine else f", not {row['instance_type']}"
    return f"emulated on {row['cpu_model']}{claim}"


def percent(ratio: float) -> str:
    """A change with its sign: 0.1215 is +12.15 %."""
    if math.isnan(ratio):
        return ""
    text = f"{ratio * 100:+.2f} %"
    return text.replace("-", "−")


def faster(a: str, ratio: float, b: str) -> str:
    """0.12 is "a is 12.00 % faster than b"."""
    size = f"{abs(ratio) * 100:.2f}"
    if size == "0.00":
        return f"{a} is as fast as {b}"
    return f"{a} is {size} % {'faster' if ratio > 0 else 'slower'} than {b}"


def headline(found: Comparison) -> str:
    """A comparison in plain words, the exceptions and the emulated machines included."""
    a, b = engine(found.a), engine(found.b)
    machines = found.machines.to_dict("records")
    if len(machines) == 1:
        where = f"on {machine(machines[0])}"
    else:
        types = len(set(found.machines["instance_type"]))
        what = "instance types" if types == len(machines) else f"machines of {types} instance types"
        where = f"on average over {len(machines)} {what}"
    cells, cells_any = found.machines["cells"].sum(), found.machines["cells_any"].sum()
    said = [
        f"{faster(a, found.study, b)} {where}, by the study's rule over {cells} of {cells_any} cells.",
        f"By geometric mean, {faster(a, found.geometric, b)}.",
    ]
    for row in machines:
        if row["study"] * found.study < 0:
            other = faster(b, 1 / (1 + row["study"]) - 1, a)
            said.append(f"Not so on {row['instance_type']}: {faster(a, row['study'], b)} there, which is: {other}.")
    if len(machines) > 1:
        said += [f"Note: {row['instance_type']} is {emulated(row)}." for row in machines if row["emulated"]]
    return " ".join(said)
