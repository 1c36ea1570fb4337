"""Several hosts: each weighs the same, and what an interval speaks of is what it covers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sparsebench.statistics.hosts import ENOUGH_HOSTS, over_hosts
from sparsebench.statistics.intervals import Estimate, combined, estimate


def test_one_host_is_its_processes() -> None:
    units = [[1.0, 1.2], [2.0], [3.0]]

    pooled = over_hosts({"i-0": units})

    assert (pooled.mean, pooled.over) == (estimate(units), "processes")
    assert (pooled.hosts, pooled.processes) == (1, 3)


def test_each_host_weighs_the_same_however_many_processes_it_has() -> None:
    first, other = [[0.0], [0.2], [0.1]] * 4, [[1.0], [1.2], [1.1]]

    pooled = over_hosts({"i-0": first, "i-1": other})

    assert pooled.mean == combined([estimate(first), estimate(other)])
    assert pooled.mean.mean == pytest.approx(0.6)
    assert (pooled.over, pooled.hosts, pooled.processes) == ("processes", 2, 15)


def test_from_six_hosts_on_it_is_the_hosts_that_vary() -> None:
    units = {f"i-{host}": [[host + 0.1], [host - 0.1]] for host in range(ENOUGH_HOSTS)}

    pooled = over_hosts(units)

    assert pooled.mean == estimate([[float(host)] for host in range(ENOUGH_HOSTS)])
    assert pooled.over == "hosts"


def test_a_host_with_a_single_process_does_not_take_the_interval_from_the_others() -> None:
    pooled = over_hosts({"i-0": [[1.0], [1.1]], "i-1": [[5.0]]})

    assert pooled.mean == estimate([[1.0], [1.1]])
    assert (pooled.hosts, pooled.processes) == (1, 2)


def test_hosts_with_a_single_process_each_are_the_sample() -> None:
    pooled = over_hosts({"i-0": [[1.0]], "i-1": [[2.0]], "i-2": [[3.0]]})

    assert (pooled.mean, pooled.over) == (estimate([[1.0], [2.0], [3.0]]), "hosts")


def test_nothing_is_known_of_nothing() -> None:
    pooled = over_hosts({})

    assert math.isnan(pooled.mean.mean)
    assert pooled.mean.interval() == (-math.inf, math.inf)


def test_few_processes_of_one_host_lend_their_freedom_to_the_mean() -> None:
    """Two processes that happen to be alike hide how badly their host is known."""
    few, many = Estimate(0, 0.01, freedom=1), Estimate(0, 0.05, freedom=19)

    assert combined([few, many]).freedom == 1
    assert combined([Estimate(0, 0.01, freedom=5), many]).freedom > 5


@pytest.mark.parametrize(("processes", "effect"), [((20, 6), 0.02), ((8, 8, 8), 0.02), ((6, 12, 8, 20, 7), 0.05)])
def test_the_interval_covers_the_mean_of_just_these_hosts(processes: tuple[int, ...], effect: float) -> None:
    """Pooled without weight for the host, the first covers 72 %."""
    runs, rng, covered = 2000, np.random.default_rng(5), 0
    for _ in range(runs):
        hosts = effect * rng.standard_normal(len(processes))
        units = {
            str(number): (host + 0.02 * rng.standard_normal((count, 1))).tolist()
            for number, (host, count) in enumerate(zip(hosts, processes, strict=True))
        }
        low, high = over_hosts(units).mean.interval()
        covered += low <= hosts.mean() <= high

    assert covered / runs == pytest.approx(0.95, abs=0.015)
