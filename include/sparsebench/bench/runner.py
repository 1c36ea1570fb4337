"""The runner: carries out a request, network by network and generation by generation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from random import Random
from statistics import fmean
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Protocol as Interface

from sparsebench.bench.child import Child, ChildFailed
from sparsebench.bench.engines import ENGINES
from sparsebench.bench.generation import Generation, Seat, TooLittleMemory
from sparsebench.bench.onnx_header import OnnxHeader, read_header
from sparsebench.bench.parity import ReferenceTask
from sparsebench.bench.stopping import machine_s, next_rounds, open_lanes
from sparsebench.bench.worker import WorkerTask
from sparsebench.catalog import check, digits_networks
from sparsebench.contracts import ArtifactRef, BenchRequest, Cell, HostFacts, Progress, Trial
from sparsebench.errors import BadInput
from sparsebench.instance.attend import Attend, nothing
from sparsebench.instance.exits import Interrupted
from sparsebench.statistics.pairs import Lane
from sparsebench.store import Store

PROGRESS_EVERY_S = 10
"""Between two writes of the progress, beside those when a generation begins."""


class Audience(Interface):
    """Who is told of what happens."""

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines that were shown of it."""

    def on_trial(self, trial: Trial, done: int, total: int) -> None:
        """A trial is in the store. total: that are to be expected as far as is known."""

    def on_network(self, trials: Sequence[Trial], request: BenchRequest) -> None:
        """A network's variant has been measured; its trials by this job."""


def run(store: Store, request: BenchRequest, host: HostFacts, audience: Audience, attend: Attend = nothing) -> None:
    """Measure what the request asks for and the store does not have yet.

    Every generation's trials are written the moment it ends. Crashes, refusals and wrong outputs are trials too.

    Raises:
        Interrupted: by ``attend``; what was timed until then is in the store.
        BadInput: an unknown engine, or a request that is for another instance type than this machine's.
        StoreError: the store cannot be written, or an artifact is missing or damaged.
    """
    check("engines", request.engines, ENGINES)
    if request.instance_type != host.instance_type:
        raise BadInput(
            f"instance_type: the request is for {request.instance_type!r}, this machine is {host.instance_type!r}"
        )
    store.check_writable()
    store.put_host(request.night, host)
    _Run(store, request, host, audience, attend).carry_out()


def silence_s(request: BenchRequest) -> float:
    """The longest that a run which does not hang goes without calling ``attend``.

    A process may take ``trial_timeout_s`` to answer, and as long again to end. In a round every lane times a block;
    blocks of a network that is slow for its protocol last longer than asked for, but in ``trial_timeout_s`` an engine
    loads and infers eight images, so that twice that is enough for them, too.
    """
    protocol = request.protocol
    lanes = len(request.engines) * len(protocol.precisions)
    return 2 * protocol.trial_timeout_s + lanes * (protocol.settle_s + protocol.block_s)


def left_s(models: Sequence[ArtifactRef], finished: int, trials: Sequence[Trial], budget_s: float) -> float:
    """Machine time that models after the first ``finished`` will take, by what those took on average; as long as
    there are none, their whole budget."""
    took = [machine_s(_trials_of(model, trials)) for model in models]
    each = fmean(took[:finished]) if finished else budget_s
    return sum(max(0.0, each - spent) for spent in took[finished:])


def _trials_of(model: ArtifactRef, trials: Sequence[Trial]) -> list[Trial]:
    return [t for t in trials if (t.cell.network, t.cell.variant) == (model.network, model.variant)]


