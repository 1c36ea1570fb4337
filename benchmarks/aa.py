"""How often equals are called different: each engine against itself under another name, by the report's own rule.

PYTHONPATH=include:benchmarks/twins .envs/bench/bin/python -m benchmarks.aa --networks mobilenetv1 --pairs 40
"""

from __future__ import annotations

from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from benchmarks.common import CONSOLE, measure, networks, show
from sparsebench.catalog import protocols
from sparsebench.statistics.intervals import estimate
from sparsebench.statistics.pairs import Treatment, by_treatment, log_ratios
from sparsebench.statistics.verdicts import Compared, verdicts
from sparsebench.store import Store

ENGINES = ("onnxruntime", "openvino", "deepsparse")


def main(
    store: Annotated[str, typer.Option(help="of the models")] = Path(".sparsebench/store").resolve().as_uri(),
    networks_: Annotated[str, typer.Option("--networks", help="names, with commas; default: all in the store")] = "",
    protocol: str = "quick",
    budget: Annotated[float, typer.Option(help="machine seconds of a network: six processes measure in turns")] = 120,
    pairs: Annotated[int, typer.Option(help="at least so many pairs of twins")] = 42,
    quick: Annotated[bool, typer.Option("--quick", help="three pairs of one network")] = False,
    seed: int = 0,
    json: Annotated[Path | None, typer.Option(help="write the table here too")] = None,
) -> None:
    """Count false verdicts on real engines."""
    measured = networks(Store(store), [name for name in networks_.split(",") if name], ("base", "pruned"))
    if quick:
        measured, pairs = measured[:1], len(ENGINES)
    chosen = protocols()[protocol].model_copy(update={"budget_s": budget})
    engines = [name for engine in ENGINES for name in (engine, f"{engine}.twin")]
    rows: list[dict[str, Any]] = []
    for number in range(ceil(pairs / len(ENGINES))):
        network = measured[number % len(measured)]
        CONSOLE.print(f"{len(rows)} of {pairs} pairs: {_counted(rows)}; next {network.name}", highlight=False)
        with TemporaryDirectory() as folder:
            blocks = by_treatment(measure(Path(folder), network, engines, chosen, seed + number))
        compared = {}
        for engine in ENGINES:
            twins = (Treatment(network.ref.variant, name, "f32") for name in (engine, f"{engine}.twin"))
            shared = list(log_ratios(*(blocks[twin] for twin in twins)).values())
            compared[engine] = Compared(estimate(shared), sum(map(len, shared)), len(shared))
        for engine, verdict in verdicts(compared).items():
            ratio = compared[engine]
            rows.append(
                {
                    "network": network.name,
                    "engine against itself": engine,
                    "ratio": verdict.ratio,
                    "low": verdict.low,
                    "high": verdict.high,
                    "rounds": ratio.rounds,
                    "interval excludes 1": not verdict.low <= 1 <= verdict.high,
                    "verdict": verdict.kind,
                }
            )
    show(f"{len(rows)} pairs of twins by `{protocol}`: {_counted(rows)}", rows, json)


def _counted(rows: list[dict[str, Any]]) -> str:
    wrong = sum(row["verdict"] in ("faster", "slower") for row in rows)
    excluded = sum(row["interval excludes 1"] for row in rows)
    equivalent = sum(row["verdict"] == "equivalent" for row in rows)
    return f"{wrong} false verdicts, {excluded} intervals of 95 % without 1, {equivalent} called equivalent"


if __name__ == "__main__":
    typer.run(main)
