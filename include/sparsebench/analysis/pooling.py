"""Several nights as one: each host of each night is a further sample of the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from sparsebench.analysis import columns
from sparsebench.analysis.results import Results
from sparsebench.analysis.trials import from_trials
from sparsebench.contracts import BenchRequest, Collection, HostFacts, InstanceFacts, Manifest, Trial
from sparsebench.errors import BadInput
from sparsebench.store import Store, Unreadable

T = TypeVar("T", Trial, HostFacts)


@dataclass(frozen=True)
class Night:
    """What a store has of a night."""

    manifest: Manifest
    trials: Sequence[Trial]
    hosts: Sequence[HostFacts]
    collections: Sequence[Collection] = ()
    requests: Sequence[BenchRequest] = ()
    unreadable: Sequence[Unreadable] = ()
    types: Mapping[str, InstanceFacts] = field(default_factory=dict)
    """What its instance types had and cost when its runs were planned."""

    @classmethod
    def read(cls, store: Store, name: str) -> Night:
        """What can be read of a night and belongs to it; and what was left out, with the reason.

        Raises:
            StoreError: the night has no manifest, or that was edited, or the store cannot be read.
        """
        manifest, unreadable = store.manifest(name), list[Unreadable]()
        trials = []
        for trial in columns.trials(store, name, unreadable):
            if wrong := _not_of(manifest, trial):
                unreadable.append(Unreadable(store.trial_path(trial), wrong))
            else:
                trials.append(trial)
        hosts, collections = store.hosts(name, unreadable), store.collections(name, unreadable)
        requests, types = store.bench_requests(name, unreadable), store.night_instance_facts(manifest, unreadable)
        return cls(manifest, trials, hosts, collections, requests, unreadable, types)

    @property
    def name(self) -> str:
        return self.manifest.night

    @property
    def artifacts(self) -> dict[tuple[str, str, str], str]:
        """The digest of what was measured, by network, variant and engine: some have an encoding of their own."""
        cells = ((trial.cell, trial.artifact) for trial in self.trials)
        return {(cell.network, cell.variant, cell.engine): artifact for cell, artifact in cells}


def _not_of(manifest: Manifest, trial: Trial) -> str:
    """Why a trial did not measure what the night was frozen with; empty where it did."""
    cell = trial.cell
    cards = [card for card in manifest.models if (card.network, card.variant) == (cell.network, cell.variant)]
    if not cards:
        return f"the night's manifest has no {cell.network} {cell.variant}"
    artifact = cards[0].encodings.get(cell.engine, cards[0].artifact)
    if trial.artifact != artifact:
        return f"it measured the artifact {trial.artifact[:12]}, and the night's manifest has {artifact[:12]}"
    if cell.engine not in manifest.engines:
        return f"the night's payload has no engine {cell.engine}"
    if cell.precision not in manifest.protocol.precisions:
        return f"the night's protocol has no lane {cell.precision}"
    return ""


def pooled(nights: Sequence[Night]) -> Results:
    """The results of all trials of these nights. Of several, a host's id is its night and its own: it is another on
    another night, in another place of the data centre and among other neighbours.

    Raises:
        BadInput: names what differs: a field of the protocol, or the artifact of a network's variant.
    """
    if differences := [text for other in nights[1:] for text in _differences(nights[0], other)]:
        raise BadInput(f"these nights did not measure the same: {'; '.join(differences)}")
    if len(nights) == 1:
        (night,) = nights
        return from_trials(night.trials, night.hosts, night.collections, night.requests, night.unreadable)
    return from_trials(
        [_renamed(trial, night) for night in nights for trial in night.trials],
        [_renamed(host, night) for night in nights for host in night.hosts],
        [collection for night in nights for collection in night.collections],
        [request for night in nights for request in night.requests],
        [left_out for night in nights for left_out in night.unreadable],
    )


def _renamed(what: T, night: Night) -> T:
    return what.model_copy(update={"instance_id": f"{night.name} {what.instance_id}"})


def _differences(first: Night, second: Night) -> list[str]:
    first_protocol, second_protocol = first.manifest.protocol.model_dump(), second.manifest.protocol.model_dump()
    fields = [
        f"{name} of the protocol is {first_protocol[name]} in {first.name} and {second_protocol[name]} in {second.name}"
        for name in first_protocol
        if first_protocol[name] != second_protocol[name] and name != "description"
    ]
    artifacts = [
        f"{network} {variant} is artifact {digest[:12]} in {first.name} and {other_digest[:12]} in {second.name}"
        for (network, variant, engine), digest in first.artifacts.items()
        if (other_digest := second.artifacts.get((network, variant, engine), digest)) != digest
    ]
    return fields + list(dict.fromkeys(artifacts))
