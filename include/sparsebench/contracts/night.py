"""A night's frozen inputs."""

from __future__ import annotations

import json
from typing import Any, Self

from pydantic import AwareDatetime, Field

from sparsebench.contracts.base import Name, Night, Sha256, Stored, sha256
from sparsebench.contracts.formats import since
from sparsebench.contracts.instance_types import InstanceFacts
from sparsebench.contracts.models import ModelCard
from sparsebench.contracts.protocol import Protocol


class Manifest(Stored):
    """nights/<night>/manifest.json: a night's frozen inputs.

    ``digest`` covers every other field, so an edited manifest is recognised when it is read.
    """

    night: Night
    frozen_at: AwareDatetime
    protocol: Protocol
    models: tuple[ModelCard, ...]
    image: str = Field(description="AMI id of its instances: the public parameters that name one move")
    arm_image: str = Field(
        default="",
        description="the same for instance types of the architecture arm64; empty: it was frozen without",
        json_schema_extra=since(3),
    )
    payload: Sha256 = Field(description="payloads/<sha256>.whl")
    bench_lock: Sha256 = Field(description="locks/<sha256>.txt")
    request_format: int = Field(
        default=1,
        ge=1,
        description="the newest format of a BenchRequest that the payload reads",
        json_schema_extra=since(2),
    )
    engines: tuple[Name, ...] = Field(
        default=("onnxruntime", "openvino", "deepsparse", "deepsparse.benchmark"),
        min_length=1,
        description="that the payload has",
        json_schema_extra=since(2),
    )
    instance_types: tuple[InstanceFacts, ...] = Field(
        default=(),
        description="of its first run, as AWS said then what they have and cost",
        json_schema_extra=since(2),
    )
    repeats: Night | None = Field(
        default=None,
        description="the night whose inputs these are, in a comparison of two nights: it is no part of the history",
        json_schema_extra=since(3),
    )
    digest: Sha256

    @classmethod
    def freeze(cls, **fields: Any) -> Self:
        """A manifest of these fields, with its digest."""
        draft = cls(**fields, digest="0" * 64)
        return draft.model_copy(update={"digest": content_digest(draft.to_json())})

    def image_for(self, architecture: str) -> str:
        """The AMI id of the night's instances of an architecture; empty: it was frozen without one."""
        return self.arm_image if architecture == "arm64" else self.image

    @property
    def frozen_late(self) -> bool:
        """Whether it was frozen after its night: a past night that had no manifest got today's inputs."""
        return self.frozen_at.date().isoformat() > self.night[:10]


def content_digest(manifest: bytes) -> str:
    """The digest of a manifest as it is stored, whatever this version would write: of its content without its digest.

    Raises:
        ValueError: it is not a JSON object.
    """
    content = dict(json.loads(manifest))
    content.pop("digest", None)
    return sha256(json.dumps(content, sort_keys=True).encode())
