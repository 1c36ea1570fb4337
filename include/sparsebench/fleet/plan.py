"""From what a person asked for to the jobs that go on instances. All input is checked here, before a launch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from math import ceil
from typing import Any

from sparsebench import catalog
from sparsebench.contracts import (
    ArtifactRef,
    BenchRequest,
    Cell,
    ImportRequest,
    Job,
    Manifest,
    Market,
    SparsifyRequest,
    sha256,
)
from sparsebench.errors import BadInput
from sparsebench.fleet import payload
from sparsebench.fleet.nights import Sweep, fitting, freeze, manifest_for
from sparsebench.fleet.spending import Expected, expected, price, within_budget
from sparsebench.importing import check as importing
from sparsebench.sparsify.check import check
from sparsebench.store import Store

IMPORT_MINUTES = 120
"""For an instance that fetches a file and tries it in the engines."""


@dataclass(frozen=True)
class Run:
    """The Airflow run that jobs belong to, and what its instances are launched with.

    image: AMI id. region: whose prices are paid. budget_usd: of the whole run; None: without limit. max_live: the
    project's instances at a time.
    """

    dag_id: str
    run_id: str
    image: str
    region: str = "us-east-1"
    market: Market = "on_demand"
    budget_usd: float | None = None
    max_live: int = 64

    def job_name(self, part: str) -> str:
        return job_name(self.dag_id, self.run_id, part)

    def terms(self, instance_type: str) -> dict[str, Any]:
        """What a job of the run says of its instance, beside what it does."""
        return {
            "dag_id": self.dag_id,
            "run_id": self.run_id,
            "instance_type": instance_type,
            "market": self.market,
            "usd_per_hour": price(instance_type, self.region),
            "budget_usd": self.budget_usd,
            "max_live": self.max_live,
        }


def job_name(dag_id: str, run_id: str, part: str) -> str:
    """The name of one job of a run: the same over retries, another for every other run."""
    return f"{part}-{sha256(f'{dag_id}/{run_id}/{part}'.encode())[:10]}"


@dataclass(frozen=True)
class Plan:
    """A job for each instance type, with its request, and what it is expected to cost."""

    jobs: tuple[Job, ...]
    requests: tuple[BenchRequest, ...]
    expected: tuple[Expected, ...]


def plan_sweep(store: Store, sweep: Sweep, key: str | None, run: Run, now: datetime, default_protocol: str) -> Plan:
    """Check everything, freeze the night where it is not, and return a job for each instance type.

    Args:
        key: the run's partition, or None for a run by hand.

    Raises:
        BadInput, StoreError, IntegrityError: before anything was written.
    """
    store.check_writable()
    manifest = manifest_for(store, sweep, key, run.image, now, default_protocol)
    for card in sweep.of(manifest):
        for artifact in {card.artifact, *card.encodings.values(), *filter(None, [card.parent])}:
            store.fetch_artifact(artifact)
    planned = _planned(store, sweep, manifest, run)
    within_budget(planned.expected, run.budget_usd)
    frozen = fitting(freeze(store, manifest), sweep)
    if frozen.digest != manifest.digest:  # another run was first
        planned = _planned(store, sweep, frozen, run)
    for request in planned.requests:
        store.put_bench_request(request)
    return planned


def _planned(store: Store, sweep: Sweep, manifest: Manifest, run: Run) -> Plan:
    models = tuple(
        ArtifactRef(
            network=card.network,
            variant=card.variant,
            artifact=card.artifact,
            encodings=card.encodings,
            input_shape=card.input_shape,
            parent=card.parent,
        )
        for card in sweep.of(manifest)
    )
    requests, jobs = [], []
    for instance_type in sweep.instance_types:
        name = run.job_name(instance_type)
        request = BenchRequest(
            job=name,
            night=manifest.night,
            manifest=manifest.digest,
            instance_type=instance_type,
            protocol=manifest.protocol,
            models=models,
            engines=sweep.engines or catalog.engines(),
            seed=int(sha256(name.encode())[:8], 16),
        )
        requests.append(request)
        jobs.append(
            Job(
                job=name,
                label=instance_type,
                image=manifest.image,
                module="bench",
                lock=manifest.bench_lock,
                payload=manifest.payload,
                request=store.bench_request_path(request),
                max_minutes=max_minutes(request),
                **run.terms(instance_type),
            )
        )
    expected_ = tuple(expected(store, job, request) for job, request in zip(jobs, requests, strict=True))
    return Plan(tuple(jobs), tuple(requests), expected_)


def again(store: Store, job: Job, number: int) -> Job:
    """The same job under a name of its own, so that it is done again beside what was done before.

    number: from 2.
    """
    name = f"{job.job}.{number}"
    if job.module == "bench":
        path = store.put_bench_request(store.bench_request(job.request).model_copy(update={"job": name}))
    elif job.module == "sparsify":
        path = store.put_sparsify_request(store.sparsify_request(job.request).model_copy(update={"job": name}))
    else:
        path = store.put_import_request(store.import_request(job.request).model_copy(update={"job": name}))
    return job.model_copy(update={"job": name, "request": path})


def cells(request: BenchRequest) -> list[Cell]:
    """Every cell that a request asks for."""
    return [
        Cell(
            instance_type=request.instance_type,
            network=model.network,
            variant=model.variant,
            engine=engine,
            precision=precision,
        )
        for model, engine, precision in product(request.models, request.engines, request.protocol.precisions)
    ]


def max_minutes(request: BenchRequest) -> int:
    """A generous bound on a job's time: each network's budget, 5 min for the generation that may outlast it, and
    half an hour."""
    return min(2880, 30 + ceil(len(request.models) * (request.protocol.budget_s + 300) / 60))


def plan_sparsify(
    store: Store,
    networks: Sequence[str],
    variants: Sequence[str],
    instance_type: str,
    run: Run,
    hours: int = 4,
    **how: Any,
) -> list[Job]:
    """Check everything and return a job for each network.

    Args:
        variants: a network is not asked for one that it does not have, such as INT8.
        hours: after which each instance ends itself.
        how: the other fields of a ``SparsifyRequest``.

    Raises:
        BadInput, StoreError: before anything was written.
    """
    if not networks or not variants:
        raise BadInput("networks, variants: choose at least one of each")
    catalog.check("networks", tuple(networks), catalog.networks())
    catalog.check("instance_type", [instance_type], catalog.instance_types())
    if how.get("recipe") and len(networks) > 1:
        raise BadInput(f"recipe: it names the layers of one network; expected one network, not {len(networks)}")
    requests = []
    for network in networks:
        has = [variant for variant in variants if variant in catalog.networks()[network].variants]
        if has:
            requests.append(SparsifyRequest.checked(job=run.job_name(network), network=network, variants=has, **how))
    if not requests:
        raise BadInput(f"variants: {', '.join(networks)} has no {variants[0]!r}")
    for request in requests:
        check(request)
    store.check_writable()
    lock = store.put_lock(payload.lock("sparsify"))
    wheel = store.put_payload(payload.wheel())
    return [
        Job(
            job=request.job,
            label=request.network,
            image=run.image,
            module="sparsify",
            lock=lock,
            payload=wheel,
            request=store.put_sparsify_request(request),
            max_minutes=60 * hours,
            **run.terms(instance_type),
        )
        for request in requests
    ]


def plan_import(store: Store, run: Run, instance_type: str, **request: Any) -> list[Job]:
    """Check what is known of a file before it is fetched, and return the job that imports it.

    Args:
        request: the fields of ``ImportRequest``, without the job.

    Raises:
        BadInput, StoreError: before anything was written.
    """
    catalog.check("instance_type", [instance_type], catalog.cpu_instance_types())
    wanted = ImportRequest.checked(job=run.job_name("import"), **request)
    importing.check(wanted)
    store.check_writable()
    return [
        Job(
            job=wanted.job,
            label=f"{wanted.network} {wanted.variant}",
            image=run.image,
            module="importing",
            lock=store.put_lock(payload.lock("bench")),
            payload=store.put_payload(payload.wheel()),
            request=store.put_import_request(wanted),
            max_minutes=IMPORT_MINUTES,
            **run.terms(instance_type),
        )
    ]
