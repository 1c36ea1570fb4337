"""What a run was to measure, what is there, and why the rest is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import count

from sparsebench.bench.stopping import machine_s
from sparsebench.contracts import BenchRequest, Cell, Collection, Job, MissingCell, Took, Trial, Variant
from sparsebench.fleet.plan import cells
from sparsebench.fleet.spending import spent_usd
from sparsebench.statistics.pairs import unit
from sparsebench.store import Store


def collect(store: Store, jobs: Sequence[Job], failed_steps: Mapping[str, str], now: datetime) -> Collection:
    """Compare a run's plan with the trials in the store, and keep the result there.

    Args:
        failed_steps: by job, the step of its instance that did not succeed (launch, agent, prepare, work).
    """
    measured, missing, planned, took = 0, [], 0, list[Took]()
    requests = [store.bench_request(job.request) for job in jobs]
    for request in requests:
        trials: dict[Cell, list[Trial]] = {}
        for trials_of_pass in passes(store, request):
            took += _took(request, trials_of_pass)
            for trial in trials_of_pass:
                trials.setdefault(trial.cell, []).append(trial)
        for cell in cells(request):
            planned += 1
            of_cell = trials.get(cell, [])
            if any(trial.status == "measured" for trial in of_cell):
                measured += 1
            elif of_cell:
                missing.append(_without_number(cell, of_cell[-1]))
            else:
                missing.append(_never_begun(store, cell, request.job, failed_steps.get(request.job, "work")))
    collection = Collection(
        run_id=jobs[0].run_id,
        night=requests[0].night,
        planned=planned,
        measured=measured,
        missing=tuple(missing),
        took=tuple(took),
        cost_usd=spent_usd(store.launches(jobs[0].run_key), now),
    )
    store.put_collection(jobs[0].job, collection)
    return collection


def passes(store: Store, request: BenchRequest) -> list[list[Trial]]:
    """The job's trials, and those of each time that it was done again."""
    trials = [store.trials(request.night, request.instance_type, request.job)]
    for number in count(2):
        name = f"{request.job}.{number}"
        if not store.exists(store.bench_request_path(request.model_copy(update={"job": name}))):
            return trials
        trials.append(store.trials(request.night, request.instance_type, name))
    raise AssertionError


def _took(request: BenchRequest, trials: Sequence[Trial]) -> list[Took]:
    """The time that each file took. Those of a network are measured in the same generations, and each has its share of
    their time."""
    networks: dict[str, dict[Variant, int]] = {}
    for trial in trials:
        processes = networks.setdefault(trial.cell.network, {})
        processes[trial.cell.variant] = processes.get(trial.cell.variant, 0) + 1
    return [
        Took(
            instance_type=request.instance_type,
            network=network,
            variant=variant,
            machine_s=machine_s([t for t in trials if t.cell.network == network]) * count / sum(processes.values()),
            processes=len({unit(t) for t in trials if (t.cell.network, t.cell.variant) == (network, variant)}),
        )
        for network, processes in networks.items()
        for variant, count in processes.items()
    ]


def _without_number(cell: Cell, last: Trial) -> MissingCell:
    if last.absence:
        detail = last.absence.detail
    elif last.error:
        detail = last.error.strip().rpartition("\n")[2]
    elif last.parity is None or last.parity.relative is None:
        detail = "its output is not finite"
    else:
        detail = f"relative difference {last.parity.relative:.2g} from ONNX Runtime's output"
    return MissingCell(cell=cell, reason=last.status, detail=detail)  # type: ignore[arg-type]


def _never_begun(store: Store, cell: Cell, job: str, step: str) -> MissingCell:
    failure = store.failure(job)
    if failure:
        return MissingCell(cell=cell, reason=failure.reason, detail=f"{failure.step}: {failure.detail}")
    if step == "ask":
        return MissingCell(cell=cell, reason="over_budget", detail="nobody approved of what the run may cost")
    return MissingCell(cell=cell, reason="failed", detail=f"the step {step} of {cell.instance_type} did not succeed")
