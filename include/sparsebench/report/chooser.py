"""The candidates of a choice as data for the page's script, with every number's text beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

from sparsebench.analysis.candidates import Candidate, Target, value
from sparsebench.analysis.choice import is_not_for_production
from sparsebench.analysis.chooser import MOST, MOST_IN_ALL, Choosable
from sparsebench.analysis.findings import Findings
from sparsebench.analysis.models import MB
from sparsebench.analysis.prices import Offer
from sparsebench.report import labels
from sparsebench.report.choices import candidate_label
from sparsebench.report.tables.choices import value_text
from sparsebench.statistics.percentiles import PERCENTILES

Known = dict[str, Any] | None
"""A number with its 95 % interval and its text; None where it is not known."""


def as_json(networks: Sequence[Choosable]) -> str:
    """JSON that can stand in a page's script element: ``<`` is escaped."""
    content = [
        {
            "name": choosable.network,
            "label": labels.network(choosable.network),
            "decisive": choosable.decisive,
            "candidates": [
                _candidate(candidate, {market: offers[place] for market, offers in choosable.offers.items()})
                for place, candidate in enumerate(choosable.candidates)
            ],
        }
        for choosable in networks
    ]
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def left_out(findings: Findings) -> str:
    """Which networks the page does not choose of, and why; empty where there are none."""
    there = {choosable.network for choosable in findings.choosable}
    names = [labels.network(choice.network) for choice in findings.advice if choice.network not in there]
    if not names:
        return ""
    which = labels.listed(labels.first_of(names, labels.MOST_NAMED))
    return (
        f"This page does not choose of {which}: it carries {MOST} candidates of a network at most, and "
        f"{MOST_IN_ALL:,} in all. sparsebench advise does."
    )


def _candidate(candidate: Candidate, offers: Mapping[str, Offer]) -> dict[str, Any]:
    treatment, accuracy = candidate.treatment, candidate.accuracy
    low, high = candidate.accuracy_interval
    row = {"top1": accuracy.top1 if accuracy else None, "low": low, "high": high}
    return {
        "label": candidate_label(candidate),
        "instance_type": candidate.machine.instance_type,
        "machine": labels.machine(candidate.machine),
        "engine": treatment.engine,
        "engine_label": labels.engine(treatment.engine),
        "variant": treatment.variant,
        "variant_label": labels.VARIANT_LABELS[treatment.variant],
        "threads": candidate.threads,
        "production": not is_not_for_production(treatment.engine),
        "cost": {market: _known(replace(candidate, offer=price), "cost") for market, price in offers.items()},
        "latency": {str(percentile): _known(candidate, "latency", percentile) for percentile in PERCENTILES},
        "too_few": {str(percentile): candidate.latencies[percentile].too_few for percentile in PERCENTILES},
        "throughput": _known(candidate, "throughput"),
        "top1": {"value": accuracy.top1, "low": low, "high": high, "text": labels.accuracy(row)} if accuracy else None,
        "memory_bytes": candidate.memory_bytes,
        "memory": None if candidate.memory_bytes is None else f"{candidate.memory_bytes / MB:.0f} MB",
        "bytes": candidate.size_bytes,
        "size": None if candidate.size_bytes is None else f"{candidate.size_bytes / MB:.1f} MB",
    }


def _known(candidate: Candidate, target: Target, percentile: int = PERCENTILES[0]) -> Known:
    number, low, high = value(candidate, target, percentile)
    if not isfinite(number):
        return None
    ends = {"low": low, "high": high} if isfinite(low) else {}
    return {"value": number, **ends, "text": value_text(target, number, low, high)}
