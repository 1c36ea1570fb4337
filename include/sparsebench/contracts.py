"""Every typed model that crosses a boundary: the store, an instance, a task.

Both sides import it from here; nobody reads or writes these objects as plain dictionaries.
It runs in all three environments, so it uses only what pydantic 2.7 and Python 3.11 have.

Units, everywhere: throughput in images per second (img/s), latencies in milliseconds (ms), durations in
seconds (s), sizes in bytes, money in USD. Sparsity and accuracy are fractions between 0 and 1.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from sparsebench.errors import BadInput

Precision = Literal["f32", "native"]
"""The lane of a measurement: every engine held to fp32, or each engine's own choice."""

Scenario = Literal["latency", "throughput"]
"""Batch 1, one inference at a time; or as many images a second as the engine can, its own recommended way."""

Variant = Literal["base", "pruned", "pruned_int8", "fake85", "fake99"]

Analysed = Literal["none", "largest", "all"]
"""Layers whose sensitivity is analysed: `largest` are the ten that the study had."""

Market = Literal["on_demand", "spot"]
"""How an instance is bought: for as long as it is wanted, or cheaper and with two minutes' notice of its end."""

Environment = Literal["bench", "sparsify"]
"""The environments that an instance installs; each has a lock of that name."""

Module = Literal["bench", "sparsify", "importing"]
"""Those of ours that an instance runs: ``python -m sparsebench.<module> run``."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""A name that is safe as one component of a path: no slash, no leading dot."""

NIGHT_PATTERN = r"^\d{4}-\d{2}-\d{2}(\.\d{1,3})?$"
Night = Annotated[str, StringConstraints(pattern=NIGHT_PATTERN)]
"""A partition: an ISO date, or a date and a number for further sets of inputs on that date (2026-11-24.2)."""

Fraction = Annotated[float, Field(ge=0, le=1)]


def sha256(data: bytes) -> str:
    """The digest by which the store names what is immutable."""
    return hashlib.sha256(data).hexdigest()


class Contract(BaseModel):
    """Frozen, and closed: an unknown field is an error, since it is a typo or a newer writer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def checked(cls, **fields: Any) -> Self:
        """Of what a person gave.

        Raises:
            BadInput: names the field, the value and what is wrong.
        """
        try:
            return cls(**fields)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise BadInput(f"{where} is {first['input']!r}: {first['msg']}") from error

    def to_json(self) -> bytes:
        """UTF-8 JSON with sorted keys: the same content is the same bytes."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, indent=1).encode() + b"\n"


# ------------------------------------------------------------------------------------------ networks


class LayerSparsity(Contract):
    """One prunable weight of a network (the weight of a Conv or Linear layer)."""

    name: str
    parameters: int = Field(gt=0)
    sparsity: Fraction


class DatasetRef(Contract):
    """Labelled images that a network is trained with or evaluated on."""

    name: Name
    uri: str = Field(min_length=1, description="builtin:digits, or of an ImageNet folder: a path, file:// or s3://")

    @classmethod
    def at(cls, uri: str) -> Self:
        """Named by the last part of its URI."""
        last = re.split(r"[/:]", uri.rstrip("/"))[-1]
        return cls(name=re.sub(r"[^A-Za-z0-9._-]|^[._-]+", "", last)[:64] or "dataset", uri=uri)


DIGITS = DatasetRef(name="digits", uri="builtin:digits")
"""Handwritten digits of 8 × 8 pixels, which scikit-learn has with it: a real task that is small."""


class Weights(Contract):
    """Where a network's weights come from. Random weights have no accuracy, and are named as such.

    ``pretrained``: found ready. ``trained``: by the pipeline, from random ones. ``random``: not trained at all.
    """

    kind: Literal["pretrained", "trained", "random"]
    origin: str = Field(description="where they were found, what they were trained on, or why they are random")
    digest: Sha256 | None = Field(default=None, description="of the file that they were found in")
    seed: int | None = None


class Accuracy(Contract):
    dataset: str
    images: int = Field(gt=0)
    top1: Fraction
    top5: Fraction | None = None


class ModelCard(Contract):
    """models/<network>/<variant>.json: one variant of a network, ready to be measured."""

    network: Name
    variant: Variant
    artifact: Sha256 = Field(description="artifacts/<sha256>.onnx")
    encodings: dict[Name, Sha256] = Field(
        default_factory=dict, description="by engine: the artifact of those that need another encoding of the network"
    )
    artifact_bytes: int = Field(gt=0)
    gzip_bytes: int = Field(gt=0, description="size after gzip -9")
    input_shape: tuple[int, int, int] = Field(description="channels, height, width; the batch is dynamic")
    parameters: int = Field(gt=0)
    sparsity: Fraction = Field(description="achieved, over all prunable weights in the ONNX file")
    layers: tuple[LayerSparsity, ...]
    recipe: str = Field(description="the SparseML recipe (YAML) that was carried out; empty for base")
    weights: Weights
    accuracy: Accuracy | None = None
    parent: Sha256 | None = Field(default=None, description="of an INT8 network: the fp32 file that it was made from")
    same_top1: Fraction | None = Field(
        default=None, description="of an INT8 network: images of the dataset whose top class is its fp32 parent's"
    )
    training: Sha256 | None = Field(default=None, description="key of its training in the store")
    sensitivity: Sha256 | None = Field(default=None, description="key of its analysis in the store")
    versions: dict[str, str] = Field(description="of the packages that made it")


