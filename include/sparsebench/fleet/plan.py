"""From what a person asked for to the jobs that go on instances. All input is checked here, before a launch."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from sparsebench import catalog
from sparsebench.bench.plan import plan as plan_trials
from sparsebench.contracts import (
    ArtifactRef,
    BenchRequest,
    Cell,
    Job,
    Manifest,
    ModelCard,
    Protocol,
    SparsifyRequest,
    Variant,
    sha256,
)
from sparsebench.errors import BadInput
from sparsebench.fleet import payload
from sparsebench.store import Store

BUILDABLE: tuple[Variant, ...] = ("base", "pruned", "fake85", "fake99")
"""Variants that the sparsify pipeline makes."""


@dataclass(frozen=True)
class Sweep:
    """What a sweep is asked to measure. Empty networks, variants: all that the night has; engines: all."""

    instance_types: tuple[str, ...]
    networks: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    protocol: str | None = None
    """None: the night's own; for a night that is not frozen yet, the configured one."""

    def __post_init__(self) -> None:
        if not self.instance_types:
            raise BadInput("instance_types: none was chosen; choose at least one")
        catalog.check("instance_types", self.instance_types, catalog.instance_types())
        catalog.check("networks", self.networks, catalog.networks())
        catalog.check("engines", self.engines, catalog.engines())
        if self.protocol is not None:
            catalog.check("protocol", [self.protocol], catalog.protocols())

    def of(self, cards: tuple[ModelCard, ...]) -> list[ModelCard]:
        """The models that are asked for.

        Raises:
            BadInput: a network or a variant that was named has no model among these.
        """
        chosen = [
            card
            for card in cards
            if (not self.networks or card.network in self.networks)
            and (not self.variants or card.variant in self.variants)
        ]
        for network in self.networks:
            has = [card.variant for card in chosen if card.network == network]
            applies = catalog.networks()[network].variants
            wanted = [variant for variant in self.variants or ("base",) if variant in applies]
            missing = [variant for variant in wanted if variant not in has]
            if missing:
                raise BadInput(
                    f"networks: {network!r} has no model for {', '.join(missing)}; run sparsify for it first"
                )
        if not chosen:
            raise BadInput("networks: no model fits what was asked for; run sparsify first")
        return chosen


@dataclass(frozen=True)
class SweepPlan:
    night: str
    jobs: list[Job] = field(default_factory=list)


def job_name(run: str, part: str) -> str:
    """The name of one job of a run: the same over retries, another for every other run."""
    return f"{part}-{sha256(f'{run}/{part}'.encode())[:10]}"


def current_inputs(store: Store, protocol: Protocol) -> dict[str, object]:
    """What a manifest that is frozen now would hold, beside the night and the moment."""
    return {
        "protocol": protocol,
        "models": tuple(store.model_cards()),
        "payload": sha256(payload.wheel()),
        "bench_lock": sha256(payload.lock("bench")),
    }


def night_for(
    store: Store, sweep: Sweep, key: str | None, now: datetime, default_protocol: str
) -> tuple[str, Manifest]:
    """The night that a sweep belongs to, with its manifest: read where it is frozen, made where it is not.

    With a key, that night and no other: a past night's numbers are only compared on its own inputs. A run
    without one (triggered by hand) joins today's first night whose inputs are those that it would freeze,
    so that new models or new code never mix with old ones; if none fits, it opens another (2026-11-24.2).

    The manifest is returned, not written: see ``freeze``.

    Raises:
        BadInput: the night was frozen with another protocol, or without a model that is asked for.
        IntegrityError: the night's manifest was edited.
    """
    if key is not None:
        if store.has_manifest(key):
            return key, _fitting(store.manifest(key), sweep)
        return key, _fresh(store, sweep, key, now, default_protocol)
    today = now.date().isoformat()
    number = 1
    while True:
        night = today if number == 1 else f"{today}.{number}"
        if not store.has_manifest(night):
            return night, _fresh(store, sweep, night, now, default_protocol)
        frozen = store.manifest(night)
        if sweep.protocol in (None, frozen.protocol.name) and _same_inputs(store, sweep, frozen):
            return night, frozen
        number += 1


def _fresh(store: Store, sweep: Sweep, night: str, now: datetime, default_protocol: str) -> Manifest:
    protocol = catalog.protocols()[sweep.protocol or default_protocol]
    manifest = Manifest.freeze(night=night, frozen_at=now, **current_inputs(store, protocol))
    sweep.of(manifest.models)
    return manifest


