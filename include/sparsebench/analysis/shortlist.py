"""Which machines are worth measuring again, for one network and within bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sparsebench.analysis.choice import Bounds, Choice, rank
from sparsebench.analysis.findings import Findings


def choice_between(findings: Findings, network: str, types: Sequence[str], bounds: Bounds) -> Choice | None:
    """What to take of these instance types; None where the network has no number on any of them."""
    for choice in findings.choose(bounds):
        if choice.network == network:
            candidates = [
                *(ranked.candidate for ranked in choice.ranked),
                *(refused.candidate for refused in choice.refused),
            ]
            measured = {candidate.machine.instance_type for candidate in candidates}
            asked = tuple(name for name in types if name in measured)
            if asked:
                return findings.choose(replace(bounds, networks=(network,), instance_types=asked))[0]
    return None


def contenders(choice: Choice) -> list[str]:
    """The instance types that may be the one to take, where there are several: they have a candidate that is not shown
    to lose, and of which it is not shown that it misses a bound. The others clearly lose, and need no further look."""
    may_be = [ranked.candidate for ranked in choice.ranked if ranked.verdict != "loses"]
    best = [ranked.candidate for ranked in choice.ranked[:1]]
    for refused in choice.open:
        held_against_best = rank([*best, refused.candidate], choice.bounds)
        if not any(ranked.candidate is refused.candidate and ranked.verdict == "loses" for ranked in held_against_best):
            may_be.append(refused.candidate)
    names = list(dict.fromkeys(candidate.machine.instance_type for candidate in may_be))
    return names if len(names) > 1 else []
