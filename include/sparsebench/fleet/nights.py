"""Which night a sweep belongs to, and the inputs on which that night is measured."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, get_args

from sparsebench import catalog
from sparsebench.contracts import (
    BenchRequest,
    InstanceFacts,
    Manifest,
    ModelCard,
    Protocol,
    Variant,
    is_night,
    newest_format,
    sha256,
)
from sparsebench.errors import BadInput
from sparsebench.fleet import payload
from sparsebench.statistics.pairs import BASE
from sparsebench.store import Store


class Images(NamedTuple):
    """AMI ids of a night's instances, by architecture. arm: empty where there is none."""

    x86: str
    arm: str = ""


@dataclass(frozen=True)
class Sweep:
    """What a sweep is asked to measure. Empty variants: all that the night has; engines: all; networks: all of the
    catalog's that the night has, except those of digits, which would mix with the real ones.

    Raises:
        BadInput: a value that the catalog does not have; of a network, it is ``of`` that knows.
    """

    instance_types: tuple[str, ...]
    networks: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    protocol: str | None = None
    """None: the night's own; for a night that is not frozen yet, the configured one."""

    def __post_init__(self) -> None:
        if not self.instance_types:
            raise BadInput("instance_types: none was chosen; choose at least one")
        for field in ("instance_types", "networks", "variants", "engines"):
            values = getattr(self, field)
            if twice := next((value for value in values if values.count(value) > 1), None):
                raise BadInput(f"{field}: {twice!r} is given twice; give each once")
        catalog.check("engines", self.engines, catalog.engines())
        if self.protocol is not None:
            catalog.check("protocol", [self.protocol], catalog.protocols())

    def models_of(self, manifest: Manifest) -> list[ModelCard]:
        """The models that are asked for, and beside another variant its base, whether it was named or not: what a
        variant brings is known from rounds in which both were timed.

        Raises:
            BadInput: a network or a variant that was named has no model in the manifest, or nobody knows it.
        """
        known = _known()
        catalog.check("networks", self.networks, {*known, *(card.network for card in manifest.models)})
        chosen = [
            card
            for card in manifest.models
            if card.network in (self.networks or catalog.networks())
            and (not self.variants or card.variant in self.variants)
        ]
        for network in self.networks:
            has = [card.variant for card in chosen if card.network == network]
            applies = known[network].variants if network in known else get_args(Variant)
            wanted = [variant for variant in self.variants or ("base",) if variant in applies]
            missing = [variant for variant in wanted if variant not in has]
            if missing:
                raise BadInput(
                    f"networks: {network!r} has no model for {', '.join(missing)}; run sparsify for it first"
                )
        if not chosen:
            raise BadInput("networks: no model fits what was asked for; run sparsify first")
        measured = {card.network for card in chosen}
        return [
            card for card in manifest.models if card in chosen or (card.network in measured and card.variant == BASE)
        ]


def _known() -> dict[str, catalog.Network]:
    return catalog.networks() | catalog.digits_networks()