def _fitting(manifest: Manifest, sweep: Sweep) -> Manifest:
    if sweep.protocol not in (None, manifest.protocol.name):
        raise BadInput(
            f"protocol: {sweep.protocol!r}, but the night {manifest.night} was frozen with "
            f"{manifest.protocol.name!r}; leave it empty, or trigger without a partition key for a night of its own"
        )
    sweep.of(manifest.models)
    return manifest


def _same_inputs(store: Store, sweep: Sweep, frozen: Manifest) -> bool:
    now = current_inputs(store, frozen.protocol)
    if (now["payload"], now["bench_lock"]) != (frozen.payload, frozen.bench_lock):
        return False
    try:
        wanted = {(card.network, card.variant): card.artifact for card in sweep.of(now["models"])}  # type: ignore[arg-type]
        had = {(card.network, card.variant): card.artifact for card in sweep.of(frozen.models)}
    except BadInput:
        return False
    return wanted == had


def plan_sweep(
    store: Store, sweep: Sweep, key: str | None, run: str, image: str, now: datetime, default_protocol: str
) -> SweepPlan:
    """Check everything, freeze the night where it is not, and return a job for each instance type.

    Raises:
        BadInput, StoreError, IntegrityError: before anything was written.
    """
    store.check_writable()
    night, manifest = night_for(store, sweep, key, now, default_protocol)
    models = sweep.of(manifest.models)
    for card in models:
        store.fetch_artifact(card.artifact)
    if not store.has_manifest(night):
        store.put_payload(payload.wheel())
        store.put_lock(payload.lock("bench"))
        store.put_manifest(manifest)
    jobs = []
    for instance_type in sweep.instance_types:
        name = job_name(run, instance_type)
        request = BenchRequest(
            job=name,
            night=night,
            manifest=manifest.digest,
            instance_type=instance_type,
            protocol=manifest.protocol,
            models=tuple(
                ArtifactRef(
                    network=card.network, variant=card.variant, artifact=card.artifact, input_shape=card.input_shape
                )
                for card in models
            ),
            engines=sweep.engines or catalog.engines(),
            seed=int(sha256(name.encode())[:8], 16),
        )
        jobs.append(
            Job(
                job=name,
                run=run,
                label=instance_type,
                instance_type=instance_type,
                image=image,
                environment="bench",
                lock=manifest.bench_lock,
                payload=manifest.payload,
                request=store.put_bench_request(request),
                max_minutes=max_minutes(request),
            )
        )
    return SweepPlan(night, jobs)


def cells(request: BenchRequest) -> list[Cell]:
    """Every cell that a request asks for."""
    return list(dict.fromkeys(slot.cell for slot in plan_trials(request)))


def max_minutes(request: BenchRequest) -> int:
    """A generous bound on a job's time: what is timed, 45 s a trial to load and check, and half an hour."""
    protocol = request.protocol
    trial_s = protocol.warmup_s + protocol.blocks * protocol.block_s + 45
    return min(2880, 30 + int(len(plan_trials(request)) * trial_s / 60 + 1))


def plan_sparsify(
    store: Store,
    networks: tuple[str, ...],
    variants: tuple[str, ...],
    instance_type: str,
    seed: int,
    run: str,
    image: str,
) -> list[Job]:
    """Check everything and return a job for each network.

    Raises:
        BadInput, StoreError: before anything was written.
    """
    catalog.check("networks", networks, catalog.networks())
    catalog.check("instance_type", [instance_type], catalog.instance_types())
    catalog.check("variants", variants, BUILDABLE)
    if not networks or not variants:
        raise BadInput("networks, variants: choose at least one of each")
    store.check_writable()
    lock = store.put_lock(payload.lock("sparsify"))
    wheel = store.put_payload(payload.wheel())
    jobs = []
    for network in networks:
        name = job_name(run, network)
        request = SparsifyRequest(job=name, network=network, variants=variants, seed=seed)  # type: ignore[arg-type]
        jobs.append(
            Job(
                job=name,
                run=run,
                label=network,
                instance_type=instance_type,
                image=image,
                environment="sparsify",
                lock=lock,
                payload=wheel,
                request=store.put_sparsify_request(request),
                max_minutes=240,
            )
        )
    return jobs


def utcnow() -> datetime:
    return datetime.now(UTC)
