"""From what a person asked for to the jobs that go on instances. All input is checked here, before a launch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import product
from math import ceil

from sparsebench import catalog
from sparsebench.contracts import ArtifactRef, BenchRequest, Cell, Job, SparsifyRequest, sha256
from sparsebench.errors import BadInput
from sparsebench.fleet import payload
from sparsebench.fleet.nights import Sweep, fitting, freeze, manifest_for
from sparsebench.sparsify.check import check
from sparsebench.store import Store

SPARSIFY_MINUTES = 240
"""Bound on the time to build one network's variants; VGG-19's base and pruned took 6 minutes on two cores."""


@dataclass(frozen=True)
class Run:
    """The Airflow run that jobs belong to, and the image that its instances are launched from."""

    dag_id: str
    run_id: str
    image: str

    def job_name(self, part: str) -> str:
        return job_name(self.dag_id, self.run_id, part)


def job_name(dag_id: str, run_id: str, part: str) -> str:
    """The name of one job of a run: the same over retries, another for every other run."""
    return f"{part}-{sha256(f'{dag_id}/{run_id}/{part}'.encode())[:10]}"


def plan_sweep(
    store: Store, sweep: Sweep, key: str | None, run: Run, now: datetime, default_protocol: str
) -> list[Job]:
    """Check everything, freeze the night where it is not, and return a job for each instance type.

    Args:
        key: the run's partition, or None for a run by hand.

    Raises:
        BadInput, StoreError, IntegrityError: before anything was written.
    """
    store.check_writable()
    manifest = manifest_for(store, sweep, key, now, default_protocol)
    for card in sweep.of(manifest):
        store.fetch_artifact(card.artifact)
    manifest = fitting(freeze(store, manifest), sweep)
    models = tuple(
        ArtifactRef(network=card.network, variant=card.variant, artifact=card.artifact, input_shape=card.input_shape)
        for card in sweep.of(manifest)
    )
    jobs = []
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
        jobs.append(
            Job(
                job=name,
                dag_id=run.dag_id,
                run_id=run.run_id,
                label=instance_type,
                instance_type=instance_type,
                image=run.image,
                environment="bench",
                lock=manifest.bench_lock,
                payload=manifest.payload,
                request=store.put_bench_request(request),
                max_minutes=max_minutes(request),
            )
        )
    return jobs


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
    store: Store, networks: tuple[str, ...], variants: tuple[str, ...], instance_type: str, seed: int, run: Run
) -> list[Job]:
    """Check everything and return a job for each network.

    Raises:
        BadInput, StoreError: before anything was written.
    """
    if not networks or not variants:
        raise BadInput("networks, variants: choose at least one of each")
    catalog.check("networks", networks, catalog.networks())
    catalog.check("instance_type", [instance_type], catalog.instance_types())
    requests = [
        SparsifyRequest(job=run.job_name(network), network=network, variants=variants, seed=seed)  # type: ignore[arg-type]
        for network in networks
    ]
    for request in requests:
        check(request)
    store.check_writable()
    lock = store.put_lock(payload.lock("sparsify"))
    wheel = store.put_payload(payload.wheel())
    return [
        Job(
            job=request.job,
            dag_id=run.dag_id,
            run_id=run.run_id,
            label=request.network,
            instance_type=instance_type,
            image=run.image,
            environment="sparsify",
            lock=lock,
            payload=wheel,
            request=store.put_sparsify_request(request),
            max_minutes=SPARSIFY_MINUTES,
        )
        for request in requests
    ]
