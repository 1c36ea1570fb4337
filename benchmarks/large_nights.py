"""What a large night costs to report: time, memory at its peak, requests, and the size of its page.

    .venv/bin/python -m benchmarks.large_nights --types 6
    .venv/bin/python -m benchmarks.large_nights --types 6 --s3 --delay-ms 20
    .venv/bin/python -m benchmarks.large_nights --types 1000 --networks 1 --processes 2

A made-up night of so many instance types, files and processes, sealed as a report leaves it. Each step is a process of
its own, whose CPU seconds and memory are its own; with --s3 the store is a bucket of the emulated cloud, on which each
request takes so much longer.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import numpy as np
import typer
from tests.golden import FOLDER

from benchmarks.made_up import card, host
from benchmarks.places import Place, place
from sparsebench import catalog
from sparsebench.analysis import columns
from sparsebench.contracts import Manifest, Trial, Variant, sha256
from sparsebench.store import Store

NIGHT = "2026-11-24"
ENGINES = ("deepsparse", "deepsparse.benchmark", "onnxruntime", "openvino")
VARIANTS: tuple[Variant, ...] = ("base", "pruned", "fake85", "fake99")
SPREAD = 0.02
"""Of a process's log throughput."""

STEP = """
import json, resource, sys, time
from sparsebench.report import build
from sparsebench.store import Store
from benchmarks.places import Requests
requests = Requests()
store = Store(sys.argv[2])
import sparsebench.report.assembly
wall, cpu = time.perf_counter(), time.process_time()
files = build(store, sys.argv[3])
told = {
    "wall_s": round(time.perf_counter() - wall, 1),
    "cpu_s": round(time.process_time() - cpu, 1),
    "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    "page_mb": round(len(files["index.html"]) / 1e6, 2),
    "requests": requests.number,
}
print(json.dumps(told))
"""


def main(
    types: Annotated[int, typer.Option(min=1)] = 6,
    networks: Annotated[int, typer.Option(min=1, max=7, help="four files each; of seven, five more")] = 7,
    processes: Annotated[int, typer.Option(min=2)] = 6,
    s3: Annotated[bool, typer.Option(help="the store is a bucket of the emulated cloud")] = False,
    delay_ms: Annotated[float, typer.Option(help="that each request to it takes longer")] = 20,
) -> None:
    """Make the night, and report it twice: from single objects, and sealed."""
    with place(s3, delay_ms) as where:
        store = Store(where.uri)
        count = _fill(store, types, networks, processes)
        where.slow_down()
        print(f"{types} types, {count} trials, {'S3' if s3 else 'folder'}", flush=True)
        print("objects", _step(where), flush=True)
        columns.seal(store, NIGHT)
        print("sealed ", _step(where), flush=True)


def _step(where: Place) -> Any:
    command = [sys.executable, "-c", STEP, "build", where.uri, NIGHT]
    return json.loads(subprocess.check_output(command, text=True).splitlines()[-1])


def _fill(store: Store, types: int, networks: int, processes: int) -> int:
    """Put the night into a store; how many trials it has."""
    names = list(catalog.networks())[:networks]
    files = [(network, variant) for network in names for variant in VARIANTS]
    files += [(f"own-{number}", "base") for number in range(5)] if networks == 7 else []
    cards = [card(network, variant) for network, variant in files]
    store.freeze(
        Manifest.freeze(
            night=NIGHT,
            frozen_at=datetime(2026, 11, 24, tzinfo=UTC),
            protocol=catalog.protocols()["quick"],
            models=tuple(cards),
            image="ami",
            payload=sha256(b""),
            bench_lock=sha256(b""),
        )
    )
    rng, count = np.random.default_rng(1), 0
    of_file = Trial.from_json((FOLDER / "Trial" / "1.json").read_bytes())
    for number in range(types):
        instance_type = f"x{number}.xlarge"
        store.put_host(NIGHT, host(instance_type))
        for model in cards:
            for engine in ENGINES:
                for generation in range(processes):
                    times = float(np.exp(rng.normal(0, SPREAD)))
                    cell = of_file.cell.model_copy(
                        update={
                            "instance_type": instance_type,
                            "network": model.network,
                            "variant": model.variant,
                            "engine": engine,
                        }
                    )
                    blocks = tuple(
                        block.model_copy(update={"seconds": block.seconds * times}) for block in of_file.blocks
                    )
                    changes = {"cell": cell, "night": NIGHT, "generation": generation, "artifact": model.artifact}
                    changes |= {"blocks": blocks, "job": f"job-{number}", "instance_id": "i-1"}
                    store.put_trial(of_file.model_copy(update=changes))
                    count += 1
    return count


if __name__ == "__main__":
    typer.run(main)
