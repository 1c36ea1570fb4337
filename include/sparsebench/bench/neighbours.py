"""A first look at the host, before anything is spent: who else takes its CPUs."""

from __future__ import annotations

import os
from collections import Counter
from time import sleep

import psutil

from sparsebench.bench.interference import Watch
from sparsebench.contracts import Neighbours

LONGEST_S = 3.0

BUSY_CORES = 0.1
"""Others that take more than this disturb blocks again and again; what takes less is told of with nobody's name."""


def look(seconds: float) -> Neighbours:
    """Watch for so long, doing nothing, and not longer than LONGEST_S."""
    seconds = min(seconds, LONGEST_S)
    before, watch = _cpu_times(), Watch()
    sleep(seconds)
    interference, after = watch.stop(), _cpu_times()
    took: Counter[str] = Counter()
    for process, (name, cpu_s) in after.items():
        took[name] += cpu_s - before.get(process, (name, 0.0))[1]  # type: ignore[assignment]
    return Neighbours(
        foreign_cores=interference.foreign_cores or 0.0,
        stolen_cores=interference.stolen_cores,
        throttled=interference.throttled,
        processes={name: round(cpu_s / seconds, 2) for name, cpu_s in took.most_common(5) if cpu_s / seconds >= 0.02},
    )


def told(neighbours: Neighbours, comes_first: bool) -> str:
    """The neighbours in one line. comes_first: whether what is measured has a higher priority."""
    stolen = f", the hypervisor {neighbours.stolen_cores:.2f}" if neighbours.stolen_cores else ""
    throttled = f"; the CPU was throttled {neighbours.throttled} times" if neighbours.throttled else ""
    if neighbours.foreign_cores + (neighbours.stolen_cores or 0) <= BUSY_CORES:
        return f"the host is quiet: other processes take {neighbours.foreign_cores:.2f} of a core{stolen}{throttled}"
    if comes_first:
        then = "what is measured comes before them; blocks that they disturb all the same are timed again"
    else:
        then = (
            "blocks that they disturb are timed again, which takes longer (as root, or after `sudo prlimit --nice=40 "
            "--pid $$`, what is measured comes before them)"
        )
    names = ", ".join(f"{name} {cores:.2f}" for name, cores in neighbours.processes.items()) or "none that lasts"
    return (
        f"the host is not quiet: other processes take {neighbours.foreign_cores:.2f} of a core ({names}){stolen}"
        f"{throttled}; {then}"
    )


def _cpu_times() -> dict[tuple[int, float], tuple[str, float]]:
    """Name and CPU seconds of every other process, by its id and its start."""
    times = {}
    for process in psutil.process_iter(["pid", "create_time", "name", "cpu_times"]):
        info = process.info
        if info["pid"] != os.getpid() and info["cpu_times"]:
            times[info["pid"], info["create_time"]] = (
                info["name"] or "?",
                info["cpu_times"].user + info["cpu_times"].system,
            )
    return times
