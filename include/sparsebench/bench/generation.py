"""A generation: one process of every lane, that take turns, round by round.

Rounds are randomised blocks (Abedi and Brecht, doi 10.1145/3030207.3030229): in each, every lane times one block,
in random order and close together, so that a drift of the host is common to all. Whoever waits is stopped, since its
idle threads would spin. A round with a disturbed block is kept, and another one timed for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from time import monotonic

import psutil

from sparsebench.bench.child import Child, ChildFailed
from sparsebench.bench.worker import BlockTask, Farewell, Ready, WorkerTask
from sparsebench.contracts import Absence, Block, Protocol
from sparsebench.statistics.pairs import Lane

MOST_ROUNDS = 2
"""Times the rounds that were asked for: where the host is never undisturbed, it ends nevertheless."""

SPARE_MEMORY = 1.5
"""Times the largest process so far has to be available before another one is loaded beside it."""


class TooLittleMemory(Exception):
    """The processes of one generation do not fit into the host's memory at the same time."""


@dataclass
class Seat:
    """One lane's process in a generation, and what came of it. ``error``: why there is none, or why it ended."""

    lane: Lane
    log: Path
    absence: Absence | None = None
    error: str | None = None
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended_at: datetime | None = None
    ready: Ready | None = None
    blocks: list[Block] = field(default_factory=list)
    farewell: Farewell | None = None
    _child: Child | None = None

    @property
    def waiting(self) -> bool:
        """Whether it can time a block."""
        return self._child is not None

    def load(self, task: WorkerTask, timeout_s: float, stack: ExitStack) -> None:
        self.started_at = datetime.now(UTC)
        child = stack.enter_context(Child("sparsebench.bench.worker", task, self.log, timeout_s))
        try:
            self.ready = Ready.model_validate_json(child.reply())
        except ChildFailed as failure:
            self._end(str(failure))
            return
        if self.ready.status == "measured":
            self._child = child
            child.pause()
        else:
            self._end()

    def time(self, task: BlockTask) -> Block | None:
        """A block, or None when the process fails."""
        assert self._child
        self._child.resume()
        try:
            self._child.send(task)
            block = Block.model_validate_json(self._child.reply())
        except ChildFailed as failure:
            self._end(str(failure))
            return None
        self._child.pause()
        self.blocks.append(block)
        return block

    def finish(self) -> None:
        assert self._child
        self._child.resume()
        try:
            self._child.end()
            self.farewell = Farewell.model_validate_json(self._child.reply())
            self._child.reply()
        except ChildFailed as failure:
            self._end(str(failure))
        else:
            self._end()

    def _end(self, error: str | None = None) -> None:
        self._child, self.error, self.ended_at = None, error, datetime.now(UTC)


@dataclass(frozen=True)
class Generation:
    """What all its processes are given.

    Attributes:
        task: of a lane's process.
        rounds: undisturbed ones that are wanted.
        random: of the orders.
        seconds: after which no round begins any more.
        before: called with a lane before its process is started.
    """

    protocol: Protocol
    task: Callable[[Lane], WorkerTask]
    rounds: int
    random: Random
    seconds: float
    before: Callable[[Lane], None]

    def together(self, seats: Sequence[Seat]) -> None:
        """All loaded, then taking turns.

        Raises:
            TooLittleMemory: when they do not all fit.
        """
        deadline = monotonic() + self.seconds
        with ExitStack() as stack:
            largest, available = 0, psutil.virtual_memory().available
            for seat in self._ordered(seats):
                if available < SPARE_MEMORY * largest:
                    raise TooLittleMemory
                self._load(seat, stack)
                before, available = available, psutil.virtual_memory().available
                largest = max(largest, before - available)
            self._rounds(seats, deadline)
            for seat in seats:
                if seat.waiting:
                    seat.finish()

    def apart(self, seats: Sequence[Seat]) -> None:
        """One after the other, each with all its rounds."""
        for seat in self._ordered(seats):
            deadline = monotonic() + self.seconds / len(seats)
            with ExitStack() as stack:
                self._load(seat, stack)
                self._rounds([seat], deadline)
                if seat.waiting:
                    seat.finish()

    def _load(self, seat: Seat, stack: ExitStack) -> None:
        self.before(seat.lane)
        seat.load(self.task(seat.lane), self.protocol.trial_timeout_s, stack)

    def _rounds(self, seats: Sequence[Seat], deadline: float) -> None:
        undisturbed = 0
        for round_ in range(MOST_ROUNDS * self.rounds):
            waiting = [seat for seat in self._ordered(seats) if seat.waiting]
            if not waiting or undisturbed >= self.rounds or (round_ and monotonic() >= deadline):
                return
            blocks = [seat.time(self._block(round_, position)) for position, seat in enumerate(waiting)]
            undisturbed += not any(block is None or block.disturbed for block in blocks)

    def _block(self, round_: int, position: int) -> BlockTask:
        return BlockTask(
            round=round_, position=position, settle_s=self.protocol.settle_s, block_s=self.protocol.block_s
        )

    def _ordered(self, seats: Sequence[Seat]) -> list[Seat]:
        if self.protocol.order == "fixed":
            return list(seats)
        return self.random.sample(seats, len(seats))
