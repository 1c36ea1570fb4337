"""Trials of a night -> Results. Which of them enter is decided here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from statistics import median

from sparsebench.analysis.results import CELL, MACHINE, MISSING, REPEATS, Machine, Measured, Results, Row, table
from sparsebench.contracts import BenchRequest, Cell, Collection, HostFacts, Trial
from sparsebench.fleet.plan import cells
from sparsebench.statistics.pairs import Unit, unit
from sparsebench.statistics.verdicts import MIN_PROCESSES
from sparsebench.store import Unreadable

Key = tuple[object, ...]


def from_trials(
    trials: Sequence[Trial],
    hosts: Sequence[HostFacts],
    collections: Sequence[Collection] = (),
    requests: Sequence[BenchRequest] = (),
    unreadable: Sequence[Unreadable] = (),
) -> Results:
    """The results of a night's trials.

    A throughput enters when its trial was measured, its output agrees with the reference, its host is known, and a
    block of it is undisturbed; how few blocks it stands on is what its interval says. A cell of which one trial
    disagreed is invalid on that machine as a whole: whichever of its processes was right, it is not ranked. Whatever a
    request asks for has a throughput, or is missing with its reason; a trial that cannot be read is missing too.
    """
    known = machines(hosts)
    entering = _settled(_sorted(trials), known)
    judged = [_judge(trial, known.get((trial.cell.instance_type, trial.instance_id))) for trial in entering]
    invalid = {verdict.key for verdict in judged if verdict.reason == "invalid"}
    judged = [verdict for verdict in judged if verdict.reason or verdict.key not in invalid]

    valid = [verdict for verdict in judged if not verdict.reason]
    valid_trials = Counter(verdict.key for verdict in valid)
    refused: dict[tuple[Key, str], list[_Judged]] = {}
    for verdict in judged:
        if verdict.reason:
            refused.setdefault((verdict.key, verdict.reason), []).append(verdict)
    missing: list[Row] = [
        {
            **lost[0].identity,
            "reason": reason,
            "detail": lost[0].detail,
            "trials": len(lost),
            "valid_trials": valid_trials[key],
            **_disturbance(verdict.trial for verdict in lost),
        }
        for (key, reason), lost in refused.items()
    ]
    damaged = _unreadable(unreadable, Counter(verdict.trial.cell for verdict in valid))
    begun = {trial.cell for trial in trials} | set(damaged)
    return Results(
        table(_repeats(valid, judged), REPEATS),
        table([*missing, *damaged.values(), *_never_begun(begun, collections, requests)], MISSING),
        tuple(
            Measured(verdict.machine, verdict.trial)
            for verdict in judged
            if verdict.machine and verdict.reason in ("", "disturbed")
        ),
        tuple(unreadable),
    )


def _settled(trials: Iterable[Trial], known: Mapping[tuple[str, str], Machine]) -> Iterator[Trial]:
    """Blocks that are merely tolerated enter as long as fewer than MIN_PROCESSES generations of a network on a machine
    are without any; from then on they are left out as disturbed."""
    networks: dict[Key, list[Trial]] = {}
    for trial in trials:
        machine = known.get((trial.cell.instance_type, trial.instance_id))
        networks.setdefault((machine, trial.cell.network), []).append(trial)
    for of_network in networks.values():
        tolerated: dict[Unit, bool] = {}
        for trial in of_network:
            where = unit(trial)
            tolerated[where] = tolerated.get(where, False) or any(block.tolerated for block in trial.blocks)
        enough = sum(not noisy for noisy in tolerated.values()) >= MIN_PROCESSES
        for trial in of_network:
            yield _without_tolerance(trial) if enough and tolerated[unit(trial)] else trial


def _without_tolerance(trial: Trial) -> Trial:
    blocks = (block.model_copy(update={"tolerated": False}) if block.tolerated else block for block in trial.blocks)
    return trial.model_copy(update={"blocks": tuple(blocks)})


def machines(hosts: Iterable[HostFacts]) -> dict[tuple[str, str], Machine]:
    """The machine of each host, by instance type and id."""
    return {
        (host.instance_type, host.instance_id): Machine(host.instance_type, host.cpu_model, host.emulated)
        for host in hosts
    }


@dataclass
class _Judged:
    """A trial, and why its throughput does not enter; an empty reason where it does."""

    trial: Trial
    machine: Machine | None
    reason: str
    detail: str

    @property
    def identity(self) -> Row:
        return _identity(self.trial.cell, self.machine)

    @property
    def key(self) -> Key:
        return tuple(self.identity[column] for column in CELL)


def _sorted(trials: Iterable[Trial]) -> list[Trial]:
    return sorted(trials, key=lambda trial: (trial.cell.key, trial.night, trial.job, trial.generation))


def _judge(trial: Trial, machine: Machine | None) -> _Judged:
    return _Judged(trial, machine, *_refusal(trial, machine))


def _refusal(trial: Trial, machine: Machine | None) -> tuple[str, str]:
    """Why a trial's throughput does not enter, and what is known about it; empty when it does."""
    if trial.absence is not None and trial.status == "absent":
        return "absent", f"{trial.absence.reason}: {trial.absence.detail}"
    if trial.status == "failed":
        return "failed", " ".join(str(trial.error).split())[-300:]
    parity = trial.parity
    if parity is None:
        return "unchecked", "measured without a comparison of its output"
    if trial.status == "invalid" or not parity.agrees:
        difference = "output not finite" if parity.relative is None else f"relative difference {parity.relative:.2g}"
        tolerance = "" if parity.tolerance is None else f" (tolerance {parity.tolerance:.2g})"
        return "invalid", f"{difference}{tolerance}, same top class of {parity.same_top1} of {parity.images} images"
    if machine is None:
        return "unidentified", f"no host facts of {trial.instance_id}"
    if all(block.disturbed for block in trial.blocks):
        return "disturbed", ""
    return "", ""


