"""Several hosts as one: what their processes say together, and of which hosts it holds.

From ENOUGH_HOSTS on the hosts are a sample of their kind, and the interval is of the mean over such hosts. Fewer say
too little of how hosts differ, so that the interval is of the mean of just these, each of which weighs the same: the
processes of a host make its own estimate, and the estimates are combined (Welch, Satterthwaite).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, nan
from statistics import fmean
from typing import Literal

from sparsebench.statistics.intervals import Estimate, combined, estimate
from sparsebench.statistics.pairs import Unit

ENOUGH_HOSTS = 6

Over = Literal["hosts", "processes"]

SPEAKS_OF: dict[Over, str] = {"hosts": "hosts of this kind", "processes": "just these hosts"}
"""What an interval is of, by what its units are."""


@dataclass(frozen=True)
class OverHosts:
    """mean: of logs, or of whatever the units hold. over: what the interval's units are. hosts, processes: that
    entered."""

    mean: Estimate
    over: Over
    hosts: int
    processes: int


def over_hosts(units: Mapping[str, Sequence[Sequence[float]]]) -> OverHosts:
    """The mean of the units' means over hosts, each of which weighs the same.

    A host with a single process beside hosts with several says nothing of how surely it is known, and would take the
    interval from all: it is left out. Where every host has a single process, it is the hosts that vary.

    Args:
        units: of each host, the samples (rounds) of each of its processes.
    """
    several = {host: of_host for host, of_host in units.items() if len(of_host) > 1}
    hosts = units if len(units) >= ENOUGH_HOSTS or not several else several
    processes = sum(map(len, hosts.values()))
    if not processes:
        return OverHosts(Estimate(nan, inf, 0), "processes", 0, 0)
    if len(hosts) >= ENOUGH_HOSTS or (not several and len(hosts) > 1):
        means = [[fmean(fmean(unit) for unit in of_host)] for of_host in hosts.values()]
        return OverHosts(estimate(means), "hosts", len(hosts), processes)
    mean = combined([estimate(of_host) for of_host in hosts.values()])
    return OverHosts(mean, "processes", len(hosts), processes)


def over_units(units: Mapping[Unit, Sequence[float]]) -> OverHosts:
    """The same of units that know their host: of each, the samples (rounds)."""
    hosts: dict[str, list[Sequence[float]]] = {}
    for unit, samples in units.items():
        hosts.setdefault(unit.instance_id, []).append(samples)
    return over_hosts(hosts)
