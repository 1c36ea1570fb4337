"""Which machine, engine and variant to take, in sentences that name a winner only where there is one."""

from __future__ import annotations

from collections.abc import Sequence

from sparsebench.analysis.candidates import Candidate
from sparsebench.analysis.choice import Bounds, Choice, Missed, Ranked, Refused
from sparsebench.analysis.models import MB
from sparsebench.report import labels

MOST_NAMED = 4
"""Candidates that a sentence names; the table has them all."""

LOWEST = {"cost": "costs least", "latency": "answers soonest", "throughput": "does the most"}
BEHIND = {"cost": "costs {} more", "latency": "takes {} longer", "throughput": "is {} behind"}

BECAUSE = {
    "": "the interval of their difference holds zero",
    "too_few": "there were too few processes or latencies",
    "unpaired": "they were timed at other times",
    "disturbed": "something disturbed all but too few processes",
}
"""Why a candidate cannot be told from the best."""


def advice(choice: Choice) -> list[str]:
    """The answer for one network: what to take, what cannot be told from it, what the next loses, and what is open."""
    name = labels.network(choice.network)
    if not choice.ranked:
        return [f"{name}: {_nothing(choice)}", *_open(choice)]
    best = choice.ranked[0]
    first = f"{candidate_label(best.candidate)}, {value(best, choice.bounds)}"
    if choice.tied:
        others = _tied(choice.tied)
        answer = f"{name}: by its mean {first}, {LOWEST[choice.bounds.target]}, but it cannot be told from {others}."
    elif choice.losers:
        answer = f"{name}: take {first}. It {LOWEST[choice.bounds.target]}."
    else:
        answer = f"{name}: take {first}. Nothing else {_meets(choice.bounds)}."
    if choice.losers:
        loser = choice.losers[0]
        rest = f", the other {len(choice.losers) - 1} more than that" if len(choice.losers) > 1 else ""
        answer += f" {candidate_label(loser.candidate)} {behind(loser, choice.bounds)}{rest}."
    return [answer, *_open(choice)]


def first(choices: Sequence[Choice], csv: str) -> list[str]:
    """The answers for the first networks. csv: the table that has them all."""
    answers = [sentence for choice in choices[: labels.MOST_NAMED] for sentence in advice(choice)]
    more = len(choices) - labels.MOST_NAMED
    return [*answers, f"{labels.count(more, 'network')} more: {csv}."] if more > 0 else answers


def asked(bounds: Bounds) -> str:
    """The bounds in labels."""
    licence = "licensed for production" if bounds.production else ""
    parts = [
        "" if bounds.latency_ms is None else f"p{bounds.percentile} of at most {bounds.latency_ms:g} ms",
        "" if bounds.accuracy is None else f"top-1 of at least {labels.top1(bounds.accuracy)}",
        "" if bounds.memory_bytes is None else f"at most {bounds.memory_bytes / MB:g} MB of memory",
        "" if bounds.size_bytes is None else f"at most {bounds.size_bytes / MB:g} MB after gzip −9",
        licence,
    ]
    return labels.listed(list(filter(None, parts)))


def candidate_label(candidate: Candidate) -> str:
    """m7i.xlarge with DeepSparse, pruned; on this machine it is DeepSparse, pruned."""
    variant, engine, _ = candidate.treatment
    what = f"{labels.engine(engine)}, {labels.VARIANT_LABELS[variant]}"
    if labels.is_this_machine(candidate.machine.instance_type):
        return what
    emulated = (
        f" (emulated on {candidate.machine.cpu_model})" if labels.is_emulated(candidate.machine._asdict()) else ""
    )
    return f"{candidate.machine.instance_type}{emulated} with {what}"


def value(ranked: Ranked, bounds: Bounds) -> str:
    """0.42 USD a million inferences (0.40–0.45)."""
    if bounds.target == "cost":
        number, low, high = (labels.dollars(end, ranked.value) for end in (ranked.value, ranked.low, ranked.high))
        return f"{number} USD a million inferences{_interval(ranked, low, high)}"
    if bounds.target == "latency":
        interval = _interval(ranked, f"{ranked.low:.2f}", f"{ranked.high:.2f}")
        return f"{ranked.value:.2f} ms at p{bounds.percentile}{interval}"
    return f"{labels.rate(ranked.value)} img/s{_interval(ranked, labels.rate(ranked.low), labels.rate(ranked.high))}"