def _disturbance(trials: Iterable[Trial]) -> Row:
    """What disturbed most of the blocks of trials, and how much of it there was."""
    every = [
        disturbance for trial in trials for block in trial.blocks for disturbance in block.interference.disturbances
    ]
    if not every:
        return {"disturbed_by": "", "disturbed_value": None}
    kind = Counter(disturbance.kind for disturbance in every).most_common(1)[0][0]
    return {
        "disturbed_by": kind,
        "disturbed_value": median(disturbance.value for disturbance in every if disturbance.kind == kind),
    }


def _repeats(valid: Sequence[_Judged], judged: Sequence[_Judged]) -> list[Row]:
    numbers = _generation_numbers(judged)
    return [
        {
            **verdict.identity,
            "repeat": numbers[_network(verdict)][_generation(verdict.trial)],
            **_measurements(verdict.trial),
        }
        for verdict in valid
    ]


def _generation_numbers(judged: Iterable[_Judged]) -> dict[Key, dict[Key, int]]:
    """Numbers from 0, for each network on each machine: the same for all lanes, and where the generations hold all of
    its variants, for all of those."""
    generations: dict[Key, set[Key]] = {}
    for verdict in judged:
        generations.setdefault(_network(verdict), set()).add(_generation(verdict.trial))
    return {
        network: {generation: number for number, generation in enumerate(sorted(of_network))}
        for network, of_network in generations.items()
    }


def _network(verdict: _Judged) -> Key:
    trial = verdict.trial
    return verdict.machine, trial.cell.network, "" if trial.variants else trial.cell.variant


def _generation(trial: Trial) -> Key:
    return trial.night, trial.job, trial.generation, trial.instance_id


def _measurements(trial: Trial) -> Row:
    undisturbed = [block for block in trial.blocks if not block.disturbed]
    # As of a ratio: what is merely tolerated enters where there is nothing else.
    entering = [block for block in undisturbed if not block.tolerated] or undisturbed
    return {
        "throughput_img_s": sum(block.images for block in entering) / sum(block.seconds for block in entering),
        "blocks": len(trial.blocks),
        "disturbed_blocks": len(trial.blocks) - len(entering),
        "tolerated_blocks": sum(block.tolerated for block in entering),
        "batch": trial.batch,
        "streams": trial.engine_facts.get("streams"),
        "supported_ops": trial.engine_facts.get("fraction_of_supported_ops"),
        "load_s": trial.load_s,
        "peak_memory_bytes": trial.peak_memory_bytes,
        "output_error": trial.parity and trial.parity.relative,
        "host": trial.instance_id,
    }


def _unreadable(unreadable: Iterable[Unreadable], valid: Mapping[Cell, int]) -> dict[Cell, Row]:
    """What is missing because its trials are damaged or false, by the cell that their place names."""
    lost: dict[Cell, list[Unreadable]] = {}
    for damaged in unreadable:
        match damaged.path.split("/"):
            case ["nights", _, "trials", instance_type, key, _] if cell := Cell.at(instance_type, key):
                lost.setdefault(cell, []).append(damaged)
    return {
        cell: {
            **_identity(cell, None),
            "reason": "unreadable",
            "trials": len(trials),
            "valid_trials": valid.get(cell, 0),
            "detail": f"{trials[0].path}: {trials[0].reason}",
            "disturbed_by": "",
        }
        for cell, trials in lost.items()
    }


def _never_begun(
    begun: AbstractSet[Cell], collections: Sequence[Collection], requests: Sequence[BenchRequest]
) -> list[Row]:
    """What was to be measured, and of which the night has no trial at all."""
    planned = {cell: ("not_begun", "") for request in requests for cell in cells(request)}
    for collection in sorted(collections, key=lambda collection: collection.run_id):
        planned |= {miss.cell: (miss.reason, miss.detail) for miss in collection.missing}
    return [
        {
            **_identity(cell, None),
            "reason": reason,
            "trials": 0,
            "valid_trials": 0,
            "detail": detail,
            "disturbed_by": "",
        }
        for cell, (reason, detail) in planned.items()
        if cell not in begun
    ]


def _identity(cell: Cell, machine: Machine | None) -> Row:
    known = machine._asdict() if machine else {**dict.fromkeys(MACHINE), "cpu_model": ""}
    return {**known, **cell.model_dump()}
