"""What was measured, on which machine, and what is missing."""

from __future__ import annotations

import re
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import AwareDatetime, Field, model_validator

from sparsebench.contracts.base import (
    VARIANTS_SINCE,
    Contract,
    Fraction,
    Name,
    Night,
    Sha256,
    Stored,
    Variant,
    sha256,
)
from sparsebench.contracts.fleet import FailureReason
from sparsebench.contracts.formats import since
from sparsebench.contracts.protocol import Precision


class Neighbours(Contract):
    """What took the CPUs of a host in a first look of some seconds, before anything was measured on it."""

    foreign_cores: float = Field(ge=0, description="CPU time of all processes over the look's time")
    stolen_cores: float | None = Field(description="CPU time that the hypervisor gave to others")
    throttled: int | None = Field(description="thermal throttling events")
    processes: dict[str, float] = Field(description="cores that the busiest took, by name, the busiest first")


class HostFacts(Stored):
    """nights/<night>/hosts/<instance_type>/<instance_id>.json: the machine that measured."""

    instance_id: str
    instance_type: Name
    emulated: bool = Field(description="an instance of localcloud: the CPU is this machine's, not the type's")
    cpu_model: str
    cpu_flags: tuple[str, ...]
    caches: dict[str, int] = Field(description="bytes of the caches of one core (L3: shared), by level")
    physical_cores: int = Field(ge=1)
    logical_cores: int = Field(ge=1)
    frequency_mhz: float | None = Field(ge=0, description="None where the host does not tell")
    memory_bytes: int = Field(gt=0)
    kernel: str
    os: str
    python: str
    versions: dict[str, str] = Field(description="of the engines and what they stand on")
    cpus: tuple[int, ...] = Field(
        default=(), description="that the engines are pinned to; empty: not told", json_schema_extra=since(2)
    )
    threads: int | None = Field(
        default=None, ge=1, description="of each engine; None: as many as physical cores", json_schema_extra=since(2)
    )
    quota_cores: float | None = Field(
        default=None, gt=0, description="CPU limit of the container or cgroup", json_schema_extra=since(2)
    )
    numa_nodes: int | None = Field(
        default=None, ge=1, description="that those CPUs belong to", json_schema_extra=since(2)
    )
    neighbours: Neighbours | None = Field(
        default=None, description="what else ran before anything was measured", json_schema_extra=since(2)
    )
    microcode: str | None = Field(
        default=None, description="revision of the CPU's; None: the host does not tell", json_schema_extra=since(3)
    )


class Cell(Contract):
    """What a throughput belongs to."""

    instance_type: Name
    network: Name
    variant: Variant = Field(json_schema_extra=VARIANTS_SINCE)
    engine: Name
    precision: Precision

    @property
    def key(self) -> str:
        """The cell's folder below its instance type."""
        return f"{self.network}-{self.variant}-{self.engine}-{self.precision}"

    @classmethod
    def at(cls, instance_type: str, key: str) -> Self | None:
        """The cell whose folder has this name; None where none has."""
        parts = re.fullmatch(r"(?P<network>.+)-(?P<variant>[^-]+)-(?P<engine>[^-]+)-(?P<precision>[^-]+)", key)
        try:
            return cls.model_validate({"instance_type": instance_type, **parts.groupdict()}) if parts else None
        except ValueError:
            return None


