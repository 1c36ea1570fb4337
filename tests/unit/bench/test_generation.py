"""Rounds of a generation, on processes that are told whether their blocks are disturbed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, repeat
from random import Random
from typing import Any

import pytest
from tests.unit.bench.conftest import QUICKEST

from sparsebench.bench.generation import Generation, tolerate
from sparsebench.bench.processes import Seat
from sparsebench.contracts import Block
from sparsebench.statistics.pairs import Treatment

MakeBlock = Callable[..., Block]
Measure = Callable[..., dict[str, list[Block]]]
"""The blocks of engines, of which it is told how many foreign cores each suffers from."""


class ToldSeat(Seat):
    """Its blocks suffer from this many foreign cores, one after the other, and the last of them from then on."""

    def __init__(self, name: str, make_block: MakeBlock, foreign: Iterator[float]):
        super().__init__(Treatment("base", name, "f32"))
        self.make, self.foreign, self.process = make_block, foreign, self  # type: ignore[assignment]

    def time(self, protocol: Any, round_: int, position: int) -> Block:
        block = self.make(10, round_, foreign_cores=next(self.foreign)).model_copy(update={"position": position})
        self.blocks.append(block)
        return block


@pytest.fixture
def measure(make_block: MakeBlock) -> Measure:
    def run(rounds: int, interleaved: bool = True, **foreign: list[float]) -> dict[str, list[Block]]:
        seats = [ToldSeat(name, make_block, chain(shares, repeat(shares[-1]))) for name, shares in foreign.items()]
        generation = Generation(
            QUICKEST.model_copy(update={"interleaved": interleaved}),
            start=lambda *_: pytest.fail("nothing is started"),
            rounds=rounds,
            side_by_side=True,
            random=Random(0),  # noqa: S311
            seconds=1000,
            tell=lambda _: None,
        )
        generation._rounds(seats, deadline=float("inf"))
        tolerate(seats)
        return {seat.treatment.engine: seat.blocks for seat in seats}

    return run


def test_a_disturbed_block_is_timed_again_in_its_round_and_nothing_else_is(measure: Measure) -> None:
    blocks = measure(2, a=[0, 1, 0], b=[0])

    assert [(block.round, block.disturbed) for block in blocks["a"]] == [(0, False), (1, True), (1, False)]
    assert [block.round for block in blocks["b"]] == [0, 1]
    assert blocks["a"][-1].position == 2


def test_a_block_that_is_disturbed_again_and_again_is_given_up_in_its_round(measure: Measure) -> None:
    blocks = measure(4, a=[0, 0, 0, 1], b=[0])

    assert [block.round for block in blocks["a"]] == [0, 1, 2, 3, 3, 3]
    assert not any(block.tolerated for block in blocks["a"])


def test_no_more_blocks_are_timed_again_than_were_asked_for(measure: Measure) -> None:
    blocks = measure(10, a=[1], b=[1])

    assert len(blocks["a"]) + len(blocks["b"]) == 40


def test_a_host_that_is_never_quiet_has_the_least_disturbed_block_of_each_round(measure: Measure) -> None:
    blocks = measure(2, a=[0.9, 0.5, 0.7, 0.8, 0.6, 0.7], b=[0])

    entering = [block for block in blocks["a"] if not block.disturbed]
    assert [(block.round, block.interference.foreign_cores, block.tolerated) for block in entering] == [
        (0, 0.5, True),
        (1, 0.6, True),
    ]
    assert not any(block.tolerated for block in blocks["b"])


def test_the_studys_procedure_times_nothing_again(measure: Measure) -> None:
    assert len(measure(2, interleaved=False, a=[1])["a"]) == 2
