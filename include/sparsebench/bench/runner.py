"""The runner: carries out a request, network by network and generation by generation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Protocol as Interface

from sparsebench.bench.child import Child, ChildFailed
from sparsebench.bench.engines import ENGINES
from sparsebench.bench.generation import Generation, Seat, TooLittleMemory
from sparsebench.bench.onnx_header import OnnxHeader, read_header
from sparsebench.bench.parity import ReferenceTask
from sparsebench.bench.stopping import machine_s, next_rounds, open_lanes
from sparsebench.bench.worker import WorkerTask
from sparsebench.catalog import check
from sparsebench.contracts import ArtifactRef, BenchRequest, Cell, HostFacts, Progress, Trial
from sparsebench.errors import BadInput
from sparsebench.statistics.pairs import Lane
from sparsebench.store import Store


class Audience(Interface):
    """Who is told of what happens."""

    def on_trial(self, trial: Trial, done: int, total: int) -> None:
        """A trial is in the store. total: that are to be expected as far as is known."""

    def on_network(self, trials: Sequence[Trial], request: BenchRequest) -> None:
        """A network's variant has been measured; its trials by this job."""


def run(store: Store, request: BenchRequest, host: HostFacts, audience: Audience) -> None:
    """Measure what the request asks for and the store does not have yet.

    Every generation's trials are written the moment it ends. Crashes, refusals and wrong outputs are trials too.

    Raises:
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
    _Run(store, request, host, audience).carry_out()


class _Run:
    def __init__(self, store: Store, request: BenchRequest, host: HostFacts, audience: Audience):
        self.store, self.request, self.host, self.audience = store, request, host, audience
        self.lanes = [Lane(*pair) for pair in product(request.engines, request.protocol.precisions)]
        self.trials = store.trials(request.night, request.instance_type, request.job)
        self.finished = 0
        self.started_at = datetime.now(UTC)

    def carry_out(self) -> None:
        for model in self.request.models:
            self._measure(model)
            self.finished += 1
        self._report("finished", finished=True)

    def _measure(self, model: ArtifactRef) -> None:
        mine = self._trials_of(model)
        if next_rounds(mine, self.lanes, self.request.protocol) is None:
            return

        def tell(what: str) -> None:
            self._report(f"{model.network} {model.variant}: {what}")

        tell("reference")
        with TemporaryDirectory(prefix="sparsebench-") as scratch:
            bench = _Bench(self.store, model, self.request, self.host, Path(scratch))
            while rounds := next_rounds(mine, self.lanes, self.request.protocol):
                trials = bench.generation(mine, open_lanes(self.lanes, mine), rounds, tell)
                for trial in trials:
                    self.store.put_trial(trial)
                    self.trials.append(trial)
                    self.audience.on_trial(trial, len(self.trials), self._expected())
                mine = self._trials_of(model)
        self.audience.on_network(mine, self.request)

    def _trials_of(self, model: ArtifactRef) -> list[Trial]:
        return [t for t in self.trials if (t.cell.network, t.cell.variant) == (model.network, model.variant)]

    def _expected(self) -> int:
        """Trials that there will be: what measured networks have, and the least that the others get."""
        least = self.request.protocol.min_processes * len(self.lanes)
        open_models = self.request.models[self.finished :]
        closed = len(self.trials) - sum(len(self._trials_of(model)) for model in open_models)
        return closed + sum(max(least, len(self._trials_of(model))) for model in open_models)

    def _report(self, what: str, finished: bool = False) -> None:
        done = len(self.trials)
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
            )
        )


class _Bench:
    """One network's file and its reference outputs, on this machine's disk while it is measured."""

    def __init__(self, store: Store, model: ArtifactRef, request: BenchRequest, host: HostFacts, scratch: Path):
        self.model, self.request, self.host, self.scratch = model, request, host, scratch
        self.protocol = request.protocol
        self.together = request.protocol.interleaved
        self.file, self.reference = scratch / "model.onnx", scratch / "reference.npz"
        self.reference_error: str | None = None
        data = store.artifact(model.artifact)
        self.header: OnnxHeader = read_header(data, store.artifact_path(model.artifact))
        self.file.write_bytes(data)
        parent = self.file
        if model.parent:
            parent = scratch / "parent.onnx"
            store.fetch_artifact(model.parent, parent)
        task = ReferenceTask(
            model=parent,
            rounding="native" in self.protocol.precisions and model.parent is None,
            input_shape=model.input_shape,
            threads=host.physical_cores,
            output=self.reference,
        )
        try:
            log = scratch / "reference.log"
            with Child("sparsebench.bench.parity", task, log, self.protocol.trial_timeout_s) as child:
                child.wait()
        except ChildFailed as error:
            self.reference_error = f"no reference output from ONNX Runtime: {error}"

    def generation(
        self, before: Sequence[Trial], lanes: Sequence[Lane], rounds: int, tell: Callable[[str], None]
    ) -> list[Trial]:
        """The trials of the generation after those of ``before``, in the order of the lanes."""
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
        if self.together:
            try:
                generation.together([seat for seat in seats if not seat.ended_at])
            except TooLittleMemory:
                self.together, seats = False, [self._seat(lane) for lane in lanes]
        if not self.together:
            generation.apart([seat for seat in seats if not seat.ended_at])
        alone = not (self.together and before)
        return [self._trial(seat, number, alone) for seat in seats]

    def _seat(self, lane: Lane) -> Seat:
        """For a process to come; ended where it is known before that there can be none."""
        log = self.scratch / f"{lane.engine}-{lane.precision}.log"
        absence = ENGINES[lane.engine].absence(frozenset(self.host.cpu_flags), self.header)
        seat = Seat(lane, log, absence=absence, error=None if absence else self.reference_error)
        if seat.absence or seat.error:
            seat.ended_at = seat.started_at
        return seat

    def _task(self, lane: Lane, inspect: bool) -> WorkerTask:
        return WorkerTask(
            engine=lane.engine,
            precision=lane.precision,
            scenario=self.protocol.scenario,
            model=self.file,
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
                "artifact": self.model.artifact,
                "threads": self.host.physical_cores,
                "started_at": seat.started_at,
                "ended_at": seat.ended_at,
                **evidence,
            }
        )
