"""The sample behind a lane's numbers: hosts, processes, blocks, what is left out, what is not known well enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple, Self

import pandas as pd

from sparsebench.analysis.counts import Counts, of_frames
from sparsebench.analysis.order import VARIANTS
from sparsebench.analysis.results import FILE, MACHINE, Machine, Results
from sparsebench.contracts import Protocol


@dataclass(frozen=True)
class Way:
    """How an engine was given images in the throughput scenario: those an inference, and streams side by side."""

    engine: str
    batches: tuple[int, ...]
    streams: tuple[int, ...]


@dataclass(frozen=True)
class Unconverged:
    """A file of which some ratio of two engines is not known to the target. half_width: of the worst; inf: unknown."""

    instance_type: str
    network: str
    variant: str
    half_width: float


@dataclass(frozen=True)
class Sample:
    """What numbers stand on. protocol: None of a CSV, which does not tell. blocks: None of a CSV; disturbed of them
    are left out, and tolerated enter although disturbed. lost: processes of cells with a number, of which every block
    is left out. compared: ratios of two engines."""

    precision: str
    protocol: Protocol | None
    ways: tuple[Way, ...]
    machines: int
    hosts: int
    processes: int
    blocks: int | None
    disturbed: int
    tolerated: int
    lost: int
    counts: Counts
    compared: int
    unconverged: tuple[Unconverged, ...]


class Frames(NamedTuple):
    """What a sample is counted in: of a lane, or of some of its machines. ratios: as of ratios.every."""

    repeats: pd.DataFrame
    cells: pd.DataFrame
    missing: pd.DataFrame
    ratios: pd.DataFrame

    @classmethod
    def of_lane(cls, lane: Results, ratios: pd.DataFrame) -> Self:
        return cls(lane.repeats, lane.cells, lane.missing, ratios)

    def by_type(self) -> Mapping[str, Frames]:
        """Those of each instance type: of a thousand of them, each machine would look at the rows of all."""
        groups = [dict(list(frame.groupby("instance_type", sort=False))) for frame in self]
        names = dict.fromkeys(name for of_frame in groups for name in of_frame)
        return {
            str(name): Frames(
                *(of_frame.get(name, frame.iloc[:0]) for of_frame, frame in zip(groups, self, strict=True))
            )
            for name in names
        }


def sample_of(
    frames: Frames,
    precision: str,
    protocol: Protocol | None,
    machine: Machine | None = None,
    variants: Sequence[str] = VARIANTS,
) -> Sample:
    """The sample that the numbers of these variants stand on. machine: None for all."""
    repeats, cells, missing, compared = (_only(frame, machine, variants) for frame in frames)
    from_csv = repeats["blocks"].isna().all()
    return Sample(
        precision=precision,
        protocol=protocol,
        ways=tuple(
            Way(str(engine), _distinct(of_engine["batch"]), _distinct(of_engine["streams"]))
            for engine, of_engine in cells.groupby("engine", sort=False)
        ),
        machines=len(cells[MACHINE].drop_duplicates()),
        hosts=len(repeats[[*MACHINE, "host"]].drop_duplicates()),
        processes=len(repeats),
        blocks=None if from_csv else int(repeats["blocks"].sum()),
        disturbed=0 if from_csv else int(repeats["disturbed_blocks"].sum()),
        tolerated=0 if from_csv else int(repeats["tolerated_blocks"].sum()),
        lost=int(missing.loc[(missing["reason"] == "disturbed") & (missing["valid_trials"] > 0), "trials"].sum()),
        counts=of_frames(cells, missing),
        compared=len(compared),
        unconverged=_unconverged(compared),
    )


def _only(frame: pd.DataFrame, machine: Machine | None, variants: Sequence[str]) -> pd.DataFrame:
    shown = frame["variant"].isin(variants)
    if machine is not None:
        shown &= frame["instance_type"] == machine.instance_type
        shown &= frame["cpu_model"].isin([machine.cpu_model, ""])  # "": never begun, so missing on all its machines
        shown &= frame["emulated"].isna() | (frame["emulated"] == machine.emulated)
    return frame[shown]


def _distinct(values: pd.Series) -> tuple[int, ...]:
    return tuple(int(value) for value in sorted(set(values.dropna())))


def _unconverged(ratios: pd.DataFrame) -> tuple[Unconverged, ...]:
    """The files that are not known to the target, the worst first."""
    wide = ratios[~ratios["converged"].fillna(True).astype(bool)]
    worst = wide.assign(half_width=wide["half_width"].fillna(inf))
    worst = worst.sort_values("half_width", ascending=False, kind="stable").drop_duplicates([*MACHINE, *FILE])
    return tuple(
        Unconverged(*row) for row in worst[["instance_type", *FILE, "half_width"]].itertuples(index=False, name=None)
    )