class Parity(Contract):
    """An engine's outputs on the fixed images against the reference, before anything is timed.

    The reference is ONNX Runtime's output of the same file in fp32; of an INT8 network, that of its fp32 parent; and of
    ONNX Runtime itself, once, when the file was exported, torch's.
    """

    images: int = Field(gt=0, description="that were compared")
    max_abs: float | None = Field(ge=0, description="largest absolute difference of the logits; None: not finite")
    relative: float | None = Field(
        ge=0, description="the difference over the largest logit of the reference; of the worst image"
    )
    same_top1: int = Field(ge=0, description="images whose top class is the reference's")
    tolerance: float | None = Field(gt=0, description="on `relative`; None: only the top class is held to it")
    least_top1: Fraction = Field(description="the fraction of images whose top class has to be the same")

    @model_validator(mode="after")
    def _no_more_than_all(self) -> Self:
        if self.same_top1 > self.images:
            raise ValueError(f"same_top1 is {self.same_top1}, of {self.images} images")
        return self

    @property
    def agrees(self) -> bool:
        """Within tolerance. An output that is not finite never is."""
        close = self.relative is not None and (self.tolerance is None or self.relative <= self.tolerance)
        return close and self.same_top1 >= self.least_top1 * self.images


class Absence(Contract):
    """Why an engine cannot run on a host. Expected, typed, and not a failure."""

    reason: Literal["not_installed", "cpu_feature", "unsupported_network"]
    detail: str


Cores = Annotated[float, Field(ge=0, le=4096)]
"""CPU time over time."""


class Interference(Contract):
    """What else went on while a block was timed. None: the host does not tell."""

    foreign_cores: Cores | None = Field(
        description="CPU time of other processes over the block's time (1.0: one core all the time)"
    )
    stolen_cores: Cores | None = Field(description="CPU time that the hypervisor gave to others, over the block's time")
    pressure: float | None = Field(
        ge=0, le=1000, description="fraction of the block in which some task waited for a CPU (PSI)"
    )
    frequency_mhz: float | None = Field(ge=0, description="mean over the CPUs, at the end of the block")
    throttled: int | None = Field(ge=0, description="thermal throttling events")
    major_faults: int | None = Field(ge=0, description="page faults of the measured process that read from a disk")
    minor_faults: int | None = Field(ge=0, description="page faults of the measured process that did not")
    swapped_pages: int | None = Field(ge=0, description="pages that the host swapped in or out")
    preemptions: int | None = Field(ge=0, description="times that a thread of the measured process was put off its CPU")
    waited_cores: Cores | None = Field(
        default=None,
        description="time that threads of the measured process were ready and had no CPU, over the block's time",
        json_schema_extra=since(2),
    )

    @property
    def disturbances(self) -> tuple[Disturbance, ...]:
        """What disturbed the block; empty when nothing did. The rule of what enters a verdict."""
        measured = [(kind, getattr(self, kind), threshold) for kind, threshold in DISTURBED_ABOVE.items()]
        if (self.foreign_cores or 0) <= HARDLY_FOREIGN_CORES:
            measured = [measurement for measurement in measured if measurement[0] != "waited_cores"]
        return tuple(
            Disturbance(*measurement)
            for measurement in measured
            if measurement[1] is not None and measurement[1] > measurement[2]
        )


MAX_FOREIGN_CORES = 0.2
"""A busy process takes most of a core. The kernel counts in ticks of 10 ms, which make up to 0.1 of nothing in a block
of 0.2 s (99 % of 1,070 blocks on a quiet host of two cores)."""

HARDLY_FOREIGN_CORES = 0.05
"""Below it others had no CPU that it could have waited for: its own threads wait for each other."""

MAX_WAITED_CORES = 0.03
"""Counted in nanoseconds, thread by thread, where foreign CPU time comes in ticks."""

MAX_STOLEN_CORES = 0.1

DisturbanceKind = Literal["foreign_cores", "waited_cores", "stolen_cores", "throttled", "major_faults", "swapped_pages"]
"""The field of Interference that says so."""


class Disturbance(NamedTuple):
    """Why a block is disturbed: more than the threshold."""

    kind: DisturbanceKind
    value: float
    threshold: float


DISTURBED_ABOVE: dict[DisturbanceKind, float] = {
    "foreign_cores": MAX_FOREIGN_CORES,
    "waited_cores": MAX_WAITED_CORES,
    "stolen_cores": MAX_STOLEN_CORES,
    "throttled": 0,
    "major_faults": 0,
    "swapped_pages": 0,
}