class _Run:
    def __init__(self, store: Store, request: BenchRequest, host: HostFacts, audience: Audience, attend: Attend):
        self.store, self.request, self.host, self.audience, self.attend = store, request, host, audience, attend
        self.lanes = [Lane(*pair) for pair in product(request.engines, request.protocol.precisions)]
        self.trials = store.trials(request.night, request.instance_type, request.job)
        self.finished = 0
        self.started_at = datetime.now(UTC)
        self.generation_began = self.reported = monotonic()

    def carry_out(self) -> None:
        try:
            for model in self.request.models:
                self._measure(model)
                self.finished += 1
        except Interrupted as notice:
            self._report(f"interrupted: {notice}")
            raise
        self._report("finished", finished=True)

    def _measure(self, model: ArtifactRef) -> None:
        mine = _trials_of(model, self.trials)
        if next_rounds(mine, self.lanes, self.request.protocol) is None:
            return

        def tell(what: str, at_once: bool = False) -> None:
            if at_once or monotonic() - self.reported >= PROGRESS_EVERY_S:
                self._report(f"{self._networks_done()}; {model.network} {model.variant}: {what}")
            self.attend()

        self.generation_began = monotonic()
        tell("reference", at_once=True)
        with TemporaryDirectory(prefix="sparsebench-") as scratch:
            bench = _Bench(self.store, model, self.request, self.host, Path(scratch))
            while rounds := next_rounds(mine, self.lanes, self.request.protocol):
                self.generation_began = monotonic()
                tell(f"process {len({t.generation for t in mine}) + 1} of each engine", at_once=True)
                trials = bench.generation(mine, open_lanes(self.lanes, mine), rounds, tell)
                for trial in trials:
                    self.store.put_trial(trial)
                    self.trials.append(trial)
                    self.audience.on_trial(trial, len(self.trials), self._expected())
                mine = _trials_of(model, self.trials)
        self.audience.on_network(mine, self.request)

    def _networks_done(self) -> str:
        """A network is done with the last of its variants."""
        networks = {model.network for model in self.request.models}
        still_open = {model.network for model in self.request.models[self.finished :]}
        return f"{len(networks - still_open)} of {len(networks)} networks"

    def _expected(self) -> int:
        """Trials that there will be: what measured networks have, and the least that the others get."""
        least = self.request.protocol.min_processes * len(self.lanes)
        open_models = self.request.models[self.finished :]
        closed = len(self.trials) - sum(len(_trials_of(model, self.trials)) for model in open_models)
        return closed + sum(max(least, len(_trials_of(model, self.trials))) for model in open_models)

    def _report(self, what: str, finished: bool = False) -> None:
        done, protocol = len(self.trials), self.request.protocol
        left = left_s(self.request.models, self.finished, self.trials, protocol.budget_s)
        self.reported = monotonic()
        self.store.put_progress(
            Progress(
                job=self.request.job,
                what=what,
                done=done,
                total=done if finished else self._expected(),
                started_at=self.started_at,
                updated_at=datetime.now(UTC),
                failed=sum(trial.status == "failed" for trial in self.trials),
                finished=finished,
                left_s=max(0.0, left - (self.reported - self.generation_began)),
                tail=self.audience.tail,
            )
        )


