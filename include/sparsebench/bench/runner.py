"""The runner: carries out a request, trial by trial, each in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from sparsebench.bench.child import ChildFailed, run_child
from sparsebench.bench.engines import ENGINES
from sparsebench.bench.onnx_header import OnnxHeader, read_header
from sparsebench.bench.parity import ReferenceTask
from sparsebench.bench.plan import Slot, missing, plan
from sparsebench.bench.trial import Outcome, TrialTask
from sparsebench.catalog import check
from sparsebench.contracts import ArtifactRef, BenchRequest, HostFacts, Progress, Trial
from sparsebench.errors import BadInput
from sparsebench.store import Store

OnTrial = Callable[[Trial, int, int], None]
"""Called with each trial when it is in the store, how many are done, and how many there are."""


def run(store: Store, request: BenchRequest, host: HostFacts, on_trial: OnTrial) -> None:
    """Measure what the request asks for and the store does not have yet.

    Every trial is written the moment it ends. Crashes, refusals and wrong outputs are trials too.

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
    _Run(store, request, host, on_trial).carry_out()


class _Run:
    def __init__(self, store: Store, request: BenchRequest, host: HostFacts, on_trial: OnTrial):
        self.store, self.request, self.host, self.on_trial = store, request, host, on_trial
        self.slots = plan(request)
        self.trials = store.trials(request.night, request.instance_type, request.job)
        self.started_at = datetime.now(UTC)

    @property
    def open(self) -> list[Slot]:
        return missing(self.slots, self.trials)

    def carry_out(self) -> None:
        for model, slots in groupby(self.open, key=lambda slot: slot.model):
            self._report(f"{model.network} {model.variant}, reference")
            with TemporaryDirectory(prefix="sparsebench-") as scratch:
                bench = _Bench(self.store, model, self.request, self.host, Path(scratch))
                for slot in slots:
                    if slot not in self.open:  # absent, as an earlier round found
                        continue
                    cell = slot.cell
                    self._report(f"{cell.network} {cell.variant}, {cell.engine} {cell.precision}")
                    trial = bench.trial(slot)
                    self.store.put_trial(trial)
                    self.trials.append(trial)
                    self.on_trial(trial, len(self.trials), len(self.trials) + len(self.open))
        self._report("finished", finished=True)

    def _report(self, what: str, finished: bool = False) -> None:
        self.store.put_progress(
            Progress(
                job=self.request.job,
                what=what,
                done=len(self.trials),
                total=len(self.trials) + len(self.open),
                started_at=self.started_at,
                updated_at=datetime.now(UTC),
                failed=sum(trial.status == "failed" for trial in self.trials),
                finished=finished,
            )
        )


class _Bench:
    """One network's file and its reference output, on this machine's disk while its trials last."""

    def __init__(self, store: Store, model: ArtifactRef, request: BenchRequest, host: HostFacts, scratch: Path):
        self.model, self.request, self.host, self.scratch = model, request, host, scratch
        self.file, self.reference = scratch / "model.onnx", scratch / "reference.npy"
        self.reference_error: str | None = None
        data = store.artifact(model.artifact)
        self.header: OnnxHeader = read_header(data, store.artifact_path(model.artifact))
        self.file.write_bytes(data)
        task = ReferenceTask(
            model=self.file, input_shape=model.input_shape, threads=host.physical_cores, output=self.reference
        )
        try:
            self._child("sparsebench.bench.parity", task)
        except ChildFailed as error:
            self.reference_error = f"no reference output from ONNX Runtime: {error}"

    def trial(self, slot: Slot) -> Trial:
        started_at = datetime.now(UTC)
        result: Outcome | str
        try:
            result = self.reference_error or self._outcome(slot)
        except ChildFailed as error:
            result = str(error)
        evidence = {"status": "failed", "error": result} if isinstance(result, str) else dict(result)
        return Trial(
            cell=slot.cell,
            night=self.request.night,
            job=self.request.job,
            round=slot.round,
            position=slot.position,
            instance_id=self.host.instance_id,
            artifact=self.model.artifact,
            threads=self.host.physical_cores,
            started_at=started_at,
            ended_at=datetime.now(UTC),
            **evidence,
        )

    def _outcome(self, slot: Slot) -> Outcome:
        absence = ENGINES[slot.cell.engine].absence(frozenset(self.host.cpu_flags), self.header)
        if absence:
            return Outcome(status="absent", absence=absence)
        outcome = self.scratch / "outcome.json"
        outcome.unlink(missing_ok=True)
        task = TrialTask(
            engine=slot.cell.engine,
            precision=slot.cell.precision,
            model=self.file,
            input_shape=self.model.input_shape,
            reference=self.reference,
            threads=self.host.physical_cores,
            protocol=self.request.protocol,
            outcome=outcome,
        )
        self._child("sparsebench.bench.trial", task)
        return Outcome.model_validate_json(outcome.read_bytes())

    def _child(self, module: str, task: ReferenceTask | TrialTask) -> None:
        run_child(module, task, self.request.protocol.trial_timeout_s, self.scratch / "output.log")