def manifest_for(
    store: Store,
    sweep: Sweep,
    key: str | None,
    images: Images,
    now: datetime,
    default_protocol: str,
    types: tuple[InstanceFacts, ...] = (),
) -> Manifest:
    """The manifest of the night that a sweep belongs to: read where it is frozen, made where it is not.

    With a key, that night and no other: a past night's numbers are only compared on its own inputs. A run
    without one (triggered by hand) joins today's first night whose inputs are those that it would freeze,
    so that new models or new code never mix with old ones; if none fits, it opens another (2026-11-24.2). One that
    names a network that the catalog does not know leaves the day's first night to the schedule.

    Nothing is written: see ``freeze``.

    Args:
        images, types: that a night gets which is not frozen yet. A night that is keeps its own.

    Raises:
        BadInput: the key is no night's name, or the night was frozen with another protocol, or without a model that is
            asked for.
        IntegrityError: the night's manifest was edited.
    """
    if key is not None:
        if not is_night(key):
            raise BadInput(
                f"partition key is {key!r}; expected a day of the calendar, or a day and a number: 2026-11-24 or "
                "2026-11-24.2"
            )
        if store.has_manifest(key):
            return fitting(store.manifest(key), sweep)
        return _new(store, sweep, key, images, now, default_protocol, types)
    today = now.date().isoformat()
    foreign = not _known().keys() >= {*sweep.networks}
    night, number = (f"{today}.2", 2) if foreign else (today, 1)
    while store.has_manifest(night):
        frozen = store.manifest(night)
        is_open = not frozen.repeats and all(frozen.image_for(facts.architecture) for facts in types)
        if (
            is_open
            and sweep.protocol in (None, frozen.protocol.name)
            and _measures_the_same(
                sweep,
                frozen,
                _current(store, sweep, night, Images(frozen.image, frozen.arm_image), now, frozen.protocol),
            )
        ):
            return frozen
        number += 1
        night = f"{today}.{number}"
    return _new(store, sweep, night, images, now, default_protocol, types)


def fitting(manifest: Manifest, sweep: Sweep) -> Manifest:
    """The manifest, when the sweep can be measured on it.

    Raises:
        BadInput: it has another protocol, or lacks a model or an engine that is asked for.
    """
    if sweep.protocol not in (None, manifest.protocol.name):
        raise BadInput(
            f"protocol: {sweep.protocol!r}, but the night {manifest.night} was frozen with "
            f"{manifest.protocol.name!r}; leave it empty, or trigger without a partition key for a night of its own"
        )
    for engine in sweep.engines:
        if engine not in manifest.engines:
            raise BadInput(
                f"engines: {engine!r}, but the code that the night {manifest.night} was frozen with has "
                f"{', '.join(manifest.engines)} only; trigger without a partition key for a night of its own"
            )
    sweep.models_of(manifest)
    return manifest


def freeze(store: Store, manifest: Manifest) -> Manifest:
    """Put a night's inputs into the store, and return the manifest that holds: another run may have been first."""
    if not store.has_manifest(manifest.night):
        store.put_payload(payload.wheel())
        store.put_lock(payload.lock("bench"))
    return store.freeze(manifest)


def _current(
    store: Store,
    sweep: Sweep,
    night: str,
    images: Images,
    now: datetime,
    protocol: Protocol,
    types: tuple[InstanceFacts, ...] = (),
) -> Manifest:
    """What would be frozen now. Of networks that the catalog does not know, only those that are asked for: others are
    not to make a difference between nights."""
    known = {*_known(), *sweep.networks}
    return Manifest.freeze(
        night=night,
        frozen_at=now,
        protocol=protocol,
        models=tuple(card for card in store.model_cards() if card.network in known),
        image=images.x86,
        arm_image=images.arm,
        payload=sha256(payload.wheel()),
        bench_lock=sha256(payload.lock("bench")),
        request_format=newest_format(BenchRequest),
        engines=catalog.engines(),
        instance_types=types,
    )


def _new(
    store: Store,
    sweep: Sweep,
    night: str,
    images: Images,
    now: datetime,
    default_protocol: str,
    types: tuple[InstanceFacts, ...],
) -> Manifest:
    protocol = catalog.protocols()[sweep.protocol or default_protocol]
    return fitting(_current(store, sweep, night, images, now, protocol, types), sweep)


def _measures_the_same(sweep: Sweep, a: Manifest, b: Manifest) -> bool:
    """Whether a sweep would measure the same files with the same code on both."""
    if (a.payload, a.bench_lock) != (b.payload, b.bench_lock):
        return False
    try:
        files = [{_files(card) for card in sweep.models_of(manifest)} for manifest in (a, b)]
    except BadInput:
        return False
    return files[0] == files[1]


def _files(card: ModelCard) -> tuple[object, ...]:
    return card.network, card.variant, card.artifact, frozenset(card.encodings.items()), card.parent
