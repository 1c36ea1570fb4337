"""Are our absolute numbers what a user of the engine gets? Ours against a bare loop and the engine's own tool.

    PYTHONPATH=include .envs/bench/bin/python -m benchmarks.outside --networks mobilenetv1

In a round, in random order: blocks as the runner times them (the process is stopped as long as three other engines
would have their turn, settles, and times a block), a loop without stops, and OpenVINO's ``benchmark_app`` or
``deepsparse.benchmark``. The ratios are of one round, with Student's interval over the rounds.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from math import exp, log
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import Annotated, Any, NamedTuple

import typer

from benchmarks.common import loaded_in_child, networks, show
from sparsebench.bench.host import host_facts
from sparsebench.catalog import protocols
from sparsebench.statistics.intervals import estimate, half_width
from sparsebench.store import Store

PROTOCOL = protocols()["quick"]
PAUSE_S = 3 * (PROTOCOL.settle_s + PROTOCOL.block_s)
BIN = Path(sys.executable).parent
Shape = tuple[int, int, int]


class Speed(NamedTuple):
    throughput_img_s: float
    median_ms: float


def main(
    store: Annotated[str, typer.Option(help="of the models")] = Path(".sparsebench/store").resolve().as_uri(),
    networks_: Annotated[str, typer.Option("--networks", help="names, with commas; default: all in the store")] = "",
    engines: Annotated[str, typer.Option(help="names, with commas")] = "onnxruntime,openvino,deepsparse",
    rounds: Annotated[int, typer.Option(min=2)] = 10,
    seconds: Annotated[float, typer.Option(help="of the loop and of the tool, in a round")] = 3,
    seed: int = 0,
    json: Annotated[Path | None, typer.Option(help="write the table here too")] = None,
) -> None:
    """Compare the runner's blocks with a bare loop and with the engine's own tool, in turns."""
    random = Random(seed)  # noqa: S311
    rows: list[dict[str, Any]] = []
    for network in networks(Store(store), [name for name in networks_.split(",") if name], ["base"]):
        for engine in engines.split(","):
            with TemporaryDirectory() as folder:
                file = Path(folder) / "model.onnx"
                file.write_bytes(network.data)
                turns = _rounds(file, network.ref.input_shape, engine, rounds, seconds, random)
            for other in sorted(turns.keys() - {"ours"}):
                row: dict[str, Any] = {"network": network.name, "engine": engine, "ours over": other}
                for field in Speed._fields:
                    pairs = zip(turns["ours"], turns[other], strict=True)
                    ratio = estimate(
                        [[log(getattr(ours, field) / getattr(reference, field))] for ours, reference in pairs]
                    )
                    row |= {field: exp(ratio.mean), f"± {field}": f"{half_width(ratio):.1%}"}
                rows.append(row)
    show("Ours against what a user gets (95 % intervals)", rows, json)


def _rounds(
    file: Path, shape: Shape, engine: str, rounds: int, seconds: float, random: Random
) -> dict[str, list[Speed]]:
    command = [sys.executable, "-m", "benchmarks.outside", "child", str(file), engine]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as child:
        _read(child)
        os.kill(child.pid, signal.SIGSTOP)
        turns: dict[str, Callable[[], Speed]] = {
            "ours": lambda: _ours(child, seconds),
            "bare loop": lambda: _loop(child, seconds),
        }
        if engine in TOOLS:
            turns["own tool"] = lambda: TOOLS[engine](file, shape, seconds)
        timed: dict[str, list[Speed]] = {name: [] for name in turns}
        for _ in range(rounds):
            for name in random.sample(sorted(turns), len(turns)):
                timed[name].append(turns[name]())
        os.kill(child.pid, signal.SIGKILL)
    return timed


def _ours(child: subprocess.Popen[str], seconds: float) -> Speed:
    blocks = []
    for _ in range(round(seconds / PROTOCOL.block_s / 2)):
        sleep(PAUSE_S)
        blocks.append(_ask(child, f"block {PROTOCOL.block_s}"))
    rates = [count / spent for count, spent, *_ in blocks]
    return Speed(exp(sum(map(log, rates)) / len(rates)), median(ms for _, _, *latencies in blocks for ms in latencies))


def _loop(child: subprocess.Popen[str], seconds: float) -> Speed:
    count, spent, *latencies = _ask(child, f"loop {seconds}")
    return Speed(count / spent, median(latencies))


def _ask(child: subprocess.Popen[str], request: str) -> list[float]:
    assert child.stdin
    os.kill(child.pid, signal.SIGCONT)
    child.stdin.write(request + "\n")
    child.stdin.flush()
    numbers = [float(word) for word in _read(child).split()]
    os.kill(child.pid, signal.SIGSTOP)
    return numbers


def _read(child: subprocess.Popen[str]) -> str:
    assert child.stdout
    if line := child.stdout.readline():
        return line
    raise SystemExit(f"the measuring process ended with exit code {child.wait()}")


def _benchmark_app(file: Path, shape: Shape, seconds: float) -> Speed:
    output = _tool(
        "benchmark_app", "-m", str(file), "-d", "CPU", "-api", "sync", "-hint", "none", "-infer_precision", "f32",
        "-t", str(round(seconds)), "-nthreads", str(host_facts().physical_cores), "-shape", str([1, *shape]),
    )  # fmt: skip
    return Speed(_number(r"Throughput: +([\d.]+) FPS", output), _number(r"Median: +([\d.]+) ms", output))


def _deepsparse_benchmark(file: Path, shape: Shape, seconds: float) -> Speed:
    output = _tool(
        "deepsparse.benchmark", str(file), "-b", "1", "-s", "sync", "-t", str(round(seconds)), "-w", "1",
        "-nc", str(host_facts().physical_cores),
    )  # fmt: skip
    throughput = _number(r"Throughput \(items/sec\): ([\d.]+)", output)
    return Speed(throughput, _number(r"Latency Median \(ms/batch\): ([\d.]+)", output))


TOOLS = {"openvino": _benchmark_app, "deepsparse": _deepsparse_benchmark}


def _tool(name: str, *arguments: str) -> str:
    done = subprocess.run([BIN / name, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} ended with exit code {done.returncode}: {done.stderr[-500:]}")
    return done.stdout + done.stderr


def _number(pattern: str, output: str) -> float:
    if match := re.search(pattern, output):
        return float(match[1])
    raise SystemExit(f"no {pattern} in what the tool said: {output[-500:]}")


def _child(file: Path, engine_name: str) -> None:
    """Times what is asked for: images, seconds, and every latency (ms)."""
    channel, session, feeds = loaded_in_child(file, engine_name)
    session.time(feeds, PROTOCOL.max_warmup_s)
    channel.write("warm\n")
    for line in sys.stdin:
        kind, seconds = line.split()
        if kind == "block":
            session.time(feeds, PROTOCOL.settle_s)
            timed = session.time(feeds, float(seconds))
            channel.write(" ".join(map(str, (timed.images, timed.seconds, *timed.latencies_ms))) + "\n")
        else:
            start = perf_counter()
            ends = [start]
            while ends[-1] - start < float(seconds):
                session.run(feeds)
                ends.append(perf_counter())
            latencies = [1000 * (after - before) for before, after in pairwise(ends)]
            channel.write(" ".join(map(str, (len(latencies), ends[-1] - start, *latencies))) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        _child(Path(sys.argv[2]), sys.argv[3])
    else:
        typer.run(main)
