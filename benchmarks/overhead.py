"""What the harness costs: its throughput against a bare loop over the same engine, in the same process.

    PYTHONPATH=include .envs/bench/bin/python -m benchmarks.overhead --networks mobilenetv1

loop: ten inferences by the runner's timing, then ten by a loop that only counts, and so on, in random order; the ratio
of their throughputs. pause: a block after the process was stopped as it is while others have their turn, against a
block after none; what the settling time is to make up for.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from math import exp, log
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.common import loaded_in_child, networks, show
from sparsebench.bench.engines import ENGINES
from sparsebench.bench.engines.base import Session
from sparsebench.bench.inputs import Feeds
from sparsebench.catalog import protocols
from sparsebench.statistics.intervals import Estimate, estimate, half_width
from sparsebench.store import Store

INFERENCES = 10
UNITS = 10
"""Into which the pairs are cut: neighbours are no independent samples."""
PROTOCOL = protocols()["standard"]
PAUSE_S = 3 * (PROTOCOL.settle_s + PROTOCOL.block_s)
"""While three other engines have their turn."""


def main(
    store: Annotated[str, typer.Option(help="of the models")] = Path(".sparsebench/store").resolve().as_uri(),
    networks_: Annotated[str, typer.Option("--networks", help="names, with commas; default: all in the store")] = "",
    variants: str = "base",
    loop_seconds: Annotated[float, typer.Option(help="for the comparison of an engine with the bare loop")] = 60,
    pause_seconds: Annotated[float, typer.Option(help="for the one after a pause with the one after none")] = 60,
    quick: Annotated[bool, typer.Option("--quick", help="5 s for each")] = False,
    seed: int = 0,
    json: Annotated[Path | None, typer.Option(help="write the table here too")] = None,
) -> None:
    """Compare the harness with a bare loop, for each engine."""
    measured = networks(Store(store), [name for name in networks_.split(",") if name], variants.split(","))
    rows: list[dict[str, Any]] = []
    for network in measured[:1] if quick else measured:
        for engine in ENGINES:
            with TemporaryDirectory() as folder:
                file = Path(folder) / "model.onnx"
                file.write_bytes(network.data)
                durations = (5.0, 5.0) if quick else (loop_seconds, pause_seconds)
                loop, pause = _in_child(file, engine, durations, seed)
            rows.append(
                {
                    "network": network.name,
                    "engine": engine,
                    "runner / bare loop": exp(loop.mean),
                    "±": f"{half_width(loop):.2%}",
                    "after / without pause": exp(pause.mean),
                    "± ": f"{half_width(pause):.2%}",
                }
            )
    show("The harness against a bare loop (95 % intervals)", rows, json)


def _in_child(file: Path, engine: str, durations: tuple[float, float], seed: int) -> tuple[Estimate, Estimate]:
    """Both comparisons, in a process that this one can stop."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.overhead",
        "child",
        str(file),
        engine,
        *map(str, durations),
        str(seed),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as child:
        assert child.stdout
        assert child.stdin
        for line in child.stdout:
            if line == "pause\n":
                os.kill(child.pid, signal.SIGSTOP)
                sleep(PAUSE_S)
                os.kill(child.pid, signal.SIGCONT)
                child.stdin.write("resumed\n")
                child.stdin.flush()
            elif line.startswith("result "):
                numbers = [float(word) for word in line.split()[1:]]
                return Estimate(*numbers[:3]), Estimate(*numbers[3:])
    raise SystemExit(f"{engine}: the measuring process ended with exit code {child.returncode}")


def _child(file: Path, engine_name: str, durations: tuple[float, float], seed: int) -> None:
    channel, session, feeds = loaded_in_child(file, engine_name)
    warm = session.time(feeds, 2)
    for_ten_s = INFERENCES / warm.throughput_img_s
    random = Random(seed)  # noqa: S311

    def pause() -> None:
        channel.write("pause\n")
        sys.stdin.readline()

    loop = _ratios(
        durations[0], random, lambda: session.time(feeds, for_ten_s).throughput_img_s, lambda: _bare(session, feeds)
    )
    rested = _ratios(durations[1], random, lambda: _block(session, feeds, pause), lambda: _block(session, feeds, None))
    numbers = [number for estimate in (loop, rested) for number in (estimate.mean, estimate.error, estimate.freedom)]
    channel.write("result " + " ".join(map(repr, map(float, numbers))) + "\n")


def _ratios(seconds: float, random: Random, first: Callable[[], float], second: Callable[[], float]) -> Estimate:
    """The estimate of the log ratio of two throughputs (img/s), measured in turns for so long: the mean of the units'
    medians."""
    logs, end = list[float](), perf_counter() + seconds
    while perf_counter() < end or len(logs) < 2 * UNITS:
        if random.random() < 0.5:
            a, b = first(), second()
        else:
            b, a = second(), first()
        logs.append(log(a / b))
    return estimate([[float(np.median(unit))] for unit in np.array_split(logs, UNITS)])


def _bare(session: Session, feeds: Feeds) -> float:
    run = session.run
    start = perf_counter()
    for _ in range(INFERENCES):
        run(feeds)
    return INFERENCES / (perf_counter() - start)


def _block(session: Session, feeds: Feeds, pause: Callable[[], None] | None) -> float:
    if pause:
        pause()
    session.time(feeds, PROTOCOL.settle_s)
    return session.time(feeds, PROTOCOL.block_s).throughput_img_s


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        file, engine_name, loop_s, pause_s, its_seed = sys.argv[2:]
        _child(Path(file), engine_name, (float(loop_s), float(pause_s)), int(its_seed))
    else:
        typer.run(main)