# ------------------------------------------------------------------------------------------- protocol


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
    budget_s: float = Field(gt=0, description="machine time; no generation begins after it, and it says unconverged")
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


# ------------------------------------------------------------------------------------------- manifest


class Manifest(Contract):
    """nights/<night>/manifest.json: a night's frozen inputs.

    ``digest`` covers every other field, so an edited manifest is recognised when it is read.
    """

    night: Night
    frozen_at: datetime
    protocol: Protocol
    models: tuple[ModelCard, ...]
    image: str = Field(description="AMI id of its instances: the public parameters that name one move")
    payload: Sha256 = Field(description="payloads/<sha256>.whl")
    bench_lock: Sha256 = Field(description="locks/<sha256>.txt")
    digest: Sha256

    @classmethod
    def freeze(cls, **fields: Any) -> Self:
        """A manifest of these fields, with its digest."""
        draft = cls(**fields, digest="0" * 64)
        return draft.model_copy(update={"digest": draft.computed_digest()})

    def computed_digest(self) -> str:
        content = self.model_dump(mode="json", exclude={"digest"})
        return sha256(json.dumps(content, sort_keys=True).encode())

    @property
    def frozen_late(self) -> bool:
        """Whether it was frozen after its night: a past night that had no manifest got today's inputs."""
        return self.frozen_at.date().isoformat() > self.night[:10]


# ------------------------------------------------------------------------------- what an instance does


class ArtifactRef(Contract):
    """One variant of a network, as the runner needs to know it."""

    network: Name
    variant: Variant
    artifact: Sha256
    encodings: dict[Name, Sha256] = Field(default_factory=dict, description="as of the model card")
    input_shape: tuple[int, int, int]
    parent: Sha256 | None = Field(default=None, description="of an INT8 network: the fp32 file that it was made from")


class BenchRequest(Contract):
    """nights/<night>/jobs/<job>.json: what one instance is to measure.

    The job's name stays the same over retries, so that a retry finds its own trials and measures only
    what is missing; another run of the same night has another job, and adds its trials to the night.
    """

    job: Name
    night: Night
    manifest: Sha256 = Field(description="digest of the night's manifest")
    instance_type: Name
    protocol: Protocol
    models: tuple[ArtifactRef, ...] = Field(min_length=1)
    engines: tuple[Name, ...] = Field(min_length=1)
    seed: int = Field(description="of the order of the engines within each round")


class SparsifyRequest(Contract):
    """requests/<job>.json: which variants of one network are to be built, and how."""

    job: Name
    network: Name
    variants: tuple[Variant, ...] = Field(min_length=1)
    seed: int = Field(default=0, ge=0, description="of random weights, the order of images and random masks")
    weights: str = Field(
        default="hub",
        min_length=1,
        description="hub, package, random; or a file: a path, file://, store:<path>, https:// or gdrive:<id>",
    )
    dataset: DatasetRef | None = Field(default=None, description="None: nothing is trained, and nothing evaluated")
    dense_epochs: int = Field(default=0, ge=0, le=1000, description="that the dense network is trained for, first")
    epochs: int | None = Field(
        default=None, ge=1, le=1000, description="of gradual pruning; None: the variant is pruned in one shot"
    )
    batch: int = Field(default=64, ge=2, le=4096, description="images a step of training")
    learning_rate: float | None = Field(
        default=None, gt=0, le=1, description="that training begins with; None: 0.05 dense, and 0.01 as the study's GMP"
    )
    recipe: str = Field(default="", description="SparseML's YAML for `pruned`, instead of the catalog's targets")
    sensitivity: Analysed = Field(default="none", description="layers that are pruned alone, to see what each costs")
    budget_points: float | None = Field(
        default=None, ge=0, le=100, description="of accuracy that a layer may cost: targets come from the analysis"
    )


