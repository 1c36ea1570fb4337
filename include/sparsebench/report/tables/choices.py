"""Which machine, engine and variant to take: the ranking, and what was left out of it and why."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, nan

import pandas as pd

from sparsebench.analysis.candidates import Candidate, Target
from sparsebench.analysis.choice import Bounds, Choice, Ranked, Refused
from sparsebench.analysis.results import Row
from sparsebench.report import choices, labels
from sparsebench.report.tables.formatting import Cell, Table

CSV = "choices.csv"

TITLES = {"cost": "USD per million", "latency": "p{}, ms", "throughput": "img/s"}


def ranking(choice: Choice) -> Table:
    """The ranking of one network; the best first."""
    bounds = choice.bounds
    column = TITLES[bounds.target].format(bounds.percentile)
    within = choices.asked(bounds)
    return Table(
        title=f"{labels.network(choice.network)} by {bounds.target}{f', {within}' if within else ''}",
        csv=CSV,
        note=f"{_price(choice)}With its 95 % interval. Behind: by how much the best is better; its interval holds for "
        "all comparisons with the best together (Bonferroni), and what it leaves no doubt of loses. Engines of one "
        "machine are compared by the rounds that they shared; of two machines, as these hosts were.",
        columns=("instance type", "engine", "variant", "threads", column, "verdict", "behind"),
        rows=[
            *(_row(ranked, bounds) for ranked in choice.ranked),
            *(
                [*_names(refused.candidate), ("", "number"), ("left out", "absent"), (reasons(refused, bounds), "")]
                for refused in choice.refused
            ),
        ],
    )


def reasons(refused: Refused, bounds: Bounds) -> str:
    return "; ".join(choices.missed(miss, bounds) for miss in refused.missed)


def _price(choice: Choice) -> str:
    offers = dict.fromkeys(ranked.candidate.offer for ranked in choice.ranked)
    known = [offer for offer in offers if isfinite(offer.usd_per_hour)]
    if choice.bounds.target != "cost" or not known:
        return ""
    where = labels.listed(list(dict.fromkeys(f"{offer.region} of {offer.as_of}" for offer in known)))
    return f"At prices {known[0].market.replace('_', ' ')} in {where}. "


def _row(ranked: Ranked, bounds: Bounds) -> list[Cell]:
    best = " best" if ranked.verdict == "best" else ""
    return [
        *_names(ranked.candidate),
        (value_text(bounds.target, ranked.value, ranked.low, ranked.high), "number" + best),
        (VERDICTS[ranked.verdict] + (f": {choices.BECAUSE[ranked.because]}" if ranked.because else ""), "short"),
        ("" if best else _behind(ranked), "number"),
    ]


VERDICTS = {"best": "best by its mean", "tied": "cannot be told", "loses": "loses"}


def _names(candidate: Candidate) -> list[Cell]:
    return [
        (labels.machine(candidate.machine), ""),
        (labels.engine(candidate.treatment.engine), "short"),
        (labels.VARIANT_LABELS[candidate.treatment.variant], "short"),
        (str(candidate.threads), "number"),
    ]


def value_text(target: Target, value: float, low: float, high: float) -> str:
    """0.42 (0.40–0.45): USD per million inferences, ms or img/s, with the 95 % interval where there is one."""
    if target == "cost":
        texts = [labels.dollars(end, value) for end in (value, low, high)]
    elif target == "latency":
        texts = [f"{end:.2f}" for end in (value, low, high)]
    else:
        texts = [labels.rate(end) for end in (value, low, high)]
    return f"{texts[0]} ({texts[1]}–{texts[2]})" if isfinite(low) else texts[0]


def _behind(ranked: Ranked) -> str:
    if not isfinite(ranked.behind_high):
        return labels.percent(ranked.behind, 1)
    return f"{labels.percent(ranked.behind, 1)} ({labels.changes(ranked.behind_low, ranked.behind_high)})"


def frame(listed: Sequence[Choice]) -> pd.DataFrame:
    """Every candidate of every network, as CSV and JSON have them: a row each."""
    rows: list[Row] = []
    for choice in listed:
        for ranked in choice.ranked:
            rows.append(
                {
                    **_fields(choice, ranked.candidate),
                    "value": ranked.value,
                    "low": ranked.low,
                    "high": ranked.high,
                    "verdict": ranked.verdict,
                    "because": ranked.because,
                    "behind": ranked.behind,
                    "behind_low": ranked.behind_low if isfinite(ranked.behind_high) else nan,
                    "behind_high": ranked.behind_high if isfinite(ranked.behind_high) else nan,
                }
            )
        for refused in choice.refused:
            verdict = "open" if refused.open else "left_out"
            fields = _fields(choice, refused.candidate)
            rows.append({**fields, "verdict": verdict, "because": reasons(refused, choice.bounds)})
    columns = [*_FIELDS, "value", "low", "high", "verdict", "because", "behind", "behind_low", "behind_high"]
    return pd.DataFrame(rows, columns=columns)


_FIELDS = (
    *("network", "instance_type", "cpu_model", "emulated", "engine", "variant", "precision", "threads"),
    *("target", "percentile", "usd_per_hour", "market", "region", "as_of", "top1", "memory_bytes", "bytes"),
)


def _fields(choice: Choice, candidate: Candidate) -> Row:
    return {
        "network": candidate.network,
        **candidate.machine._asdict(),
        **candidate.treatment._asdict(),
        "threads": candidate.threads,
        "target": choice.bounds.target,
        "percentile": choice.bounds.percentile,
        **candidate.offer._asdict(),
        "top1": candidate.accuracy.top1 if candidate.accuracy else None,
        "memory_bytes": candidate.memory_bytes,
        "bytes": candidate.size_bytes,
    }
