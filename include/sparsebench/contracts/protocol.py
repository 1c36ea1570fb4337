"""How networks are measured."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from sparsebench.contracts.base import Contract, Name

Precision = Literal["f32", "native"]
"""The lane of a measurement: every engine held to fp32, or each engine's own choice."""

Scenario = Literal["latency", "throughput"]
"""Batch 1, one inference at a time; or as many images a second as the engine can, its own recommended way."""


class Protocol(Contract):
    """How one network's variant is measured on one host.

    A generation is one process of every engine and precision. Where ``interleaved``, they are all loaded, and take
    turns: in a round each times one block while the others are stopped. Otherwise they run one after the other.
    """

    name: Name
    scenario: Scenario
    precisions: tuple[Precision, ...] = Field(min_length=1)
    order: Literal["random", "fixed"] = Field(description="of the engines within a round")
    interleaved: bool
    min_processes: int = Field(ge=1, le=100, description="generations before measuring may stop")
    max_processes: int = Field(ge=1, le=100, description="generations after which it stops")
    min_rounds: int = Field(ge=1, le=10_000, description="undisturbed rounds of a generation, at least")
    max_rounds: int = Field(ge=1, le=10_000, description="rounds of a generation, at most")
    warmup_s: float = Field(ge=0, le=600, description="before the first block of a process, at least")
    max_warmup_s: float = Field(ge=0, le=600, description="it goes on until the engine gets no faster, up to this")
    settle_s: float = Field(ge=0, le=60, description="discarded at the start of each block")
    block_s: float = Field(gt=0, le=3600)
    target: float | None = Field(
        gt=0, lt=1, description="it stops when every ratio's 95 % interval is within ± this; None: only at the maximum"
    )
    budget_s: float = Field(
        gt=0, description="machine time of a file; a job has that of all its files together, for all of them"
    )
    trial_timeout_s: float = Field(gt=0, description="a process that says nothing for longer has failed")
    description: str

    @model_validator(mode="after")
    def _maxima_are_not_below_minima(self) -> Self:
        for low, high in (
            ("min_processes", "max_processes"),
            ("min_rounds", "max_rounds"),
            ("warmup_s", "max_warmup_s"),
        ):
            if getattr(self, high) < getattr(self, low):
                raise ValueError(f"{high} is {getattr(self, high)}, below {low} {getattr(self, low)}")
        return self