class ImportRequest(Contract):
    """requests/<job>.json: a ready ONNX file that is to be a variant of a network."""

    job: Name
    network: Name
    variant: Variant
    source: str = Field(
        min_length=1,
        description="a path, file://, store:<path>, https:// or gdrive:<id>; #sha256=<hex> may follow. Of an INT8 "
        "network, its file in QDQ",
    )
    parent: str | None = Field(
        default=None, min_length=1, description="of an INT8 network: where the fp32 one is that it was made from"
    )
    integer: str | None = Field(
        default=None,
        min_length=1,
        description="of an INT8 network: where its file with integer operators is, for DeepSparse",
    )


class Job(Contract):
    """What Airflow puts on one instance: an environment, and a module of ours that is given a request."""

    job: Name = Field(description="unique within the project; the same over retries")
    dag_id: str
    run_id: str = Field(max_length=256, description="of the run that launches it; a tag holds 256 characters")
    label: str = Field(description="what the UI shows for it")
    instance_type: Name
    image: str = Field(description="AMI id: the night's, or for another pipeline the run's")
    module: Module
    lock: Sha256
    payload: Sha256
    request: str = Field(description="path of the request in the store")
    max_minutes: int = Field(ge=1, le=2880, description="the instance ends itself after this")
    market: Market = "on_demand"
    usd_per_hour: float | None = Field(default=0, ge=0, description="on demand; None: the catalog has no price")
    budget_usd: float | None = Field(default=None, ge=0, description="of its whole run; None: without limit")
    max_live: int = Field(default=64, ge=1, description="of the project's instances at a time")

    @property
    def environment(self) -> Environment:
        """What the module runs in: importing tries a file in the engines."""
        return "sparsify" if self.module == "sparsify" else "bench"

    @property
    def run_key(self) -> str:
        """Of the run, safe as one component of a path."""
        return run_key(self.dag_id, self.run_id)


def run_key(dag_id: str, run_id: str) -> str:
    """A short name of a run: its own may hold any character."""
    return sha256(f"{dag_id}/{run_id}".encode())[:16]


class Launch(Contract):
    """launches/<run key>/<instance_id>.json: an instance that is paid for, from its launch until its end is known."""

    instance_id: str
    instance_type: Name
    job: Name
    zone: str
    market: Market
    usd_per_hour: float | None = Field(ge=0, description="on demand, which a spot instance never exceeds")
    launched_at: datetime
    ends_by: datetime = Field(description="it ends itself by then")
    ended_at: datetime | None = None
    lost: bool = Field(default=False, description="it ended before its job, or was given up")
    credits_left: float | None = Field(default=None, description="of a burstable type: CPU credits at its end")

    def cost_usd(self, now: datetime) -> float:
        """What it has cost, at most. (EC2 bills by the second, for a minute at least.)"""
        seconds = ((self.ended_at or now) - self.launched_at).total_seconds()
        return (self.usd_per_hour or 0) * max(60.0, seconds) / 3600


class Progress(Contract):
    """progress/<job>.json: how far a job has come; replaced as it goes on."""

    job: Name
    what: str = Field(description="one line: what is being done now")
    done: int = Field(ge=0)
    total: int = Field(ge=0)
    started_at: datetime
    updated_at: datetime
    failed: int = Field(default=0, ge=0)
    finished: bool = False
    left_s: float | None = Field(default=None, ge=0, description="that it will take, as far as can be said")
    tail: tuple[str, ...] = Field(default=(), description="the last lines of its output")


# ---------------------------------------------------------------------------------------------- hosts


class HostFacts(Contract):
    """nights/<night>/hosts/<instance_type>/<instance_id>.json: the machine that measured."""

    instance_id: str
    instance_type: Name
    emulated: bool = Field(description="an instance of localcloud: the CPU is this machine's, not the type's")
    cpu_model: str
    cpu_flags: tuple[str, ...]
    caches: dict[str, int] = Field(description="bytes of the caches of one core (L3: shared), by level")
    physical_cores: int = Field(ge=1)
    logical_cores: int = Field(ge=1)
    frequency_mhz: float | None = Field(description="None where the host does not tell")
    memory_bytes: int = Field(gt=0)
    kernel: str
    os: str
    python: str
    versions: dict[str, str] = Field(description="of the engines and what they stand on")


# ---------------------------------------------------------------------------------------------- trials


class Cell(Contract):
    """What a throughput belongs to."""

    instance_type: Name
    network: Name
    variant: Variant
    engine: Name
    precision: Precision

    @property
    def key(self) -> str:
        """The cell's folder below its instance type."""
        return f"{self.network}-{self.variant}-{self.engine}-{self.precision}"


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

    @property
    def agrees(self) -> bool:
        """Within tolerance. An output that is not finite never is."""
        close = self.relative is not None and (self.tolerance is None or self.relative <= self.tolerance)
        return close and self.same_top1 >= self.least_top1 * self.images


class Absence(Contract):
    """Why an engine cannot run on a host. Expected, typed, and not a failure."""

    reason: Literal["not_installed", "cpu_feature", "unsupported_network"]
    detail: str


