"""Many instance types in one sweep: how many instances live at a time, and what Airflow takes between the steps.

    .venv/bin/python -m benchmarks.many_types --types 50 --live 8

A copy of the project whose catalog has so many more instance types sweeps a tiny network over all of them, on the
emulated cloud: real Airflow, real commands, ONNX Runtime alone, protocol `quick`.
"""

from __future__ import annotations

import json as json_
import os
import shutil
import subprocess
import sys
import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from tests.support.tiny import register, tiny_network

PROJECT = Path(__file__).parents[1]
COPIED = ("dags", "plugins", "include", "pyproject.toml", "README.md")
STEPS = ("scope", "launch", "agent", "prepare", "work", "terminate")


def main(
    types: Annotated[int, typer.Option(help="instance types, each with an instance")] = 50,
    live: Annotated[int, typer.Option(help="instances that may live at a time")] = 8,
    json: Annotated[Path | None, typer.Option(help="write the table here too")] = None,
) -> None:
    """Sweep many instance types at once."""
    with TemporaryDirectory(prefix="sparsebench-types-") as folder:
        copy = Path(folder) / "project"
        copy.mkdir()
        for name in COPIED:
            source = PROJECT / name
            ignore = shutil.ignore_patterns("__pycache__")
            (shutil.copytree(source, copy / name, ignore=ignore) if source.is_dir() else shutil.copy(source, copy))
        with (copy / "include/sparsebench/catalog/instance_types.yaml").open("a") as catalog:
            for number in range(types):
                catalog.write(f"- {{name: x{number:03}.xlarge, vcpus: 4, memory_gib: 16, prices: []}}\n")
        tiny_network(Path(folder))
        # The copy's own code: another process.
        command = [
            sys.executable,
            "-m",
            "benchmarks.many_types",
            "sweep",
            folder,
            str(types),
            str(live),
            str(json or ""),
        ]
        environment = os.environ | {"PYTHONPATH": str(copy / "include")}
        raise SystemExit(subprocess.run(command, env=environment, check=False).returncode)


def sweep(folder: Path, types: int, live: int, json: str) -> None:
    import boto3

    from sparsebench.local.api import FINISHED, AirflowApi
    from sparsebench.local.stack import USER, Stack
    from sparsebench.store import Store

    console = Console()
    environment = {
        "SPARSEBENCH_MAX_LIVE_INSTANCES": str(live),
        "SPARSEBENCH_STORE": (folder / "store").as_uri(),
        "SPARSEBENCH_BUDGET_USD": "",
    }
    with Stack(home=folder / "home", environment=environment, say=console.print) as stack:
        os.environ |= {name: stack.env[name] for name in stack.env if name.startswith("AWS_")}
        store, network = Store((folder / "store").as_uri()), (folder / "tiny.onnx").read_bytes()
        register(store, network, "base")
        api = AirflowApi(stack.url, USER, stack.password)
        api.wait_for_dags({"benchmark_sweep"})
        api.unpause("benchmark_sweep")
        asked = {
            "instance_types": [f"x{number:03}.xlarge" for number in range(types)],
            "engines": ["onnxruntime"],
            "budget_usd": None,
        }
        began = time.monotonic()
        run = api.trigger("benchmark_sweep", asked)
        ec2, most, reported_at = boto3.client("ec2"), 0, 0.0
        while (state := api.run_state("benchmark_sweep", run)) not in FINISHED:
            stack.check()
            pages = ec2.get_paginator("describe_instances").paginate(
                Filters=[{"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}]
            )
            alive = sum(len(reservation["Instances"]) for page in pages for reservation in page["Reservations"])
            most = max(most, alive)
            if time.monotonic() - reported_at > 30:
                reported_at = time.monotonic()
                done = sum(1 for path in store.paths("launches") if b'"ended_at": null' not in store.read(path))
                console.print(f"{reported_at - began:5.0f} s: {alive} alive, {done} of {types} done", highlight=False)
            time.sleep(1)
        took_s = time.monotonic() - began
        tasks = api.task_instances("benchmark_sweep", run)
    title = (
        f"{types} instance types, at most {live} at a time: {state} after {took_s / 60:.0f} min; "
        f"{most} instances alive at most"
    )
    rows = _overheads(tasks)
    table = Table("step", "after the one before: median s", "95 %", "from start to end: median s", title=title)
    for row in rows:
        table.add_row(row["step"], *(f"{row[key]:.1f}" for key in ("wait_s", "wait_95_s", "took_s")))
    console.print(table)
    if json:
        Path(json).write_text(json_.dumps({"title": title, "rows": rows}, indent=1) + "\n")
    if state != "success" or most > live:
        raise SystemExit(1)


def _overheads(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How long after the step before it each step began, over the instances. A launch may wait for others to end."""
    when: dict[tuple[str, int], tuple[float, float]] = {
        (task["task_id"].removeprefix("on_instance."), task["map_index"]): (
            datetime.fromisoformat(task["start_date"]).timestamp(),
            datetime.fromisoformat(task["end_date"]).timestamp(),
        )
        for task in tasks
        if task["start_date"] and task["end_date"]
    }
    rows = []
    for before, step in pairwise(STEPS):
        indexes = [index for name, index in when if name == step]
        waits = [when[step, index][0] - when[before, index][1] for index in indexes]
        took = [when[step, index][1] - when[step, index][0] for index in indexes]
        highest = quantiles(waits, n=20)[-1] if len(waits) > 1 else waits[0]
        rows.append({"step": step, "wait_s": median(waits), "wait_95_s": highest, "took_s": median(took)})
    return rows


if __name__ == "__main__":
    if sys.argv[1:2] == ["sweep"]:
        sweep(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
    else:
        typer.run(main)
