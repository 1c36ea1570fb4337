"""Timed inferences, with every latency kept, and the warm-up before them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns

NS_PER_MS = 1e6
NS_PER_S = 1e9

WARMUP_WINDOWS = 4
"""Into which the shortest warm-up is cut."""

STILL_FASTER = 1.02
"""A window that beats every earlier one by more than this says that the engine is still warming up."""


@dataclass(frozen=True)
class Timed:
    """images: that were inferred. seconds: that they took. latencies_ms: of each inference."""

    images: int
    seconds: float
    latencies_ms: tuple[float, ...]

    @property
    def throughput_img_s(self) -> float:
        return self.images / self.seconds


def time_inferences(infer: Callable[[], object], batch: int, seconds: float) -> Timed:
    """Infer, one after the other, until the inferences have lasted ``seconds`` in sum; at least once.

    ``infer`` handles ``batch`` images. What lies between two inferences (reading the clock, keeping the latency)
    does not count.
    """
    remaining, taken_ns = int(seconds * NS_PER_S), list[int]()
    while remaining > 0 or not taken_ns:
        start = perf_counter_ns()
        infer()
        taken = perf_counter_ns() - start
        taken_ns.append(taken)
        remaining -= taken
    return Timed(batch * len(taken_ns), sum(taken_ns) / NS_PER_S, tuple(taken / NS_PER_MS for taken in taken_ns))


def warm_up(time: Callable[[float], Timed], at_least_s: float, at_most_s: float) -> tuple[float, bool]:
    """Infer until the engine gets no faster: until neither of the last two windows beats all before them by 2 %.

    Returns:
        How many seconds it took, and whether it was steady by then.
    """
    window_s = at_least_s / WARMUP_WINDOWS
    elapsed, rates = 0.0, list[float]()
    while True:
        timed = time(window_s)
        elapsed += timed.seconds
        rates.append(timed.throughput_img_s)
        steady = len(rates) > 2 and max(rates[-2:]) <= STILL_FASTER * max(rates[:-2])
        if (steady and elapsed >= at_least_s) or elapsed >= at_most_s:
            return elapsed, steady
