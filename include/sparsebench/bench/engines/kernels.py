"""From what an engine ran, operator by operator, to kernels and their shares of time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from sparsebench.contracts import Kernel

UNKNOWN = "unknown"

DISCARDED = 3
"""Inferences that come first and do not count: memory is allocated and caches are cold."""

COUNTED = 10
"""Inferences whose time is taken."""


@dataclass(frozen=True)
class Operator:
    """One operator, as the engine ran it, after it fused what it fuses."""

    kernel: str
    precision: str
    isa: str
    time: float
    """In a unit that all operators of a network share."""


def by_share(operators: Iterable[Operator]) -> tuple[Kernel, ...]:
    """Operators of the same kernel, precision and instruction set together, the largest share of time first.

    Nothing, where the clock of the engine's profiler is too coarse for all of them.
    """
    times = defaultdict[tuple[str, str, str], list[float]](list)
    for operator in operators:
        times[operator.kernel, operator.precision, operator.isa].append(operator.time)
    total = sum(sum(of_kernel) for of_kernel in times.values())
    if not total:
        return ()
    kernels = [
        Kernel(name=name, precision=precision, isa=isa, count=len(of_kernel), time_share=sum(of_kernel) / total)
        for (name, precision, isa), of_kernel in times.items()
    ]
    return tuple(sorted(kernels, key=lambda kernel: -kernel.time_share))
