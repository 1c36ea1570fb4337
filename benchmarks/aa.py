"""How often equals are called different, by the report's own rule: each engine against itself under another name, or,
with ``--files``, a file against itself as two variants of its network.

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
    files: Annotated[bool, typer.Option("--files", help="twins of files, in place of engines")] = False,
    engines_: Annotated[str, typer.Option("--engines", help="names, with commas")] = ",".join(ENGINES),
    quick: Annotated[bool, typer.Option("--quick", help="a pair of each engine on one network")] = False,
    seed: int = 0,
    json: Annotated[Path | None, typer.Option(help="write the table here too")] = None,
) -> None:
    """Count false verdicts on real engines."""
    measured = networks(Store(store), [name for name in networks_.split(",") if name], ("base", "pruned"))
    engines = engines_.split(",")
    if quick:
        measured, pairs = measured[:1], len(engines)
    # The budget is that of a file.
    chosen = protocols()[protocol].model_copy(update={"budget_s": budget / 2 if files else budget})
    rows: list[dict[str, Any]] = []
    for number in range(ceil(pairs / len(engines))):
        network = measured[number % len(measured)]
        CONSOLE.print(f"{len(rows)} of {pairs} pairs: {_counted(rows)}; next {network.name}", highlight=False)
        twins = {engine: _twins(engine, network.ref.variant, files) for engine in engines}
        measured_as = [twin for pair in twins.values() for twin in pair]
        names = list(dict.fromkeys(twin.engine for twin in measured_as))
        variants = list(dict.fromkeys(twin.variant for twin in measured_as))
        with TemporaryDirectory() as folder:
            blocks = by_treatment(measure(Path(folder), network, names, chosen, seed + number, variants))
        compared = {}
        for engine, (first, second) in twins.items():
            shared = list(log_ratios(blocks[first], blocks[second]).values())
            compared[engine] = Compared(estimate(shared), sum(map(len, shared)), len(shared))
        for engine, verdict in verdicts(compared).items():
            ratio = compared[engine]
            rows.append(
                {
                    "network": network.name,
                    "engine": engine,
                    "ratio": verdict.ratio,
                    "low": verdict.low,
                    "high": verdict.high,
                    "rounds": ratio.rounds,
                    "interval excludes 1": not verdict.low <= 1 <= verdict.high,
                    "verdict": verdict.kind,
                }
            )
    show(f"{len(rows)} pairs of twins by `{protocol}`: {_counted(rows)}", rows, json)


def _twins(engine: str, variant: str, files: bool) -> tuple[Treatment, Treatment]:
    if files:
        return Treatment("base", engine, "f32"), Treatment("pruned", engine, "f32")
    return Treatment(variant, engine, "f32"), Treatment(variant, f"{engine}.twin", "f32")


def _counted(rows: list[dict[str, Any]]) -> str:
    wrong = sum(row["verdict"] in ("faster", "slower") for row in rows)
    excluded = sum(row["interval excludes 1"] for row in rows)
    equivalent = sum(row["verdict"] == "equivalent" for row in rows)
    return f"{wrong} false verdicts, {excluded} intervals of 95 % without 1, {equivalent} called equivalent"


if __name__ == "__main__":
    typer.run(main)