def _interval(ranked: Ranked, low: str, high: str) -> str:
    return f" ({low}–{high})" if ranked.low == ranked.low else ", without an interval"  # NaN: a single process


def behind(ranked: Ranked, bounds: Bounds) -> str:
    """costs 12.0 % more (8.1 to 16.0 %)."""
    low, high = (labels.percent(end, 1).lstrip("+") for end in (ranked.behind_low, ranked.behind_high))
    ends = f" ({low.removesuffix(' %')} to {high})" if ranked.behind_high < float("inf") else ""
    return BEHIND[bounds.target].format(labels.percent(ranked.behind, 1).lstrip("+")) + ends


def missed(miss: Missed, bounds: Bounds) -> str:
    """Which bound is not surely met, and why."""
    match miss.kind:
        case "licence":
            return "its licence does not cover production"
        case "price":
            return f"no {miss.detail.replace('_', '-')} is known"
        case "value":
            return f"too few inferences for p{bounds.percentile}: {miss.detail}"
        case "latency":
            if miss.detail:
                return f"too few inferences for p{bounds.percentile}: {miss.detail}"
            own = f"p{bounds.percentile} is {miss.value:.2f} ms ({miss.low:.2f}–{miss.high:.2f})"
            return f"{own}, and at most {bounds.latency_ms:g} are asked for"
        case "accuracy":
            if miss.detail:
                return f"its accuracy was {miss.detail}"
            own = labels.accuracy({"top1": miss.value, "low": miss.low, "high": miss.high})
            return f"top-1 is {own}, {labels.top1(bounds.accuracy or 0)} are asked for"
        case "memory":
            if miss.detail:
                return "its memory is not known"
            return f"it takes {miss.value / MB:.0f} MB of memory, above {(bounds.memory_bytes or 0) / MB:g}"
    if miss.detail:
        return "its size is not known"
    return f"it has {miss.value / MB:.1f} MB, above {(bounds.size_bytes or 0) / MB:g}"


def _nothing(choice: Choice) -> str:
    bounds = asked(choice.bounds)
    answer = f"nothing surely meets the bounds ({bounds})." if bounds else "nothing can be ranked."
    if choice.nearest:
        return f"{answer} The nearest is {_refused(choice.nearest, choice.bounds)}."
    if not choice.refused:
        return f"{answer} None of what was asked for has a number."
    reasons = dict.fromkeys(missed(miss, choice.bounds) for refused in choice.refused for miss in refused.missed)
    return f"{answer} How near anything is cannot be said: {'; '.join(reasons)}."


def _open(choice: Choice) -> list[str]:
    refused = [other for other in choice.open if other is not choice.nearest]
    if not refused or not choice.ranked:
        return []
    named = "; ".join(labels.first_of([_refused(other, choice.bounds) for other in refused], MOST_NAMED))
    return [f"{labels.network(choice.network)}: whether these meet the bounds cannot be told: {named}."]


def _refused(refused: Refused, bounds: Bounds) -> str:
    return f"{candidate_label(refused.candidate)}: {', '.join(missed(miss, bounds) for miss in refused.missed)}"


def _tied(tied: Sequence[Ranked]) -> str:
    """Those that cannot be told from the best: each with its interval, or all of a reason with the reason."""
    close = [
        f"{candidate_label(ranked.candidate)} ({labels.changes(ranked.behind_low, ranked.behind_high)})"
        for ranked in tied
        if not ranked.because
    ]
    reasons = dict.fromkeys(ranked.because for ranked in tied if ranked.because)
    others = [
        f"{_named([candidate_label(ranked.candidate) for ranked in tied if ranked.because == reason])}, because "
        f"{BECAUSE[reason]}"
        for reason in reasons
    ]
    return "; nor from ".join(filter(None, [_named(close), *others]))


def _named(names: Sequence[str]) -> str:
    return labels.listed(labels.first_of(names, MOST_NAMED))


def _meets(bounds: Bounds) -> str:
    return "surely meets the bounds" if asked(bounds) else "was measured"
