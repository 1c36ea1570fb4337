"""Which machine to take for one network: the answer, how it was come to, and what was not tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import shorten

from sparsebench import catalog, report
from sparsebench.analysis.choice import Bounds
from sparsebench.analysis.shortlist import choice_between, contenders
from sparsebench.contracts import BenchRequest, Collection, Job, MissingCell
from sparsebench.fleet.plan import repeated
from sparsebench.report import choices, labels, sentences
from sparsebench.store import Store

AGAIN = 2
"""The number of a job that measures on an instance of its own what was measured before."""

MOST_SAID = 200
"""Characters of why something has no number; the report has all."""

SIBLINGS = {"pruned": "a pruned", "int8": "an INT8"}
"""The files of a network that may be given beside the base, by variant."""


def further(store: Store, jobs: Sequence[Job], bounds: Bounds) -> list[Job]:
    """The jobs that measure again, on other instances, the types that do not clearly lose. None where one is left."""
    request = store.bench_request(jobs[0].request)
    types = [job.instance_type for job in jobs]
    choice = choice_between(report.compare(store, [request.night]), request.models[0].network, types, bounds)
    left = contenders(choice) if choice else []
    return [repeated(store, job, AGAIN) for job in jobs if job.instance_type in left]


def answer(store: Store, jobs: Sequence[Job], collection: Collection, bounds: Bounds) -> list[str]:
    """Sentences: what to take and by how much the next is behind, what the siblings compute beside the base, what makes
    the answer doubtful, which types were measured again, what was not tried.

    jobs: of the first time that all types were measured.
    """
    requests = [store.bench_request(job.request) for job in jobs]
    network, types = requests[0].models[0].network, [job.instance_type for job in jobs]
    findings = report.compare(store, [collection.night])
    choice = choice_between(findings, network, types, bounds)
    doubts = sentences.doubts([one for one in findings.machines if one.machine.instance_type in types], network)
    advice = choices.advice(choice) if choice else [f"{network}: no machine can be named, as nothing has a number."]
    outputs = sentences.beside_base([card for card in findings.cards if card.network == network])
    return [*advice, *outputs, *doubts, *_again(store, requests), *_untried(requests, collection.missing)]


def _again(store: Store, requests: Sequence[BenchRequest]) -> Iterator[str]:
    twice, once = [], []
    for request in requests:
        name, again = request.instance_type, f"{request.job}.{AGAIN}"
        if store.trials(request.night, name, again):
            twice.append(name)
        elif store.trials(request.night, name, request.job):
            once.append(name)
        if failure := store.failure(again):
            yield f"The second time, {name} failed: {labels.reason(failure.reason)}: {failure.detail}."
    if twice:
        yield f"Measured twice, on another instance each time, as none clearly lost: {labels.listed(twice)}."
    if once:
        yield f"Measured once: {labels.listed(once)}."


def _untried(requests: Sequence[BenchRequest], missing: Sequence[MissingCell]) -> Iterator[str]:
    """What has no number, with the reason, and what nobody asked for."""
    variants = list(dict.fromkeys(model.variant for model in requests[0].models))
    engines: dict[tuple[str, str, str], dict[str, set[str]]] = {}
    for absent in missing:
        detail = shorten(absent.detail, MOST_SAID).rstrip(".")
        of_reason = engines.setdefault((absent.cell.instance_type, absent.reason, detail), {})
        of_reason.setdefault(labels.engine(absent.cell.engine), set()).add(absent.cell.variant)
    for (instance_type, reason, detail), of_reason in engines.items():
        names = [_of_variants(engine, [variant for variant in variants if variant in lost], len(variants))
                 for engine, lost in of_reason.items()]  # fmt: skip
        yield f"No number: {labels.listed(names)} on {instance_type}, {labels.reason(reason)}: {detail}."
    asked = {request.instance_type for request in requests}
    others = [name for name, entry in catalog.cpu_instance_types().items() if entry.vcpus and name not in asked]
    untried = [
        *(f"{what} file, as none was given" for variant, what in SIBLINGS.items() if variant not in variants),
        *([f"{labels.listed(others)}, and every type that the catalog does not list"] if others else []),
    ]
    if untried:
        yield f"Not tried: {'; '.join(untried)}."


def _of_variants(engine: str, lost: Sequence[str], of: int) -> str:
    """The engine, with its variants where it has a number with others."""
    if len(lost) == of:
        return engine
    return f"{engine} ({labels.listed([labels.VARIANT_LABELS[variant] for variant in lost])})"