Milliseconds = Annotated[float, Field(ge=0, le=86_400_000)]

MAX_IMG_S = 1e8
"""No engine infers faster: 10 ns are some thirty cycles of a core."""


class Block(Contract):
    """Inferences that were timed one after the other, or side by side in the throughput scenario."""

    round: int = Field(ge=0, description="of its generation; the blocks of one round were timed close together")
    position: int = Field(ge=0, description="of the engine within its round")
    started_at: AwareDatetime
    images: int = Field(gt=0)
    seconds: float = Field(
        gt=0, le=86_400, description="that the images took; without what the harness does between them"
    )
    latencies_ms: tuple[Milliseconds, ...] = Field(min_length=1, description="of each inference")
    interference: Interference
    tolerated: bool = Field(
        default=False,
        description="whether it enters though something disturbed it: its generation had no round without",
        json_schema_extra=since(2),
    )

    @model_validator(mode="after")
    def _seconds_are_those_of_the_latencies(self) -> Self:
        longest, together = max(self.latencies_ms) / 1000, sum(self.latencies_ms) / 1000
        if not 0.99 * longest <= self.seconds <= 2 * together + 0.1:
            raise ValueError(
                f"seconds is {self.seconds:g}: expected from {longest:g}, its longest latency, to about {together:g}, "
                "all of them"
            )
        if self.images > MAX_IMG_S * self.seconds:
            raise ValueError(f"seconds is {self.seconds:g} for {self.images} images: nothing is that fast")
        return self

    @property
    def throughput_img_s(self) -> float:
        return self.images / self.seconds

    @property
    def disturbed(self) -> bool:
        """Whether it is left out."""
        return bool(self.interference.disturbances) and not self.tolerated


class Kernel(Contract):
    """Operators that an engine runs by one kind of kernel."""

    name: str = Field(description="in the engine's own words, such as brgemm_avx512_bf16 or FusedConv")
    precision: str = Field(description="that it computes in: f32, bf16, f16, i8, …; unknown where it does not tell")
    isa: str = Field(description="instruction set, such as avx512; unknown where it does not tell")
    count: int = Field(ge=1, description="operators")
    time_share: Fraction = Field(description="of the time of all operators")


class Execution(Contract):
    """How an engine really computes a network, read from the engine itself by a run with its profiler on."""

    source: str = Field(description="what was read, such as 'runtime model and performance counters'")
    kernels: tuple[Kernel, ...] = Field(description="the largest share first")

    @property
    def precisions(self) -> dict[str, float]:
        """The share of time that is computed in each precision, the largest first."""
        shares: dict[str, float] = {}
        for kernel in self.kernels:
            shares[kernel.precision] = shares.get(kernel.precision, 0) + kernel.time_share
        return dict(sorted(shares.items(), key=lambda item: -item[1]))

    @property
    def reduced(self) -> bool:
        """Whether anything is computed in less than fp32. (Whole numbers of 64 bits are shapes and indices.)"""
        return bool(set(self.precisions) - {"f32", "f64", "i32", "i64", "bool"})


class Profile(Stored):
    """profiles/<key>.json: how an engine computes a file on a kind of CPU. Taken once, and found again."""

    artifact: Sha256
    engine: Name
    version: str = Field(description="of the engine's library")
    cpu_model: str
    precision: Precision
    threads: int = Field(ge=1)
    execution: Execution

    @property
    def key(self) -> str:
        """The key of all that it depends on."""
        fields = self.model_dump(mode="json", exclude={"execution", "format"})
        return sha256("\n".join(str(value) for _, value in sorted(fields.items())).encode())


