"""Which machines are worth measuring again, for one network and within bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sparsebench.analysis.choice import Bounds, Choice, rank
from sparsebench.analysis.findings import Findings


def choice_between(found: Findings, network: str, types: Sequence[str], bounds: Bounds) -> Choice | None:
    """What to take of these instance types; None where the network has no number on any of them."""
    for of in found.choose(bounds):
        if of.network == network:
            every = [*(one.candidate for one in of.ranked), *(one.candidate for one in of.refused)]
            measured = {candidate.machine.instance_type for candidate in every}
            asked = tuple(name for name in types if name in measured)
            if asked:
                return found.choose(replace(bounds, networks=(network,), instance_types=asked))[0]
    return None


def contenders(choice: Choice) -> list[str]:
    """The instance types that may be the one to take, where there are several: they have a candidate that is not shown
    to lose, and of which it is not shown that it misses a bound. The others clearly lose, and need no further look."""
    may_be = [of.candidate for of in choice.ranked if of.verdict != "loses"]
    best = [of.candidate for of in choice.ranked[:1]]
    for refused in choice.open:
        two = rank([*best, refused.candidate], choice.bounds)
        may_be += [of.candidate for of in two if of.candidate is refused.candidate and of.verdict != "loses"]
    names = list(dict.fromkeys(of.machine.instance_type for of in may_be))
    return names if len(names) > 1 else []
