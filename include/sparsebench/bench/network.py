"""One network's files, reference outputs and generations on this machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from sparsebench.bench.child import Child, ChildFailed
from sparsebench.bench.engines import ENGINES
from sparsebench.bench.generation import Generation, TooLittleMemory, tolerate
from sparsebench.bench.inputs import Inputs, inputs_of
from sparsebench.bench.onnx_header import OnnxHeader, read_header
from sparsebench.bench.parity import Agreement, agreement_of
from sparsebench.bench.processes import Process, Seat
from sparsebench.bench.profiles import ProfileTask, profile
from sparsebench.bench.quiet import Quiet
from sparsebench.bench.reference import ReferenceTask, Referred
from sparsebench.bench.worker import WorkerTask
from sparsebench.catalog import digits_networks
from sparsebench.contracts import Absence, ArtifactRef, BenchRequest, Cell, Execution, HostFacts, Trial
from sparsebench.instance.exits import Interrupted
from sparsebench.statistics.pairs import BASE, Treatment, treatment
from sparsebench.store import Store

Tell = Callable[[str], None]

REFERENCE = "onnxruntime"
"""The engine whose outputs are the reference."""

NO_REFERENCE = "no reference output"
"""How the error of a trial begins whose outputs could be held to nothing."""


class File:
    """One variant: its encodings on this machine's disk, and its reference outputs."""

    def __init__(self, store: Store, model: ArtifactRef, request: BenchRequest, host: HostFacts, scratch: Path):
        self.model, self._scratch = model, scratch
        self.reference = scratch / f"{model.variant}-reference.npz"
        self.reference_error: str | None = None
        self.refusal: str | None = None
        self._independent = True
        self._headers: dict[str, OnnxHeader] = {}
        for artifact in {model.artifact, *(self.artifact(engine) for engine in request.engines)}:
            data = store.artifact(artifact)
            self._headers[artifact] = read_header(data, store.artifact_path(artifact))
            self._path(artifact).write_bytes(data)
        if model.parent:
            data = store.artifact(model.parent)
            self._headers[model.parent] = read_header(data, store.artifact_path(model.parent))
            self._path(model.parent).write_bytes(data)
        referred = model.parent or model.artifact
        inputs = inputs_of(self._headers[referred], store.artifact_path(referred))
        task = ReferenceTask(
            model=self._path(referred),
            rounding="native" in request.protocol.precisions and model.parent is None,
            inputs=inputs,
            digits=model.network in digits_networks(),
            threads=host.threads or host.physical_cores,
            output=self.reference,
            copies=inputs.batch_in(request.protocol.scenario) // inputs.batch,
        )
        try:
            log = scratch / f"{model.variant}-reference.log"
            with Child("sparsebench.bench.reference", task, log, request.protocol.trial_timeout_s) as child:
                answer = Referred.model_validate_json(child.reply())
                self.refusal, self._independent = answer.refusal, answer.independent
        except ChildFailed as error:
            self.reference_error = f"{NO_REFERENCE} from ONNX Runtime: {error}"
        if self.refusal:
            self.reference_error = f"{NO_REFERENCE}: ONNX Runtime refuses the network: {self.refusal}"

    def artifact(self, engine: str) -> str:
        """The digest of the file that this engine runs: an INT8 network has an encoding of its own for some."""
        return self.model.encodings.get(engine, self.model.artifact)

    def path(self, engine: str) -> Path:
        return self._path(self.artifact(engine))

    def absence(self, engine: str, host: HostFacts) -> Absence | None:
        """Why this engine cannot run its file on this host, as far as that is known before it is tried."""
        absence = ENGINES[engine].absence(frozenset(host.cpu_flags), self._headers[self.artifact(engine)])
        if not absence and self.refusal and engine == REFERENCE:
            return Absence(reason="unsupported_network", detail=self.refusal)
        return absence

    def inputs(self, engine: str) -> Inputs:
        artifact = self.artifact(engine)
        return inputs_of(self._headers[artifact], artifact).model_copy(update={"independent": self._independent})

    def agreement(self, engine: str) -> Agreement:
        return agreement_of(self._headers[self.artifact(engine)].quantised, self.model.parent is not None)

    def _path(self, artifact: str) -> Path:
        return self._scratch / f"{artifact}.onnx"


