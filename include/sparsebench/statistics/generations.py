"""What all treatments of a host have in common in one generation and not in another: its own speed."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from math import exp, inf, nan
from statistics import mean
from typing import NamedTuple

from scipy.special import fdtrc

from sparsebench.statistics.pairs import Logs, Treatment, Unit


class Generations(NamedTuple):
    """number: of generations that can be compared. slowest: the throughput of the slowest of them over that of the
    fastest, a geometric mean over what both timed; NaN where there are not two. p: of the F test that all are equally
    fast (two-way analysis of variance, generations beside treatments; exact where each generation has every treatment);
    NaN where nothing is left to test it by."""

    number: int
    slowest: float
    p: float


def compare(networks: Iterable[Mapping[Treatment, Logs]]) -> Generations:
    """networks: of one host, the log throughputs of each network's treatments."""
    deviations: dict[tuple[int, Unit], list[float]] = {}
    groups: set[Hashable] = set()
    treatments = 0
    for network, of_network in enumerate(networks):
        for of_treatment in of_network.values():
            logs = {unit: mean(of_unit) for unit, of_unit in of_treatment.items()}
            if len(logs) < 2:
                continue
            treatments += 1
            usual = mean(logs.values())
            for unit, log in logs.items():
                deviations.setdefault((network, unit), []).append(log - usual)
                groups.add((network, unit.job, unit.variant))
    if not deviations:
        return Generations(0, nan, nan)
    effects = {generation: mean(values) for generation, values in deviations.items()}
    slowest = exp(min(effects.values()) - max(effects.values()))
    freedom = len(effects) - len(groups)
    rest = sum(map(len, deviations.values())) - treatments - freedom
    if rest < 1:
        return Generations(len(effects), slowest, nan)
    among = sum(len(deviations[generation]) * effect**2 for generation, effect in effects.items())
    within = sum((value - effects[generation]) ** 2 for generation, values in deviations.items() for value in values)
    ratio = among / freedom / (within / rest) if within else inf
    return Generations(len(effects), slowest, float(fdtrc(freedom, rest, ratio)))
