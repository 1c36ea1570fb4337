"""What a run was to measure, what is there, and why the rest is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sparsebench.contracts import Cell, Collection, Job, MissingCell, Trial
from sparsebench.fleet.plan import cells
from sparsebench.store import Store


def collect(store: Store, jobs: Sequence[Job], failed_steps: Mapping[str, str]) -> Collection:
    """Compare a run's plan with the trials in the store, and keep the result there.

    Args:
        failed_steps: by job, the step of its instance that did not succeed (launch, agent, prepare, work).
    """
    measured, missing, planned = 0, [], 0
    requests = [store.bench_request(job.request) for job in jobs]
    for request in requests:
        trials: dict[Cell, list[Trial]] = {}
        for trial in store.trials(request.night, request.instance_type, request.job):
            trials.setdefault(trial.cell, []).append(trial)
        for cell in cells(request):
            planned += 1
            found = trials.get(cell, [])
            if any(trial.status == "measured" for trial in found):
                measured += 1
            else:
                missing.append(_missing(cell, found, failed_steps.get(request.job)))
    collection = Collection(
        run_id=jobs[0].run_id, night=requests[0].night, planned=planned, measured=measured, missing=tuple(missing)
    )
    store.put_collection(jobs[0].job, collection)
    return collection


def _missing(cell: Cell, trials: list[Trial], failed_step: str | None) -> MissingCell:
    if trials:
        last = trials[-1]
        if last.absence:
            detail = last.absence.detail
        elif last.error:
            detail = last.error.strip().rpartition("\n")[2]
        else:
            detail = f"relative difference {last.parity and last.parity.relative} from ONNX Runtime's output"
        return MissingCell(cell=cell, reason=last.status, detail=detail)  # type: ignore[arg-type]
    step = failed_step or "work"
    return MissingCell(cell=cell, reason=step, detail=f"the step {step} of {cell.instance_type} failed")  # type: ignore[arg-type]


def unexpected(collection: Collection) -> list[MissingCell]:
    """Cells that should have a number: all that are missing, but for engines that cannot run there."""
    return [cell for cell in collection.missing if cell.reason != "absent"]
