"""From what a person asked for to the jobs that go on instances. All input is checked here, before a launch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import product
from math import ceil, inf
from typing import Any

from sparsebench import catalog
from sparsebench.bench.stopping import VERDICT_BUDGETS
from sparsebench.contracts import (
    ArtifactRef,
    BenchRequest,
    Cell,
    ImportRequest,
    InstanceFacts,
    Job,
    Manifest,
    Market,
    SparsifyRequest,
    sha256,
)
from sparsebench.download import check_keepable
from sparsebench.errors import BadInput
from sparsebench.fleet import instance_types, payload
from sparsebench.fleet.nights import Images, Sweep, fitting, freeze, manifest_for
from sparsebench.fleet.spending import Expected, check_payable, expected, took, within_budget
from sparsebench.importing import check as importing
from sparsebench.sparsify.check import check
from sparsebench.store import Store

IMPORT_MINUTES = 120
"""For an instance that fetches a file and tries it in the engines."""


@dataclass(frozen=True)
class Run:
    """The Airflow run that jobs belong to, and what its instances are launched with.

    image, arm_image: AMI ids, by architecture; empty: none was found, and none is needed.
    types: what AWS said of the instance types in the region; of others the catalog says it.
    budget_usd: of the whole run; None: without limit. max_live: the project's instances at a time.
    """

    dag_id: str
    run_id: str
    image: str
    arm_image: str = ""
    region: str = "us-east-1"
    market: Market = "on_demand"
    budget_usd: float | None = None
    max_live: int = 64
    types: Mapping[str, InstanceFacts] = field(default_factory=dict)

    def __post_init__(self) -> None:
        budget: object = self.budget_usd
        if budget is not None and not (isinstance(budget, int | float) and 0 <= budget < inf):
            raise BadInput(f"budget_usd is {budget!r}; expected an amount of USD, 0 or more, or nothing")

    def job_name(self, part: str) -> str:
        return job_name(self.dag_id, self.run_id, part)

    def facts(self, name: str, field: str = "instance_type", training: bool = False) -> InstanceFacts:
        """
        Raises:
            BadInput: neither AWS nor the catalog was heard of the instance type, or nothing can be done on it.
        """
        facts = self.types.get(name) or instance_types.of_name(name, self.region, field)
        if reason := instance_types.unfit(facts, training):
            raise BadInput(f"{field}: {name!r} {reason}")
        return facts

    def description(self, name: str) -> str:
        """What an instance type of EC2 has and costs, and since when that is known."""
        facts = self.facts(name)
        return "" if facts.vcpus is None else instance_types.in_words(facts)

    def image_for(self, facts: InstanceFacts) -> str:
        """The AMI id for an instance type."""
        return self.arm_image if facts.architecture == "arm64" else self.image

    def launch_fields(self, facts: InstanceFacts) -> dict[str, Any]:
        """What a job of the run says of its instance, beside what it does."""
        return {
            "dag_id": self.dag_id,
            "run_id": self.run_id,
            "instance_type": facts.name,
            "architecture": facts.architecture,
            "market": self.market,
            "usd_per_hour": facts.at_most_usd_per_hour,
            "burstable": facts.burstable,
            "single_thread_cores": facts.single_thread_cores,
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
    types = [run.facts(name, "instance_types") for name in sweep.instance_types]
    store.check_writable()
    of_ec2 = tuple(facts for facts in types if facts.vcpus is not None)
    manifest = manifest_for(store, sweep, key, Images(run.image, run.arm_image), now, default_protocol, of_ec2)
    for card in sweep.models_of(manifest):
        for artifact in {card.artifact, *card.encodings.values(), *filter(None, [card.parent])}:
            store.fetch_artifact(artifact)
    planned = _planned(store, sweep, manifest, run)
    within_budget(planned.expected, run.budget_usd)
    frozen = fitting(freeze(store, manifest), sweep)
    if frozen.digest != manifest.digest:  # another run was first
        planned = _planned(store, sweep, frozen, run)
    for facts in of_ec2:
        store.freeze_instance_facts(frozen, facts)
    for request in planned.requests:
        store.put_bench_request(request, frozen.request_format)
    return planned


def _planned(store: Store, sweep: Sweep, manifest: Manifest, run: Run) -> Plan:
    return planned_on(store, sweep, manifest, run, {name: name for name in sweep.instance_types})


def planned_on(store: Store, sweep: Sweep, manifest: Manifest, run: Run, parts: Mapping[str, str]) -> Plan:
    """A job of a night for each part of a run. Nothing is written.

    Args:
        parts: their instance types, by name.

    Raises:
        BadInput: the night cannot be measured on a type, or its code cannot do what is asked.
    """
    models = tuple(
        ArtifactRef(
            network=card.network,
            variant=card.variant,
            artifact=card.artifact,
            encodings=card.encodings,
            input_shape=card.input_shape,
            parent=card.parent,
        )
        for card in sweep.models_of(manifest)
    )
    requests, jobs = [], []
    for part, instance_type in parts.items():
        facts = run.facts(instance_type, "instance_types")
        name = run.job_name(part)
        request = BenchRequest(
            job=name,
            night=manifest.night,
            manifest=manifest.digest,
            instance_type=instance_type,
            protocol=manifest.protocol,
            models=models,
            engines=sweep.engines or manifest.engines,
            seed=int(sha256(name.encode())[:8], 16),
        )
        _check_readable(request, manifest)
        requests.append(request)
        jobs.append(
            Job(
                job=name,
                label=part,
                image=_image(manifest, facts),
                module="bench",
                lock=manifest.bench_lock,
                payload=manifest.payload,
                request=store.bench_request_path(request),
                max_minutes=max_minutes(request),
                **run.launch_fields(facts),
            )
        )
    spells = took(store, manifest.protocol)
    expected_ = tuple(
        expected(spells, job, request, run.description(job.instance_type))
        for job, request in zip(jobs, requests, strict=True)
    )
    return Plan(tuple(jobs), tuple(requests), expected_)


def _image(manifest: Manifest, facts: InstanceFacts) -> str:
    """
    Raises:
        BadInput: the night has none for the instance type.
    """
    image = manifest.image_for(facts.architecture)
    if not image:
        raise BadInput(
            f"instance_types: {facts.name!r} is of the architecture {facts.architecture}, for which the night "
            f"{manifest.night} was frozen without an image; trigger without a partition key for a night of its own"
        )
    return image


def _check_readable(request: BenchRequest, manifest: Manifest) -> None:
    """Whether the code that the night was frozen with can read what it is asked.

    Raises:
        BadInput: names the field that it does not know.
    """
    try:
        request.to_json(manifest.request_format)
    except BadInput as error:
        raise BadInput(f"the night {manifest.night} was frozen with code that cannot do this: {error}") from error


def repeated(store: Store, job: Job, number: int) -> Job:
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
    """A generous bound on a job's time: each file's budget and 5 min for the generation that may outlast it, or what
    may be spent for a verdict where that is more; and half an hour."""
    budget_s = request.protocol.budget_s
    return min(2880, 30 + ceil(len(request.models) * max(budget_s + 300, VERDICT_BUDGETS * budget_s) / 60))


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
    facts = run.facts(instance_type, training=True)
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
        check_keepable(weights=request.weights)
    check_payable(instance_type, facts.at_most_usd_per_hour, 60 * hours, run.budget_usd)
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
            **run.launch_fields(facts),
        )
        for request in requests
    ]


def plan_import(store: Store, run: Run, instance_type: str, part: str = "import", **request: Any) -> list[Job]:
    """Check what is known of a file before it is fetched, and return the job that imports it.

    Args:
        part: of the run, where it imports several.
        request: the fields of ``ImportRequest``, without the job.

    Raises:
        BadInput, StoreError: before anything was written.
    """
    facts = run.facts(instance_type)
    wanted = ImportRequest.checked(job=run.job_name(part), **request)
    importing.check(wanted)
    check_keepable(source=wanted.source, parent=wanted.parent, integer=wanted.integer)
    check_payable(instance_type, facts.at_most_usd_per_hour, IMPORT_MINUTES, run.budget_usd)
    store.check_writable()
    return [
        Job(
            job=wanted.job,
            label=f"{wanted.network} {wanted.variant}",
            image=run.image_for(facts),
            module="importing",
            lock=store.put_lock(payload.lock("bench")),
            payload=store.put_payload(payload.wheel()),
            request=store.put_import_request(wanted),
            max_minutes=IMPORT_MINUTES,
            **run.launch_fields(facts),
        )
    ]
