"""Which machine, engine and variant to take, in sentences that name a winner only where there is one."""

from __future__ import annotations

from collections.abc import Sequence

from sparsebench.analysis.candidates import Candidate
from sparsebench.analysis.choice import Bounds, Choice, Missed, Ranked, Refused
from sparsebench.analysis.models import MB
from sparsebench.report import words

MOST_NAMED = 4
"""Candidates that a sentence names; the table has them all."""

LOWEST = {"cost": "costs least", "latency": "answers soonest", "throughput": "does the most"}
BEHIND = {"cost": "costs {} more", "latency": "takes {} longer", "throughput": "is {} behind"}

BECAUSE = {
    "": "the interval of their difference holds zero",
    "too_few": "there were too few processes or latencies",
    "unpaired": "they were timed at other times",
}
"""Why a candidate cannot be told from the best."""


def advice(of: Choice) -> list[str]:
    """The answer for one network: what to take, what cannot be told from it, what the next loses, and what is open."""
    name = words.network(of.network)
    if not of.ranked:
        return [f"{name}: {_nothing(of)}", *_open(of)]
    best = of.ranked[0]
    first = f"{candidate(best.candidate)}, {value(best, of.bounds)}"
    if of.tied:
        said = f"{name}: by its mean {first}, {LOWEST[of.bounds.target]}, but it cannot be told from {_tied(of.tied)}."
    elif of.losers:
        said = f"{name}: take {first}. It {LOWEST[of.bounds.target]}."
    else:
        said = f"{name}: take {first}. Nothing else {_meets(of.bounds)}."
    if of.losers:
        loser = of.losers[0]
        rest = f", the other {len(of.losers) - 1} more than that" if len(of.losers) > 1 else ""
        said += f" {candidate(loser.candidate)} {behind(loser, of.bounds)}{rest}."
    return [said, *_open(of)]


def first(choices: Sequence[Choice], csv: str) -> list[str]:
    """The answers for the first networks. csv: the table that has them all."""
    said = [sentence for choice in choices[: words.MOST_NAMED] for sentence in advice(choice)]
    more = len(choices) - words.MOST_NAMED
    return [*said, f"{words.count(more, 'network')} more: {csv}."] if more > 0 else said


def asked(bounds: Bounds) -> str:
    """The bounds in words."""
    licence = "licensed for production" if bounds.production else ""
    said = [
        "" if bounds.latency_ms is None else f"p{bounds.percentile} of at most {bounds.latency_ms:g} ms",
        "" if bounds.accuracy is None else f"top-1 of at least {words.top1(bounds.accuracy)}",
        "" if bounds.size_bytes is None else f"at most {bounds.size_bytes / MB:g} MB after gzip −9",
        licence,
    ]
    return words.listed(list(filter(None, said)))


def candidate(of: Candidate) -> str:
    """m7i.xlarge with DeepSparse, pruned; on this machine it is DeepSparse, pruned."""
    variant, engine, _ = of.treatment
    what = f"{words.engine(engine)}, {words.VARIANT_LABELS[variant]}"
    if words.is_this_machine(of.machine.instance_type):
        return what
    emulated = f" (emulated on {of.machine.cpu_model})" if words.is_emulated(of.machine._asdict()) else ""
    return f"{of.machine.instance_type}{emulated} with {what}"


def value(of: Ranked, bounds: Bounds) -> str:
    """0.42 USD a million inferences (0.40–0.45)."""
    if bounds.target == "cost":
        number, low, high = (words.dollars(end, of.value) for end in (of.value, of.low, of.high))
        return f"{number} USD a million inferences{_interval(of, low, high)}"
    if bounds.target == "latency":
        return f"{of.value:.2f} ms at p{bounds.percentile}{_interval(of, f'{of.low:.2f}', f'{of.high:.2f}')}"
    return f"{words.rate(of.value)} img/s{_interval(of, words.rate(of.low), words.rate(of.high))}"


def _interval(of: Ranked, low: str, high: str) -> str:
    return f" ({low}–{high})" if of.low == of.low else ", without an interval"  # NaN: a single process


def behind(of: Ranked, bounds: Bounds) -> str:
    """costs 12.0 % more (8.1 to 16.0 %)."""
    low, high = (words.percent(end, 1).lstrip("+") for end in (of.behind_low, of.behind_high))
    ends = f" ({low.removesuffix(' %')} to {high})" if of.behind_high < float("inf") else ""
    return BEHIND[bounds.target].format(words.percent(of.behind, 1).lstrip("+")) + ends


def missed(of: Missed, bounds: Bounds) -> str:
    """Which bound is not surely met, and why."""
    match of.kind:
        case "licence":
            return "its licence does not cover production"
        case "price":
            return f"no {of.detail.replace('_', '-')} is known"
        case "value":
            return f"too few inferences for p{bounds.percentile}: {of.detail}"
        case "latency":
            if of.detail:
                return f"too few inferences for p{bounds.percentile}: {of.detail}"
            own = f"p{bounds.percentile} is {of.value:.2f} ms ({of.low:.2f}–{of.high:.2f})"
            return f"{own}, and at most {bounds.latency_ms:g} are asked for"
        case "accuracy":
            if of.detail:
                return f"its accuracy was {of.detail}"
            least = words.top1(bounds.accuracy or 0)
            return (
                f"top-1 is {words.accuracy({'top1': of.value, 'low': of.low, 'high': of.high})}, {least} are asked for"
            )
    if of.detail:
        return "its size is not known"
    return f"it has {of.value / MB:.1f} MB, above {(bounds.size_bytes or 0) / MB:g}"


def _nothing(of: Choice) -> str:
    bounds = asked(of.bounds)
    said = f"nothing surely meets the bounds ({bounds})." if bounds else "nothing can be ranked."
    if of.nearest:
        return f"{said} The nearest is {_refused(of.nearest, of.bounds)}."
    if not of.refused:
        return f"{said} None of what was asked for has a number."
    reasons = dict.fromkeys(missed(miss, of.bounds) for refused in of.refused for miss in refused.missed)
    return f"{said} How near anything is cannot be said: {'; '.join(reasons)}."


def _open(of: Choice) -> list[str]:
    refused = [other for other in of.open if other is not of.nearest]
    if not refused or not of.ranked:
        return []
    named = "; ".join(_named([_refused(other, of.bounds) for other in refused]))
    return [f"{words.network(of.network)}: whether these meet the bounds cannot be told: {named}."]


def _refused(of: Refused, bounds: Bounds) -> str:
    return f"{candidate(of.candidate)}: {', '.join(missed(miss, bounds) for miss in of.missed)}"


def _named(names: Sequence[str]) -> list[str]:
    return [*names[:MOST_NAMED], *([f"{len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else [])]


def _tied(tied: Sequence[Ranked]) -> str:
    """Those that cannot be told from the best: each with its interval, or all of a reason with the reason."""
    close = _named(
        [f"{candidate(of.candidate)} ({words.changes(of.behind_low, of.behind_high)})" for of in tied if not of.because]
    )
    reasons = dict.fromkeys(of.because for of in tied if of.because)
    others = [
        f"{words.listed(_named([candidate(of.candidate) for of in tied if of.because == reason]))}, because "
        f"{BECAUSE[reason]}"
        for reason in reasons
    ]
    return "; nor from ".join(filter(None, [words.listed(close), *others]))


def _meets(bounds: Bounds) -> str:
    return "surely meets the bounds" if asked(bounds) else "was measured"
