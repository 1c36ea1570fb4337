"""As many threads as cores that may be used, on the CPUs that may be used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sparsebench.bench.cores import Cores, quota_cores, usable_cores
from sparsebench.bench.interference import _cpu_times

ALLOWED = {0, 1, 2, 3, 4, 5, 6, 7}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four cores of two siblings each (0 and 4, 1 and 5, …); CPUs 0, 2, 4, 6 on memory node 1, the others on node 0."""
    for cpu in ALLOWED:
        folder = tmp_path / f"cpus/cpu{cpu}"
        (folder / "topology").mkdir(parents=True)
        (folder / "topology/thread_siblings_list").write_text(f"{cpu % 4},{cpu % 4 + 4}\n")
        (folder / f"node{1 - cpu % 2}").mkdir()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: ALLOWED)
    return tmp_path


def limited(machine: Path, cpu_max: str) -> Path:
    (machine / "cgroups/service").mkdir(parents=True)
    (machine / "cgroups/service/cpu.max").write_text(cpu_max)
    (machine / "own").write_text("0::/service\n")
    return machine


def cores(machine: Path) -> Cores:
    return usable_cores(machine / "cpus", machine / "cgroups", machine / "own")


def test_without_a_limit_every_core_has_a_thread(machine: Path) -> None:
    available = cores(machine)

    assert (available.cpus, available.threads, available.quota, available.nodes) == (tuple(range(8)), 4, None, 2)


def test_a_quota_buys_whole_cores_with_their_siblings_of_one_memory_node(machine: Path) -> None:
    available = cores(limited(machine, "250000 100000"))

    assert (available.cpus, available.threads, available.quota, available.nodes) == ((1, 3, 5, 7), 2, 2.5, 1)


def test_fewer_threads_are_pinned_to_as_many_cores(machine: Path) -> None:
    fewer = usable_cores(machine / "cpus", machine / "cgroups", machine / "own", most=1)

    assert (fewer.cpus, fewer.threads) == ((1, 5), 1)
    assert usable_cores(machine / "cpus", machine / "cgroups", machine / "own", most=9).threads == 4


def test_a_quota_below_one_core_is_one_thread(machine: Path) -> None:
    assert cores(limited(machine, "50000 100000")).threads == 1


def test_a_cpuset_leaves_the_cores_of_its_cpus(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 4, 1})

    assert (cores(machine).cpus, cores(machine).threads) == ((0, 1, 4), 2)


def test_the_smallest_limit_of_a_cgroup_and_those_above_it_counts(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/cpu.max").write_text("100000 100000")
    (tmp_path / "a/b/cpu.max").write_text("max 100000")

    assert quota_cores(tmp_path, "0::/a/b\n") == 1.0


def test_a_limit_of_cgroups_version_1(tmp_path: Path) -> None:
    (tmp_path / "cpu/box").mkdir(parents=True)
    (tmp_path / "cpu/box/cpu.cfs_quota_us").write_text("150000\n")
    (tmp_path / "cpu/box/cpu.cfs_period_us").write_text("100000\n")
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("-1\n")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000\n")

    assert quota_cores(tmp_path, "4:memory:/box\n3:cpu,cpuacct:/box\n0::/\n") == 1.5


def test_only_the_cpus_that_may_be_used_are_watched() -> None:
    stat = "cpu 300 0 0 0 0 0 0 30 0 0\ncpu0 100 0 0 0 0 0 0 10 0 0\ncpu1 200 0 0 0 0 0 0 20 0 0\nintr 1\n"
    ticks = os.sysconf("SC_CLK_TCK")

    assert _cpu_times(stat, {0}) == (100 / ticks, 10 / ticks)
    assert _cpu_times(stat, {0, 1}) == pytest.approx((300 / ticks, 30 / ticks))
    assert _cpu_times(stat, {2}) == (None, None)
