"""Which trials a request asks for, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from random import Random

from sparsebench.contracts import ArtifactRef, BenchRequest, Cell, Trial


@dataclass(frozen=True)
class Slot:
    """A trial to come."""

    model: ArtifactRef
    cell: Cell
    round: int
    position: int
    """Of the engine within its round, from 0."""


def plan(request: BenchRequest) -> list[Slot]:
    """All trials, model by model and round by round; the order within a round follows from the seed alone."""
    lanes = list(product(request.engines, request.protocol.precisions))
    slots = []
    for model, round_ in product(request.models, range(request.protocol.rounds)):
        order = list(lanes)
        if request.protocol.order == "random":
            # The order has no secret to keep; it only has to be the same again.
            Random(f"{request.seed}/{model.network}/{model.variant}/{round_}").shuffle(order)  # noqa: S311
        for position, (engine, precision) in enumerate(order):
            cell = Cell(
                instance_type=request.instance_type,
                network=model.network,
                variant=model.variant,
                engine=engine,
                precision=precision,
            )
            slots.append(Slot(model, cell, round_, position))
    return slots


def missing(slots: list[Slot], trials: list[Trial]) -> list[Slot]:
    """The slots that the job's trials leave open.

    A failed trial is done: it is a result, and another job measures the cell again. An engine that is absent
    stays so, and one trial that says it is enough.
    """
    done = {(trial.cell, trial.round) for trial in trials}
    absent = {trial.cell for trial in trials if trial.status == "absent"}
    return [slot for slot in slots if (slot.cell, slot.round) not in done and slot.cell not in absent]
