"""A generation: processes of every treatment of a network, that take turns, round by round.

Rounds are randomised blocks (Abedi and Brecht, doi 10.1145/3030207.3030229): in each, every treatment times one block,
in random order and close together, so that a drift of the host is common to all. Whoever waits is stopped, since its
idle threads would spin. A disturbed block is kept, and another one of that treatment is timed at the end of its round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from random import Random
from time import monotonic
from typing import TypeVar

import psutil

from sparsebench.bench.processes import Process, Seat
from sparsebench.bench.quiet import Quiet
from sparsebench.contracts import Block, Protocol

REPLACEMENTS = 2
"""Further blocks, at most, for one that was disturbed: later they would not be close to the others of its round."""

SPARE_MEMORY = 1.5
"""Times the largest process so far has to be available before another one is loaded beside it."""

T = TypeVar("T")
Start = Callable[[Sequence[Seat], ExitStack], Process]


class TooLittleMemory(Exception):
    """The processes of one generation do not fit into the host's memory at the same time."""


@dataclass(frozen=True)
class Generation:
    """What all its processes are given.

    Attributes:
        start: a process for these seats.
        rounds: that are wanted.
        side_by_side: whether all load at the same time, which is quicker, but no measurement of how long it takes.
        random: of the orders.
        seconds: after which no round begins any more.
        tell: called with what comes next, in a few words, whenever nothing is timed: before each step that a process
            may take ``trial_timeout_s`` for, and before each round. What it raises ends the generation there.
        quiet: asked to hold while a round is timed.
    """

    protocol: Protocol
    start: Start
    rounds: int
    side_by_side: bool
    random: Random
    seconds: float
    tell: Callable[[str], None]
    quiet: Quiet = field(default_factory=Quiet)

    def together(self, groups: Sequence[Sequence[Seat]]) -> None:
        """All loaded, then taking turns. groups: those that share a process.

        Raises:
            TooLittleMemory: when they do not all fit.
        """
        deadline = monotonic() + self.seconds
        with ExitStack() as stack:
            if self.side_by_side:
                processes = [self.start(seats, stack) for seats in groups]
                for process in processes:
                    self.tell(f"loading {len(processes)} processes")
                    process.load()
            else:
                processes = self._load_in_turn(groups, stack)
            self._take_turns([seat for seats in groups for seat in seats], processes, deadline)

    def apart(self, groups: Sequence[Sequence[Seat]]) -> None:
        """One process after the other, each with all its rounds."""
        for seats in self._ordered(groups):
            deadline = monotonic() + self.seconds / len(groups)
            with ExitStack() as stack:
                self.tell(f"loading {seats[0].name}")
                process = self.start(seats, stack)
                process.load()
                self._take_turns(seats, [process], deadline)

    def _load_in_turn(self, groups: Sequence[Sequence[Seat]], stack: ExitStack) -> list[Process]:
        processes = []
        largest, available = 0, psutil.virtual_memory().available
        for seats in self._ordered(groups):
            if available < SPARE_MEMORY * largest:
                raise TooLittleMemory
            self.tell(f"loading {seats[0].name}")
            processes.append(self.start(seats, stack))
            processes[-1].load()
            before, available = available, psutil.virtual_memory().available
            largest = max(largest, before - available)
        return processes

    def _take_turns(self, seats: Sequence[Seat], processes: Sequence[Process], deadline: float) -> None:
        for seat in self._ordered(seats):
            if seat.process:
                self.tell(f"warming up {seat.name}")
                seat.warm_up(self.protocol)
        self._rounds(seats, deadline)
        waiting = [process for process in processes if process.waiting]
        for process in waiting:
            process.let_end()
        for process in waiting:
            self.tell(f"ending {process.name}")
            process.finish()

    def _rounds(self, seats: Sequence[Seat], deadline: float) -> None:
        # The study knew of no disturbance, and nor does its procedure. Where the host is never quiet it ends, too: not
        # more blocks are timed again than were asked for.
        spare = self.rounds * len(seats) if self.protocol.interleaved else 0
        for round_ in range(self.rounds):
            waiting = [seat for seat in self._ordered(seats) if seat.process]
            if not waiting or (round_ and monotonic() >= deadline):
                return
            who = waiting[0].name if len(waiting) == 1 else f"{len(waiting)} treatments"
            self.tell(f"{who}: round {round_ + 1} of {self.rounds}")
            with self.quiet.hold():
                spare -= self._round(waiting, round_, spare)

    def _round(self, waiting: Sequence[Seat], round_: int, spare: int) -> int:
        """One round; how many blocks were timed again, of ``spare`` that may be."""
        for position, seat in enumerate(waiting):
            self._time(seat, round_, position)
        retries = 0
        for _ in range(REPLACEMENTS):
            for seat in waiting:
                if seat.process and round_ not in seat.rounds and retries < spare:
                    self._time(seat, round_, len(waiting) + retries)
                    retries += 1
        return retries

    def _time(self, seat: Seat, round_: int, position: int) -> Block | None:
        block = seat.time(self.protocol, round_, position)
        if block is None:  # which may have taken trial_timeout_s
            self.tell(f"{seat.name} has failed")
        return block

    def _ordered(self, items: Sequence[T]) -> list[T]:
        if self.protocol.order == "fixed":
            return list(items)
        return self.random.sample(items, len(items))


def tolerate(seats: Sequence[Seat]) -> None:
    """Where no round is left in which all are undisturbed, the least disturbed block of each treatment in each round
    enters after all, and says so: a host that is never quiet has numbers too."""
    timed = [seat for seat in seats if seat.blocks]
    if not timed or set.intersection(*(seat.rounds for seat in timed)):
        return
    for seat in timed:
        for round_ in {block.round for block in seat.blocks} - seat.rounds:
            least = min((block for block in seat.blocks if block.round == round_), key=_disturbance)
            seat.blocks[seat.blocks.index(least)] = least.model_copy(update={"tolerated": True})


def _disturbance(block: Block) -> float:
    return (block.interference.foreign_cores or 0) + (block.interference.stolen_cores or 0)