class Interference(Contract):
    """What else went on while a block was timed. None: the host does not tell."""

    foreign_cores: float | None = Field(
        description="CPU time of other processes over the block's time (1.0: one core all the time)"
    )
    stolen_cores: float | None = Field(description="CPU time that the hypervisor gave to others, over the block's time")
    pressure: float | None = Field(description="fraction of the block in which some task waited for a CPU (PSI)")
    frequency_mhz: float | None = Field(description="mean over the CPUs, at the end of the block")
    throttled: int | None = Field(description="thermal throttling events")
    major_faults: int | None = Field(description="page faults of the measured process that read from a disk")
    minor_faults: int | None = Field(description="page faults of the measured process that did not")
    swapped_pages: int | None = Field(description="pages that the host swapped in or out")
    preemptions: int | None = Field(description="times that a thread of the measured process was put off its CPU")

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the block is disturbed, in words; empty when it is not. The rule of what enters a verdict."""
        found = []
        if self.foreign_cores is not None and self.foreign_cores > MAX_FOREIGN_CORES:
            found.append(f"other processes took {self.foreign_cores:.1f} of a core")
        if self.stolen_cores is not None and self.stolen_cores > MAX_STOLEN_CORES:
            found.append(f"the hypervisor took {self.stolen_cores:.1f} of a core")
        if self.throttled:
            found.append(f"the CPU was throttled {self.throttled} times")
        if self.major_faults:
            found.append(f"{self.major_faults} page faults went to disk")
        if self.swapped_pages:
            found.append(f"{self.swapped_pages} pages were swapped")
        return tuple(found)


MAX_FOREIGN_CORES = 0.2
"""A busy process takes most of a core. The kernel counts in ticks of 10 ms, which make up to 0.1 of nothing in a block
of 0.2 s (99 % of 1,070 blocks on a quiet host of two cores)."""

MAX_STOLEN_CORES = 0.1


class Block(Contract):
    """Inferences that were timed one after the other, or side by side in the throughput scenario."""

    round: int = Field(ge=0, description="of its generation; the blocks of one round were timed close together")
    position: int = Field(ge=0, description="of the engine within its round")
    started_at: datetime
    images: int = Field(gt=0)
    seconds: float = Field(gt=0, description="that the images took; without what the harness does between them")
    latencies_ms: tuple[float, ...] = Field(min_length=1, description="of each inference")
    interference: Interference

    @property
    def throughput_img_s(self) -> float:
        return self.images / self.seconds

    @property
    def disturbed(self) -> bool:
        return bool(self.interference.reasons)


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


class Trial(Contract):
    """nights/<night>/trials/<instance_type>/<cell>/<job>-<generation>.json: one process of one engine.

    ``measured``: timed. ``invalid``: its output disagrees with the reference, so it was not timed.
    ``absent``: the engine cannot run here. ``failed``: it crashed or ran out of time.
    """

    cell: Cell
    night: Night
    job: Name
    generation: int = Field(ge=0, description="the processes of one generation take turns, round by round")
    interleaved: bool = Field(description="whether they were loaded at the same time; else one after the other")
    instance_id: str
    artifact: Sha256
    threads: int = Field(ge=1)
    batch: int = Field(default=1, ge=1, description="images an inference")
    status: Literal["measured", "invalid", "absent", "failed"]
    started_at: datetime
    ended_at: datetime
    blocks: tuple[Block, ...] = ()
    load_s: float | None = Field(default=None, ge=0, description="load and compile; None: beside others")
    warmup_s: float | None = Field(default=None, ge=0, description="that was discarded before the first block")
    steady: bool | None = Field(default=None, description="whether it had stopped getting faster after that")
    peak_memory_bytes: int | None = None
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
        return self


FailureReason = Literal["quota", "capacity", "unsupported", "over_budget", "interrupted", "failed"]
"""Why an instance did not do its job: the account's quota of vCPUs; no zone had one; no zone offers the type; the
run's budget; it was taken away, again and again; anything else."""


Step = Literal["launch", "agent", "prepare", "work"]
"""What a job goes through: it has an instance, which takes commands, and has the environment, and did the work."""


class Failure(Contract):
    """failures/<job>.json: why the last attempt of a job's step failed."""

    job: Name
    step: Step
    reason: FailureReason
    detail: str
    at: datetime


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
    variant: Variant
    machine_s: float = Field(ge=0)


class Collection(Contract):
    """nights/<night>/collections/<job>.json: what a run was to measure, and what came of it."""

    run_id: str
    night: Night
    planned: int = Field(ge=0)
    measured: int = Field(ge=0)
    missing: tuple[MissingCell, ...]
    took: tuple[Took, ...] = ()
    cost_usd: float | None = Field(default=None, ge=0, description="of its instances, at most; None: not known")
