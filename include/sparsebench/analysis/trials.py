"""Trials of a night -> Results. Which of them enter is decided here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sparsebench.analysis.disturbance import kind
from sparsebench.analysis.results import CELL, MACHINE, MISSING, REPEATS, Machine, Measured, Results, Row, table
from sparsebench.contracts import Block, Cell, Collection, HostFacts, Trial

Key = tuple[object, ...]

MIN_BLOCKS = 6
"""Undisturbed ones of a cell, where others were disturbed: a distribution-free 95 % interval of a median needs six."""


def from_trials(trials: Sequence[Trial], hosts: Sequence[HostFacts], collections: Sequence[Collection] = ()) -> Results:
    """The results of a night's trials.

    A throughput enters when its trial was measured, its output agrees with the reference, its host is known, and a
    block of it is undisturbed. A cell of which one trial disagreed is invalid on that machine as a whole: whichever
    of its processes was right, it is not ranked. A cell of which fewer than MIN_BLOCKS blocks are left because
    others were disturbed is disturbed as a whole: it would tell of the disturbance, not of the engine.
    """
    known = machines(hosts)
    judged = [_judge(trial, known.get((trial.cell.instance_type, trial.instance_id))) for trial in _sorted(trials)]
    invalid = {one.key for one in judged if one.reason == "invalid"}
    judged = [one for one in judged if one.reason or one.key not in invalid]
    _refuse_disturbed_cells(judged)

    valid = [one for one in judged if not one.reason]
    valid_trials = Counter(one.key for one in valid)
    refused = [one for one in judged if one.reason]
    lost = Counter((one.key, one.reason) for one in refused)
    first = {(one.key, one.reason): one for one in reversed(refused)}
    missing: list[Row] = [
        {
            **one.identity,
            "reason": one.reason,
            "detail": one.detail,
            "trials": lost[key],
            "valid_trials": valid_trials[one.key],
        }
        for key, one in first.items()
    ]
    return Results(
        table(_repeats(valid, judged), REPEATS),
        table([*missing, *_never_begun(trials, collections)], MISSING),
        tuple(Measured(one.machine, one.trial) for one in judged if one.machine and one.reason in ("", "disturbed")),
    )


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
        return "disturbed", _how_disturbed(trial.blocks)
    return "", ""


def _refuse_disturbed_cells(judged: Sequence[_Judged]) -> None:
    cells: dict[Key, list[_Judged]] = {}
    for one in judged:
        if one.reason in ("", "disturbed"):
            cells.setdefault(one.key, []).append(one)
    for cell in cells.values():
        blocks = [block for one in cell for block in one.trial.blocks]
        undisturbed = sum(not block.disturbed for block in blocks)
        if undisturbed < min(MIN_BLOCKS, len(blocks)):
            for one in cell:
                one.reason = "disturbed"
                one.detail = f"{_how_disturbed(blocks)}; {undisturbed} undisturbed ones are too few"


def _how_disturbed(blocks: Sequence[Block]) -> str:
    disturbed = [block for block in blocks if block.disturbed]
    most = Counter(kind(reason) for block in disturbed for reason in block.interference.reasons).most_common(1)[0][0]
    return f"{len(disturbed)} of {len(blocks)} blocks, most of them because {most}"


def _repeats(valid: Sequence[_Judged], judged: Sequence[_Judged]) -> list[Row]:
    numbers = _generation_numbers(judged)
    return [
        {**one.identity, "repeat": numbers[_file(one)][_generation(one.trial)], **_measurements(one.trial)}
        for one in valid
    ]


def _generation_numbers(judged: Iterable[_Judged]) -> dict[Key, dict[Key, int]]:
    """Numbers from 0, for each network's variant on each machine: the same for all lanes."""
    found: dict[Key, set[Key]] = {}
    for one in judged:
        found.setdefault(_file(one), set()).add(_generation(one.trial))
    return {
        file: {generation: number for number, generation in enumerate(sorted(generations))}  # type: ignore[type-var]
        for file, generations in found.items()
    }


def _file(one: _Judged) -> Key:
    return one.machine, one.trial.cell.network, one.trial.cell.variant


def _generation(trial: Trial) -> Key:
    return trial.night, trial.job, trial.generation, trial.instance_id


def _measurements(trial: Trial) -> Row:
    undisturbed = [block for block in trial.blocks if not block.disturbed]
    return {
        "throughput_img_s": sum(block.images for block in undisturbed) / sum(block.seconds for block in undisturbed),
        "blocks": len(trial.blocks),
        "disturbed_blocks": len(trial.blocks) - len(undisturbed),
        "batch": trial.batch,
        "streams": trial.engine_facts.get("streams"),
        "supported_ops": trial.engine_facts.get("fraction_of_supported_ops"),
        "load_s": trial.load_s,
        "peak_memory_bytes": trial.peak_memory_bytes,
        "output_error": trial.parity and trial.parity.relative,
        "host": trial.instance_id,
    }


def _never_begun(trials: Sequence[Trial], collections: Sequence[Collection]) -> list[Row]:
    """What a run was to measure, and of which the night has no trial at all."""
    begun = {trial.cell for trial in trials}
    planned = {
        miss.cell: miss
        for collection in sorted(collections, key=lambda collection: collection.run_id)
        for miss in collection.missing
        if miss.cell not in begun
    }
    return [
        {**_identity(cell, None), "reason": miss.reason, "trials": 0, "valid_trials": 0, "detail": miss.detail}
        for cell, miss in planned.items()
    ]


def _identity(cell: Cell, machine: Machine | None) -> Row:
    known = machine._asdict() if machine else {**dict.fromkeys(MACHINE), "cpu_model": ""}
    return {**known, **cell.model_dump()}