class _Bench:
    """One network's files and its reference outputs, on this machine's disk while it is measured."""

    def __init__(self, store: Store, model: ArtifactRef, request: BenchRequest, host: HostFacts, scratch: Path):
        self.model, self.request, self.host, self.scratch = model, request, host, scratch
        self.protocol = request.protocol
        self.together = request.protocol.interleaved
        self.reference = scratch / "reference.npz"
        self.reference_error: str | None = None
        self.headers: dict[str, OnnxHeader] = {}
        for artifact in {model.artifact, *(self._artifact(engine) for engine in request.engines)}:
            data = store.artifact(artifact)
            self.headers[artifact] = read_header(data, store.artifact_path(artifact))
            self._file(artifact).write_bytes(data)
        of_reference = model.parent or model.artifact
        if model.parent:
            store.fetch_artifact(model.parent, self._file(model.parent))
        task = ReferenceTask(
            model=self._file(of_reference),
            rounding="native" in self.protocol.precisions and model.parent is None,
            input_shape=model.input_shape,
            digits=model.network in digits_networks(),
            threads=host.physical_cores,
            output=self.reference,
        )
        try:
            log = scratch / "reference.log"
            with Child("sparsebench.bench.parity", task, log, self.protocol.trial_timeout_s) as child:
                child.wait()
        except ChildFailed as error:
            self.reference_error = f"no reference output from ONNX Runtime: {error}"

    def _artifact(self, engine: str) -> str:
        """Of the file that this engine runs: an INT8 network has an encoding of its own for some."""
        return self.model.encodings.get(engine, self.model.artifact)

    def _file(self, artifact: str) -> Path:
        return self.scratch / f"{artifact}.onnx"

    def generation(
        self, before: Sequence[Trial], lanes: Sequence[Lane], rounds: int, tell: Callable[[str], None]
    ) -> list[Trial]:
        """The trials of the generation after those of ``before``, in the order of the lanes.

        One that ``tell`` ends by Interrupted has the rounds that it came to: what ends it has nothing to do with what
        is measured, and estimates stand on generations of different length anyway. But it counts as a process of
        every engine, so there are no trials where one of them has not timed anything. ``tell`` will raise again.
        """
        self.together &= all(trial.interleaved for trial in before)  # they did not fit into memory
        number = max((trial.generation for trial in before), default=-1) + 1
        inspected = {trial.cell for trial in before if trial.execution}
        generation = Generation(
            protocol=self.protocol,
            task=lambda lane: self._task(lane, inspect=self._cell(lane) not in inspected),
            rounds=rounds,
            side_by_side=bool(before),
            # The order has no secret to keep; it only has to be the same again.
            random=Random(f"{self.request.seed}/{self.model.network}/{self.model.variant}/{number}"),  # noqa: S311
            seconds=self.protocol.budget_s - machine_s(before),
            tell=tell,
        )
        seats = [self._seat(lane) for lane in lanes]
        try:
            if self.together:
                try:
                    generation.together([seat for seat in seats if not seat.ended_at])
                except TooLittleMemory:
                    self.together, seats = False, [self._seat(lane) for lane in lanes]
            if not self.together:
                generation.apart([seat for seat in seats if not seat.ended_at])
        except Interrupted:
            if not all(seat.told for seat in seats):
                return []
        alone = not (self.together and before)
        return [self._trial(seat, number, alone) for seat in seats]

    def _seat(self, lane: Lane) -> Seat:
        """For a process to come; ended where it is known before that there can be none."""
        log = self.scratch / f"{lane.engine}-{lane.precision}.log"
        absence = ENGINES[lane.engine].absence(
            frozenset(self.host.cpu_flags), self.headers[self._artifact(lane.engine)]
        )
        seat = Seat(lane, log, absence=absence, error=None if absence else self.reference_error)
        if seat.absence or seat.error:
            seat.ended_at = seat.started_at
        return seat

    def _task(self, lane: Lane, inspect: bool) -> WorkerTask:
        return WorkerTask(
            engine=lane.engine,
            precision=lane.precision,
            scenario=self.protocol.scenario,
            model=self._file(self._artifact(lane.engine)),
            input_shape=self.model.input_shape,
            reference=self.reference,
            int8=self.model.parent is not None,
            threads=self.host.physical_cores,
            inspect=inspect,
        )

    def _cell(self, lane: Lane) -> Cell:
        return Cell(
            instance_type=self.request.instance_type,
            network=self.model.network,
            variant=self.model.variant,
            engine=lane.engine,
            precision=lane.precision,
        )

    def _trial(self, seat: Seat, generation: int, loaded_alone: bool) -> Trial:
        evidence: dict[str, object]
        if seat.absence:
            evidence = {"status": "absent", "absence": seat.absence}
        elif seat.error:
            evidence = {"status": "failed", "error": seat.error}
        else:
            assert seat.loaded
            evidence = dict(seat.loaded) | dict(seat.warm or {}) | dict(seat.farewell or {})
            if seat.loaded.status == "measured":
                evidence["blocks"] = tuple(seat.blocks)
            if not loaded_alone:
                evidence["load_s"] = None
        return Trial.model_validate(
            {
                "cell": self._cell(seat.lane),
                "night": self.request.night,
                "job": self.request.job,
                "generation": generation,
                "interleaved": self.together,
                "instance_id": self.host.instance_id,
                "artifact": self._artifact(seat.lane.engine),
                "threads": self.host.physical_cores,
                "started_at": seat.started_at,
                "ended_at": seat.ended_at or datetime.now(UTC),
                **evidence,
            }
        )
