"""Several nights as one: each host of each night is a further sample of the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from sparsebench.analysis.results import Results
from sparsebench.analysis.trials import from_trials
from sparsebench.contracts import Collection, HostFacts, Manifest, Trial
from sparsebench.errors import BadInput

T = TypeVar("T", Trial, HostFacts)


@dataclass(frozen=True)
class Night:
    """What a store has of a night."""

    manifest: Manifest
    trials: Sequence[Trial]
    hosts: Sequence[HostFacts]
    collections: Sequence[Collection] = ()

    @property
    def name(self) -> str:
        return self.manifest.night

    @property
    def artifacts(self) -> dict[tuple[str, str, str], str]:
        """The digest of what was measured, by network, variant and engine: some have an encoding of their own."""
        cells = ((trial.cell, trial.artifact) for trial in self.trials)
        return {(cell.network, cell.variant, cell.engine): artifact for cell, artifact in cells}


def pooled(nights: Sequence[Night]) -> Results:
    """The results of all trials of these nights. A host's id is its night and its own: it is another on another night,
    in another place of the data centre and among other neighbours.

    Raises:
        BadInput: names what differs: a field of the protocol, or the artifact of a network's variant.
    """
    if differences := [text for other in nights[1:] for text in _differences(nights[0], other)]:
        raise BadInput(f"these nights did not measure the same: {'; '.join(differences)}")
    return from_trials(
        [_renamed(trial, night) for night in nights for trial in night.trials],
        [_renamed(host, night) for night in nights for host in night.hosts],
        [collection for night in nights for collection in night.collections],
    )


def _renamed(what: T, night: Night) -> T:
    return what.model_copy(update={"instance_id": f"{night.name} {what.instance_id}"})


def _differences(one: Night, other: Night) -> list[str]:
    mine, theirs = one.manifest.protocol.model_dump(), other.manifest.protocol.model_dump()
    fields = [
        f"{name} of the protocol is {mine[name]} in {one.name} and {theirs[name]} in {other.name}"
        for name in mine
        if mine[name] != theirs[name] and name != "description"
    ]
    artifacts = [
        f"{network} {variant} is artifact {digest[:12]} in {one.name} and {found[:12]} in {other.name}"
        for (network, variant, engine), digest in one.artifacts.items()
        if (found := other.artifacts.get((network, variant, engine), digest)) != digest
    ]
    return fields + list(dict.fromkeys(artifacts))
