"""The study's procedure and ours, on one machine in one run: how narrow, how long, and what each says of equals.

    PYTHONPATH=include:benchmarks/twins .envs/bench/bin/python -m benchmarks.protocol --networks mobilenetv1

For each network: the study's (60 s five times, fixed order, no warm-up), then ours with a tenth of the machine time
that the study's took, then ours with all of it. Every engine is held to fp32, so that the same ratios are compared;
one engine takes part twice. The study has no intervals: it gets Student's, of the log ratios of its five runs.
"""

from __future__ import annotations

from itertools import combinations
from math import exp
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from benchmarks.common import CONSOLE, measure, networks, show
from sparsebench.bench.stopping import machine_s
from sparsebench.catalog import protocols
from sparsebench.contracts import Protocol, Trial
from sparsebench.statistics.intervals import estimate, half_width
from sparsebench.statistics.pairs import by_treatment, log_ratios
from sparsebench.statistics.verdicts import Compared, verdicts
from sparsebench.store import Store

STUDY, STANDARD = protocols()["study"], protocols()["standard"]


def main(
    store: Annotated[str, typer.Option(help="of the models")] = Path(".sparsebench/store").resolve().as_uri(),
    networks_: Annotated[str, typer.Option("--networks", help="names, with commas; default: all in the store")] = "",
    variants: str = "pruned",
    engines: Annotated[str, typer.Option(help="names, with commas")] = (
        "onnxruntime,onnxruntime.twin,openvino,deepsparse,deepsparse.benchmark"
    ),
    seconds: Annotated[float, typer.Option(help="of each of the study's runs")] = STUDY.block_s,
    quick: Annotated[bool, typer.Option("--quick", help="one network, runs of 6 s")] = False,
    seed: int = 0,
    json: Annotated[Path | None, typer.Option(help="write the table here too")] = None,
) -> None:
    """Compare the protocols `study` and `standard`."""
    measured = networks(Store(store), [name for name in networks_.split(",") if name], variants.split(","))
    study = STUDY.model_copy(update={"precisions": ("f32",), "block_s": 6 if quick else seconds})
    rows: list[dict[str, Any]] = []
    for network in measured[:1] if quick else measured:

        def trials_by(protocol: Protocol, what: str, network=network) -> list[Trial]:  # type: ignore[no-untyped-def]
            CONSOLE.rule(f"{network.name}, {what}")
            with TemporaryDirectory() as folder:
                return measure(Path(folder), network, engines.split(","), protocol, seed)

        study_trials = trials_by(study, "the study's procedure")
        spent_s = machine_s(study_trials)

        def enter(name: str, trials: list[Trial], network=network) -> None:  # type: ignore[no-untyped-def]
            new_rows = _rows(network.name, name, trials)
            show(f"{network.name}, {name}", new_rows, None)  # what comes next takes long
            rows.extend(new_rows)

        enter("study", study_trials)
        for part, name in ((10, "ours, a tenth of its time"), (1, "ours, its time")):
            ours = trials_by(_standard(spent_s / part, STANDARD.target if part > 1 else 1e-6), name)
            enter(name, ours)
    show("Ratios of throughputs, 95 % intervals", rows, json)


def _standard(budget_s: float, target: float | None) -> Protocol:
    """`standard` in one lane with this much machine time; a target that is out of reach uses all of it."""
    return STANDARD.model_copy(
        update={"precisions": ("f32",), "budget_s": budget_s, "target": target, "max_processes": 100}
    )


def _rows(network: str, procedure: str, trials: list[Trial]) -> list[dict[str, Any]]:
    blocks = by_treatment(trials)
    compared = {}
    for a, b in combinations(blocks, 2):
        shared = list(log_ratios(blocks[a], blocks[b]).values())
        compared[a.engine, b.engine] = Compared(estimate(shared), sum(map(len, shared)), len(shared))
    judged = verdicts(compared)
    return [
        {
            "network": network,
            "procedure": procedure,
            "machine s": round(machine_s(trials)),
            "pair": f"{a} / {b}",
            "ratio": exp(ratio.log.mean),
            "±": f"{half_width(ratio.log):.1%}",
            "processes": int(ratio.log.freedom) + 1,
            "rounds": ratio.rounds,
            "verdict": judged[a, b].kind,
        }
        for (a, b), ratio in compared.items()
    ]


if __name__ == "__main__":
    typer.run(main)
