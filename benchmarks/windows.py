"""What a short measurement says of a longer one on the same host: a network is measured for a while, and of each number
of generations that follow each other it is counted how often their interval holds what the whole record says.

PYTHONPATH=include .envs/bench/bin/python -m benchmarks.windows --network mobilenetv1 --minutes 20
"""

from __future__ import annotations

from math import exp
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from benchmarks.common import CONSOLE, NIGHT, networks, show
from sparsebench.bench.host import host_facts
from sparsebench.bench.runner import run
from sparsebench.bench.terminal import live
from sparsebench.catalog import protocols
from sparsebench.contracts import BenchRequest, Trial
from sparsebench.errors import BadInput
from sparsebench.statistics.generations import compare
from sparsebench.statistics.intervals import estimate
from sparsebench.statistics.pairs import Logs, by_treatment, log_ratios, logs, pair_name, pairs
from sparsebench.store import Store

JOB = "windows"
ENGINES = "onnxruntime,openvino,deepsparse"


def main(
    store: Annotated[str, typer.Option(help="of the models")] = Path(".sparsebench/store").resolve().as_uri(),
    network: Annotated[str, typer.Option(help="name; its base and pruned files are measured")] = "",
    engines: Annotated[str, typer.Option(help="names, with commas")] = ENGINES,
    minutes: Annotated[float, typer.Option(help="machine time of the record")] = 20,
    windows: Annotated[str, typer.Option(help="numbers of generations, with commas")] = "6,8,12,20",
    record: Annotated[Path | None, typer.Option(help="folder to keep the record in; one that is there is used")] = None,
    json: Annotated[Path | None, typer.Option(help="write the table here too")] = None,
) -> None:
    """Say how often a short measurement's intervals hold what a long one says."""
    with TemporaryDirectory() as folder:
        trials = _record(Store(store), network, engines.split(","), minutes, (record or Path(folder)).resolve())
    blocks = by_treatment(trials)
    generations = compare([{treatment: logs(of_treatment) for treatment, of_treatment in blocks.items()}])
    sizes = [int(size) for size in windows.split(",")]
    if generations.number <= max(sizes):
        raise BadInput(f"--minutes: the record has {generations.number} generations; expected more than {max(sizes)}")
    rows = [_row(pair_name(a, b), log_ratios(blocks[a], blocks[b]), sizes) for a, b in pairs(sorted(blocks))]
    kept = f"the slowest had {generations.slowest:.0%} of the fastest's speed"
    show(f"{generations.number} generations, of which {kept}", rows, json)


def _record(models: Store, network: str, engines: list[str], minutes: float, folder: Path) -> list[Trial]:
    """The trials of one long job by ``quick``, with as many generations as there is time for."""
    kept, host = Store(folder.as_uri()), host_facts()
    if not (trials := kept.trials(NIGHT, host.instance_type, JOB)):
        files = networks(models, [network] if network else [], ("base", "pruned"))
        if len({file.ref.network for file in files}) > 1:
            raise BadInput("--network: expected one, as its files are measured all the time")
        for file in files:
            kept.put_artifact(file.data)
        quick = protocols()["quick"]
        longest = {
            "target": 1e-6,
            "max_processes": 10_000,
            "max_rounds": quick.min_rounds,
            "budget_s": minutes * 60 / len(files),
        }
        request = BenchRequest(
            job=JOB,
            night=NIGHT,
            manifest=files[0].ref.artifact,  # nothing else is frozen here
            instance_type=host.instance_type,
            protocol=quick.model_copy(update=longest),
            models=tuple(file.ref for file in files),
            engines=tuple(engines),
            seed=0,
        )
        with live(CONSOLE) as audience:
            run(kept, request, host, audience)
        trials = kept.trials(NIGHT, host.instance_type, JOB)
    return trials


def _row(name: str, ratios: Logs, windows: list[int]) -> dict[str, Any]:
    """The ratio of the whole record, the smallest and largest of windows of the first size, and for each size how often
    a window's interval holds the whole's, with its median half width."""
    units = [ratios[unit] for unit in sorted(ratios)]
    whole = estimate(units).mean
    of_size = {size: [estimate(units[at : at + size]) for at in range(len(units) - size + 1)] for size in windows}
    means = [part.mean for part in of_size[windows[0]]]
    row: dict[str, Any] = {"ratio": name, "whole": exp(whole), "least": exp(min(means)), "most": exp(max(means))}
    for size, parts in of_size.items():
        row[f"{size} hold it"] = mean(low <= whole <= high for low, high in (part.interval() for part in parts))
        row[f"± of {size}"] = median(part.interval()[1] - part.mean for part in parts)
    return row


if __name__ == "__main__":
    typer.run(main)