class NetworkBench:
    """Where the generations of one network are measured."""

    def __init__(
        self, store: Store, models: Sequence[ArtifactRef], request: BenchRequest, host: HostFacts, scratch: Path,
        tell: Tell, quiet: Quiet,
    ):  # fmt: skip
        self.store, self.request, self.host, self.scratch = store, request, host, scratch
        self.tell, self.quiet = tell, quiet
        self.network, self.protocol = models[0].network, request.protocol
        self.threads = host.threads or host.physical_cores
        self.files: dict[str, File] = {}
        for model in models:
            tell(f"reference of {model.variant}")
            self.files[model.variant] = File(store, model, request, host, scratch)

    def generation(self, before: Sequence[Trial], treatments: Sequence[Treatment], rounds: int) -> list[Trial]:
        """The trials of the generation after those of ``before``, in the order of the treatments.

        One that ``tell`` ends by Interrupted has the rounds that it came to: what ends it has nothing to do with what
        is measured, and estimates stand on generations of different length anyway. But it counts as a process of
        every treatment, so there are no trials where one of them has not timed anything. ``tell`` will raise again.
        """
        number = max((trial.generation for trial in before), default=-1) + 1
        together = self.protocol.interleaved and all(trial.interleaved for trial in before)
        part = self._part(before, treatments) if together else list(treatments)
        interrupted = False
        generation = Generation(
            protocol=self.protocol,
            start=self._start,
            rounds=rounds,
            side_by_side=bool(before),
            # The order has no secret to keep; it only has to be the same again.
            random=Random(f"{self.request.seed}/{self.network}/{number}"),  # noqa: S311
            seconds=max(self.protocol.budget_s * len(self.files), 1.0),
            tell=self.tell,
            quiet=self.quiet,
        )
        seats = [self._seat(treatment) for treatment in part]
        try:
            while together:
                try:
                    generation.together(_groups(seats))
                    break
                except TooLittleMemory:
                    smaller = self._smaller(before, part)
                    together = bool(smaller)
                    part = smaller or list(treatments)
                    seats = [self._seat(treatment) for treatment in part]
            if not together:
                generation.apart(_groups(seats))
        except Interrupted:
            if not all(seat.recordable for seat in seats):
                return []
            interrupted = True
        for seat in seats:
            seat.ended_at = seat.ended_at or datetime.now(UTC)
        tolerate(seats)
        profiles = {} if interrupted else self._profiles(before, seats)
        alone = not (together and before)
        variants = tuple(dict.fromkeys(treatment.variant for treatment in part))
        return [self._trial(seat, number, variants, together, alone, profiles.get(seat.treatment)) for seat in seats]

    def _part(self, before: Sequence[Trial], treatments: Sequence[Treatment]) -> list[Treatment]:
        """All, unless an earlier generation held only a part of the variants since memory did not hold more."""
        variants = {treatment.variant for treatment in treatments}
        if before:
            newest = max(before, key=lambda trial: trial.generation)
            if variants - {*newest.variants}:
                return self._smaller(before, treatments)
        return list(treatments)

    @staticmethod
    def _smaller(before: Sequence[Trial], treatments: Sequence[Treatment]) -> list[Treatment]:
        """The base and the variant that has had the fewest processes: a balanced incomplete design, in which every part
        has the base. Nothing, where that is not smaller."""
        others = list(dict.fromkeys(treatment.variant for treatment in treatments if treatment.variant != BASE))
        has_base = any(treatment.variant == BASE for treatment in treatments)
        if len(others) + has_base <= 1 + has_base:
            return []
        had = Counter(treatment(trial).variant for trial in before)
        chosen = {BASE, min(others, key=lambda variant: (had[variant], others.index(variant)))}
        return [treatment for treatment in treatments if treatment.variant in chosen]

    def _seat(self, treatment: Treatment) -> Seat:
        """Ended where it is known before that there can be no process."""
        file = self.files[treatment.variant]
        absence = file.absence(treatment.engine, self.host)
        seat = Seat(treatment, absence=absence, error=None if absence else file.reference_error)
        if seat.absence or seat.error:
            seat.ended_at = seat.started_at
        return seat

    def _start(self, seats: Sequence[Seat], stack: ExitStack) -> Process:
        first = seats[0].treatment
        file = self.files[first.variant]
        task = WorkerTask(
            engines=tuple(seat.treatment.engine for seat in seats),
            precision=first.precision,
            scenario=self.protocol.scenario,
            model=file.path(first.engine),
            inputs=file.inputs(first.engine),
            reference=file.reference,
            agreement=file.agreement(first.engine),
            threads=self.threads,
            cpus=self.host.cpus,
        )
        log = self.scratch / f"{'-'.join(first)}.log"
        return Process(seats, task, log, self.protocol.trial_timeout_s, stack)

    def _profiles(self, before: Sequence[Trial], seats: Sequence[Seat]) -> dict[Treatment, Execution]:
        """How each treatment that was timed for the first time is computed. What takes long is asked after the
        measured time; where that is interrupted, the job does without."""
        profiled = {treatment(trial) for trial in before if trial.execution}
        executions: dict[Treatment, Execution] = {}
        for seat in seats:
            treated, file = seat.treatment, self.files[seat.treatment.variant]
            if not seat.blocks or seat.error or treated in profiled:
                continue
            task = ProfileTask(
                engine=treated.engine,
                precision=treated.precision,
                model=file.path(treated.engine),
                inputs=file.inputs(treated.engine),
                threads=self.threads,
                cpus=self.host.cpus,
            )

            def before_asking(name: str = seat.name) -> None:
                self.tell(f"how {name} is computed")

            try:
                execution = profile(
                    self.store,
                    self.host,
                    file.artifact(treated.engine),
                    task,
                    self.protocol.trial_timeout_s,
                    before_asking,
                )
            except Interrupted:
                return executions
            if execution:
                executions[treated] = execution
        return executions

    def _trial(
        self, seat: Seat, generation: int, variants: tuple[str, ...], together: bool, loaded_alone: bool,
        execution: Execution | None,
    ) -> Trial:  # fmt: skip
        evidence: dict[str, object]
        if seat.absence:
            evidence = {"status": "absent", "absence": seat.absence}
        elif seat.error:
            evidence = {"status": "failed", "error": seat.error}
        else:
            assert seat.loaded
            evidence = dict(seat.loaded) | dict(seat.warm or {}) | dict(seat.farewell or {})
            evidence["execution"] = execution
            if seat.loaded.status == "measured":
                evidence["blocks"] = tuple(seat.blocks)
            if not loaded_alone:
                evidence["load_s"] = None
        treated = seat.treatment
        cell = Cell(
            instance_type=self.request.instance_type,
            network=self.network,
            variant=treated.variant,  # type: ignore[arg-type]
            engine=treated.engine,
            precision=treated.precision,
        )
        return Trial.model_validate(
            {
                "cell": cell,
                "night": self.request.night,
                "job": self.request.job,
                "generation": generation,
                "interleaved": together,
                "variants": variants,
                "instance_id": self.host.instance_id,
                "artifact": self.files[treated.variant].artifact(treated.engine),
                "threads": self.threads,
                "cpus": self.host.cpus,
                "started_at": seat.started_at,
                "ended_at": seat.ended_at,
                **evidence,
            }
        )


def _groups(seats: Sequence[Seat]) -> list[list[Seat]]:
    """Seats that can share a process: an engine's, and that of what times the same in a way of its own."""
    groups: dict[Treatment, list[Seat]] = {}
    waiting = [seat for seat in seats if not seat.ended_at]
    there = {seat.treatment for seat in waiting}
    for seat in waiting:
        shared = seat.treatment._replace(engine=ENGINES[seat.treatment.engine].times or seat.treatment.engine)
        groups.setdefault(shared if shared in there else seat.treatment, []).append(seat)
    return [sorted(group, key=lambda seat: bool(ENGINES[seat.treatment.engine].times)) for group in groups.values()]
