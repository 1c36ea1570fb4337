"""What else went on in the machine while a block was timed, read from Linux before and after it."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time

from sparsebench.contracts import Interference

CPUS = Path("/sys/devices/system/cpu")
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
            return None if old is None or new is None else new - old

        def count(name: str) -> int | None:
            found = passed(name)
            return None if found is None else int(found)

        busy, steal, waited = passed("busy_s"), passed("steal_s"), passed("pressure_s")
        own = after.own_cpu_s - before.own_cpu_s
        return Interference(
            foreign_cores=None if busy is None else max(0.0, busy - own) / elapsed,
            stolen_cores=None if steal is None else steal / elapsed,
            pressure=None if waited is None else waited / elapsed,
            frequency_mhz=_frequency_mhz(),
            throttled=count("throttled"),
            major_faults=count("major_faults"),
            minor_faults=count("minor_faults"),
            swapped_pages=count("swapped_pages"),
            preemptions=count("preemptions"),
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

    @classmethod
    def now(cls) -> _Reading:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        busy_s, steal_s = _cpu_times(_read("/proc/stat"))
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
        )


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:  # another kernel, or a container that hides it
        return ""


def _cpu_times(stat: str) -> tuple[float | None, float | None]:
    """Seconds of all CPUs that were busy, and that were stolen, of /proc/stat."""
    first = stat.partition("\n")[0].split()
    if len(first) < 9:
        return None, None
    user, nice, system, _idle, _iowait, irq, softirq, steal = (int(ticks) / TICKS_PER_S for ticks in first[1:9])
    return user + nice + system + irq + softirq, steal


def _pressure(text: str) -> float | None:
    """Seconds in which some task waited for a CPU, of /proc/pressure/cpu."""
    for word in text.partition("\n")[0].split():
        if word.startswith("total="):
            return int(word.removeprefix("total=")) / 1e6
    return None


def _swapped(vmstat: str) -> int | None:
    """Pages swapped in and out, of /proc/vmstat."""
    counts = dict(line.split() for line in vmstat.splitlines())
    found = [int(counts[name]) for name in ("pswpin", "pswpout") if name in counts]
    return sum(found) if found else None


def _throttled(cpus: Path) -> int | None:
    """Thermal throttling events of all CPUs, of /sys."""
    files = list(cpus.glob("cpu[0-9]*/thermal_throttle/core_throttle_count"))
    return sum(int(file.read_text()) for file in files) if files else None


def _frequency_mhz() -> float | None:
    """Mean of the CPUs' frequencies, of /sys; None on most virtual machines."""
    files = list(CPUS.glob("cpu[0-9]*/cpufreq/scaling_cur_freq"))
    return sum(int(file.read_text()) for file in files) / len(files) / 1000 if files else None