class Trial(Stored):
    """nights/<night>/trials/<instance_type>/<cell>/<job>-<generation>.json: one process of one engine.

    ``measured``: timed. ``invalid``: its output disagrees with the reference, so it was not timed.
    ``absent``: the engine cannot run here. ``failed``: it crashed or ran out of time.
    """

    cell: Cell
    night: Night
    job: Name
    generation: int = Field(ge=0, description="the processes of one generation take turns, round by round")
    interleaved: bool = Field(description="whether they were loaded at the same time; else one after the other")
    variants: tuple[Variant, ...] = Field(
        default=(),
        description="of the network, whose processes took turns in this generation; empty: this one's alone",
        json_schema_extra={**since(2), **VARIANTS_SINCE},
    )
    instance_id: str
    artifact: Sha256
    threads: int = Field(ge=1, le=4096)
    cpus: tuple[int, ...] = Field(
        default=(), description="that it was pinned to; empty: not told", json_schema_extra=since(2)
    )
    batch: int = Field(default=1, ge=1, description="images an inference")
    status: Literal["measured", "invalid", "absent", "failed"]
    started_at: AwareDatetime
    ended_at: AwareDatetime
    blocks: tuple[Block, ...] = ()
    load_s: float | None = Field(default=None, ge=0, description="load and compile; None: beside others")
    warmup_s: float | None = Field(default=None, ge=0, description="that was discarded before the first block")
    steady: bool | None = Field(default=None, description="whether it had stopped getting faster after that")
    peak_memory_bytes: int | None = Field(default=None, ge=0)
    parity: Parity | None = None
    execution: Execution | None = Field(default=None, description="of one trial of the cell on each host")
    absence: Absence | None = None
    error: str | None = Field(default=None, description="of a failed trial: the last lines that it printed")
    engine_facts: dict[str, str | float | int | bool] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _status_has_its_evidence(self) -> Self:
        needs = {"measured": "blocks", "invalid": "parity", "absent": "absence", "failed": "error"}
        if not getattr(self, needs[self.status]):
            raise ValueError(f"a trial that is {self.status} needs {needs[self.status]}")
        if self.status != "measured" and self.blocks:
            raise ValueError(f"a trial that is {self.status} has no blocks")
        if len({block.started_at for block in self.blocks}) < len(self.blocks):
            raise ValueError("blocks has a block twice")
        return self

    @model_validator(mode="after")
    def _what_enters_tables_fits(self) -> Self:
        if self.batch > 1_000_000:
            raise ValueError(f"batch is {self.batch}: expected a million at most")
        if (self.peak_memory_bytes or 0) >= 1 << 63:
            raise ValueError(f"peak_memory_bytes is {self.peak_memory_bytes}: no machine has so much")
        streams = self.engine_facts.get("streams", 1)
        if type(streams) is not int or not 1 <= streams <= 1_000_000:
            raise ValueError(f"engine_facts.streams is {streams!r:.80}: expected a whole number from 1")
        supported = self.engine_facts.get("fraction_of_supported_ops", 1)
        if type(supported) not in (int, float) or not 0 <= float(supported) <= 1:
            raise ValueError(f"engine_facts.fraction_of_supported_ops is {supported!r:.80}: expected a fraction")
        return self


class MissingCell(Contract):
    """A cell that a run was to measure and that has no valid number."""

    cell: Cell
    reason: Literal["absent", "invalid", FailureReason] = Field(
        description="of the trial, or of the failure of its instance before it could be measured"
    )
    detail: str


class Took(Contract):
    """How long a network's variant was measured on an instance type, from its first process to its last."""

    instance_type: Name
    network: Name
    variant: Variant = Field(json_schema_extra=VARIANTS_SINCE)
    machine_s: float = Field(ge=0)
    processes: int | None = Field(
        default=None, ge=0, description="of each engine, in that time", json_schema_extra=since(2)
    )


class Collection(Stored):
    """nights/<night>/collections/<job>.json: what a run was to measure, and what came of it."""

    run_id: str
    night: Night
    planned: int = Field(ge=0)
    measured: int = Field(ge=0)
    missing: tuple[MissingCell, ...]
    took: tuple[Took, ...] = ()
    cost_usd: float | None = Field(default=None, ge=0, description="of its instances, at most; None: not known")
