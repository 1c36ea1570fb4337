"""What a process of each engine costs before it can be timed, in CPU seconds: PYTHONPATH=include .envs/bench/bin/python
-m benchmarks.process_cost --networks mobilenetv1
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from benchmarks.common import networks, show
from sparsebench.bench.engines import ENGINES
from sparsebench.bench.host import host_facts
from sparsebench.store import Store

IN_A_PROCESS = """
import json, sys
from pathlib import Path
from time import process_time as cpu_s
from sparsebench.bench import worker
from sparsebench.bench.inputs import feeds_of, inputs_of
from sparsebench.bench.onnx_header import read_header
name, model, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
inputs = inputs_of(read_header(model.read_bytes(), name), name)
engine, moments = worker.ENGINES[name], [cpu_s()]
engine.import_library()
moments.append(cpu_s())
session = engine.load(model, inputs, threads, "f32", "latency")
moments.append(cpu_s())
for feeds in feeds_of(inputs):
    session.run(feeds)
moments.append(cpu_s())
print("MOMENTS", json.dumps(moments))
"""


def main(
    store: Annotated[str, typer.Option(help="of the models")] = Path(".sparsebench/store").resolve().as_uri(),
    networks_: Annotated[str, typer.Option("--networks", help="names, with commas; default: all in the store")] = "",
    json_file: Annotated[Path | None, typer.Option("--json", help="write the table here too")] = None,
) -> None:
    """Start one process of each engine on each file, and read its CPU time after each step."""
    rows = []
    threads = host_facts().threads
    for network in networks(Store(store), [name for name in networks_.split(",") if name], ("base", "pruned")):
        with TemporaryDirectory() as folder:
            model = Path(folder) / "model.onnx"
            model.write_bytes(network.data)
            for name in (name for name, engine in ENGINES.items() if not engine.times):
                arguments = [name, str(model), str(threads)]
                done = subprocess.run(
                    [sys.executable, "-c", IN_A_PROCESS, *arguments], capture_output=True, text=True, check=True
                )
                line = next(line for line in done.stdout.splitlines() if line.startswith("MOMENTS"))
                ours, imported, loaded, compared = json.loads(line.removeprefix("MOMENTS"))
                rows.append(
                    {
                        "network": network.name,
                        "engine": name,
                        "Python and ours": ours,
                        "import": imported - ours,
                        "load and compile": loaded - imported,
                        "eight images": compared - loaded,
                    }
                )
    show("CPU seconds of a process before it is timed", rows, json_file)


if __name__ == "__main__":
    typer.run(main)
