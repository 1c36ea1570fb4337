"""What else went on in the machine while a block was timed, read from Linux before and after it."""

from __future__ import annotations

import os
import resource
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time

from sparsebench.contracts import Interference

CPUS = Path("/sys/devices/system/cpu")
TASKS = Path("/proc/self/task")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Watch:
    """Watches this process and its host from its making until ``stop``."""

    def __init__(self) -> None:
        self._before = _Reading.now()

    def stop(self) -> Interference:
        before, after = self._before, _Reading.now()
        elapsed = after.clock - before.clock

        def passed(name: str) -> float | None:
            old, new = getattr(before, name), getattr(after, name)
            return None if old is None or new is None else max(0, new - old)  # some kernels' counters step back

        def count(name: str) -> int | None:
            number = passed(name)
            return None if number is None else int(number)

        busy, steal, pressure = passed("busy_s"), passed("steal_s"), passed("pressure_s")
        waited = passed("waited_s")
        own = after.own_cpu_s - before.own_cpu_s
        return Interference(
            foreign_cores=None if busy is None else max(0.0, busy - own) / elapsed,
            stolen_cores=None if steal is None else steal / elapsed,
            pressure=None if pressure is None else pressure / elapsed,
            frequency_mhz=_frequency_mhz(),
            throttled=count("throttled"),
            major_faults=count("major_faults"),
            minor_faults=count("minor_faults"),
            swapped_pages=count("swapped_pages"),
            preemptions=count("preemptions"),
            waited_cores=None if waited is None else max(0.0, waited) / elapsed,
        )


@dataclass(frozen=True)
class _Reading:
    """Counters that only grow; None where the host does not have them."""

    clock: float
    own_cpu_s: float
    busy_s: float | None
    steal_s: float | None
    pressure_s: float | None
    throttled: int | None
    swapped_pages: int | None
    major_faults: int
    minor_faults: int
    preemptions: int
    waited_s: float | None

    @classmethod
    def now(cls) -> _Reading:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        busy_s, steal_s = _cpu_times(_read("/proc/stat"), os.sched_getaffinity(0))
        return cls(
            clock=perf_counter(),
            own_cpu_s=process_time(),
            busy_s=busy_s,
            steal_s=steal_s,
            pressure_s=_pressure(_read("/proc/pressure/cpu")),
            throttled=_throttled(CPUS),
            swapped_pages=_swapped(_read("/proc/vmstat")),
            major_faults=usage.ru_majflt,
            minor_faults=usage.ru_minflt,
            preemptions=usage.ru_nivcsw,
            waited_s=_waited(TASKS),
        )


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:  # another kernel, or a container that hides it
        return ""


def _cpu_times(stat: str, cpus: Collection[int]) -> tuple[float | None, float | None]:
    """Seconds that these CPUs were busy, and that were stolen of them, of /proc/stat: what goes on on a CPU that this
    process may not use takes nothing from it."""
    names = {f"cpu{cpu}" for cpu in cpus}
    rows = [
        fields for line in stat.splitlines() if (fields := line.split()) and fields[0] in names and len(fields) >= 9
    ]
    if len(rows) < len(names):
        return None, None
    busy = steal = 0.0
    for row in rows:
        user, nice, system, _idle, _iowait, irq, softirq, stolen = (int(ticks) / TICKS_PER_S for ticks in row[1:9])
        busy += user + nice + system + irq + softirq
        steal += stolen
    return busy, steal


def _waited(tasks: Path) -> float | None:
    """Seconds that the threads of this process were ready to run and had no CPU, in nanoseconds from the scheduler."""
    waited, threads = 0, 0
    for file in tasks.glob("[0-9]*/schedstat"):
        fields = _read(str(file)).split()
        if len(fields) == 3:
            waited, threads = waited + int(fields[1]), threads + 1
    return waited / 1e9 if threads else None


def _pressure(text: str) -> float | None:
    """Seconds in which some task waited for a CPU, of /proc/pressure/cpu."""
    for word in text.partition("\n")[0].split():
        if word.startswith("total="):
            return int(word.removeprefix("total=")) / 1e6
    return None


def _swapped(vmstat: str) -> int | None:
    """Pages swapped in and out, of /proc/vmstat."""
    counts = dict(line.split() for line in vmstat.splitlines())
    pages = [int(counts[name]) for name in ("pswpin", "pswpout") if name in counts]
    return sum(pages) if pages else None


def _throttled(cpus: Path) -> int | None:
    """Thermal throttling events of all CPUs, of /sys."""
    files = list(cpus.glob("cpu[0-9]*/thermal_throttle/core_throttle_count"))
    return sum(int(file.read_text()) for file in files) if files else None


def _frequency_mhz() -> float | None:
    """Mean of the CPUs' frequencies, of /sys; None on most virtual machines."""
    files = list(CPUS.glob("cpu[0-9]*/cpufreq/scaling_cur_freq"))
    return sum(int(file.read_text()) for file in files) / len(files) / 1000 if files else None
