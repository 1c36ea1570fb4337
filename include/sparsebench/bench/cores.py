"""Which CPUs the engines may use, and how many threads each gets: as many cores as a service would have here.

What is read: the CPUs that this process may run on (its affinity, which a cpuset limits), the CPU limit of its cgroup
(version 2 or 1), which CPUs are one core (SMT siblings), and which memory node they belong to.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

CPUS = Path("/sys/devices/system/cpu")
CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Cores:
    """cpus: that every engine is pinned to. threads: of every engine. quota: of the cgroup, in cores; None: no limit.
    nodes: memory nodes of the CPUs; None: the host does not tell."""

    cpus: tuple[int, ...]
    threads: int
    quota: float | None
    nodes: int | None


def usable_cores(
    cpus: Path = CPUS, cgroups: Path = CGROUPS, own: Path = Path("/proc/self/cgroup"), most: int | None = None
) -> Cores:
    """A thread for each physical core, and not more than the quota pays for; where the quota, or ``most``, is less than
    the cores, the engines are pinned to as many, of one memory node as far as it goes."""
    allowed = sorted(os.sched_getaffinity(0))
    nodes = {cpu: _node(cpus / f"cpu{cpu}") for cpu in allowed}
    cores: dict[str, list[int]] = {}
    for cpu in sorted(allowed, key=lambda cpu: (nodes[cpu] or 0, cpu)):
        cores.setdefault(_siblings(cpus / f"cpu{cpu}"), []).append(cpu)
    quota = quota_cores(cgroups, own.read_text() if own.exists() else "")
    threads = len(cores) if quota is None else max(1, min(len(cores), int(quota + 1e-6)))
    threads = threads if most is None else min(threads, most)
    chosen = sorted(cpu for core in list(cores.values())[:threads] for cpu in core)
    of_chosen = {nodes[cpu] for cpu in chosen}
    return Cores(tuple(chosen), threads, quota, None if None in of_chosen else len(of_chosen))


def quota_cores(cgroups: Path, own: str) -> float | None:
    """The smallest CPU limit of a cgroup and those above it. own: the text of /proc/self/cgroup."""
    limits = []
    for line in own.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            hybrid = cgroups / "unified"
            root, read = hybrid if hybrid.is_dir() else cgroups, _quota_of_2
        elif "cpu" in controllers.split(","):
            root, read = cgroups / "cpu", _quota_of_1
        else:
            continue
        # In a container the path may be the host's, of which there is only the container's own part, at the root.
        folder = root / path.strip("/")
        limits += [read(parent) for parent in (folder, *folder.parents) if parent == root or root in parent.parents]
    return min((limit for limit in limits if limit), default=None)


def _quota_of_2(folder: Path) -> float | None:
    fields = _read(folder / "cpu.max").split()
    return None if len(fields) != 2 or fields[0] == "max" else int(fields[0]) / int(fields[1])


def _quota_of_1(folder: Path) -> float | None:
    quota, period = _read(folder / "cpu.cfs_quota_us").strip(), _read(folder / "cpu.cfs_period_us").strip()
    return int(quota) / int(period) if quota and period and int(quota) > 0 else None


def _siblings(cpu: Path) -> str:
    return _read(cpu / "topology/thread_siblings_list") or cpu.name


def _node(cpu: Path) -> int | None:
    return next((int(node.name.removeprefix("node")) for node in cpu.glob("node[0-9]*")), None)


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
