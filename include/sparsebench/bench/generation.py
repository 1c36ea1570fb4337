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
from sparsebench.bench.worker import BlockTask, Farewell, Loaded, Warm, WarmUpTask, WorkerTask
from sparsebench.contracts import Absence, Block, Contract, Execution, Protocol
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
    loaded: Loaded | None = None
    warm: Warm | None = None
    blocks: list[Block] = field(default_factory=list)
    farewell: Farewell | None = None
    _child: Child | None = None

    @property
    def name(self) -> str:
        return " ".join(self.lane)

    @property
    def waiting(self) -> bool:
        """Whether it can time a block."""
        return self._child is not None

    @property
    def told(self) -> bool:
        """Whether there is something to record: one that was interrupted may not have come to timing."""
        return bool(self.absence or self.error or self.blocks or (self.loaded and self.loaded.status != "measured"))

    def start(self, task: WorkerTask, timeout_s: float, stack: ExitStack) -> None:
        """Its process begins to load; ``stack`` ends it."""
        self.started_at = datetime.now(UTC)
        self._child = stack.enter_context(Child("sparsebench.bench.worker", task, self.log, timeout_s))

    def load(self) -> None:
        """Wait until it has loaded."""
        if message := self._reply():
            self.loaded = Loaded.model_validate_json(message)
            if self.loaded.status != "measured":
                self._end()

    def warm_up(self, task: WarmUpTask) -> None:
        if message := self._ask(task):
            self.warm = Warm.model_validate_json(message)

    def time(self, task: BlockTask) -> Block | None:
        """A block, or None when the process fails."""
        message = self._ask(task)
        if message is None:
            return None
        self.blocks.append(Block.model_validate_json(message))
        return self.blocks[-1]

    def _ask(self, message: Contract) -> bytes | None:
        assert self._child
        self._child.resume()
        self._child.send(message)
        return self._reply()

    def _reply(self) -> bytes | None:
        """What it answers; then it is stopped. None, and it has ended, when it fails."""
        assert self._child
        try:
            message = self._child.reply()
        except ChildFailed as failure:
            self._end(str(failure))
            return None
        self._child.pause()
        return message

    def finish(self) -> None:
        """Let it end. What it has timed stands, though it should fail where it tells how it computes."""
        assert self._child
        self._child.resume()
        self._child.end()
        try:
            self.farewell = Farewell.model_validate_json(self._child.reply())
            self._child.wait()
        except ChildFailed as failure:
            reason = str(failure).partition("\n")[0]
            self.farewell = self.farewell or Farewell(execution=Execution(source=f"not told: {reason}", kernels=()))
        self._end()

    def _end(self, error: str | None = None) -> None:
        self._child, self.error, self.ended_at = None, error, datetime.now(UTC)


@dataclass(frozen=True)
class Generation:
    """What all its processes are given.

    Attributes:
        task: of a lane's process.
        rounds: undisturbed ones that are wanted.
        side_by_side: whether all load at the same time, which is quicker, but no measurement of how long it takes.
        random: of the orders.
        seconds: after which no round begins any more.
        tell: called with what comes next, in a few words, whenever nothing is timed: before each step that a process
            may take ``trial_timeout_s`` for, and before each round. What it raises ends the generation there.
    """

    protocol: Protocol
    task: Callable[[Lane], WorkerTask]
    rounds: int
    side_by_side: bool
    random: Random
    seconds: float
    tell: Callable[[str], None]

    def together(self, seats: Sequence[Seat]) -> None:
        """All loaded, then taking turns.

        Raises:
            TooLittleMemory: when they do not all fit.
        """
        deadline = monotonic() + self.seconds
        with ExitStack() as stack:
            if self.side_by_side:
                for seat in seats:
                    self._start(seat, stack)
                for seat in seats:
                    self.tell(f"loading {len(seats)} processes")
                    seat.load()
            else:
                self._load_in_turn(seats, stack)
            self._warm_up(seats)
            self._rounds(seats, deadline)
            self._finish(seats)

    def apart(self, seats: Sequence[Seat]) -> None:
        """One after the other, each with all its rounds."""
        for seat in self._ordered(seats):
            deadline = monotonic() + self.seconds / len(seats)
            with ExitStack() as stack:
                self.tell(f"loading {seat.name}")
                self._start(seat, stack)
                seat.load()
                self._warm_up([seat])
                self._rounds([seat], deadline)
                self._finish([seat])

    def _start(self, seat: Seat, stack: ExitStack) -> None:
        seat.start(self.task(seat.lane), self.protocol.trial_timeout_s, stack)

    def _load_in_turn(self, seats: Sequence[Seat], stack: ExitStack) -> None:
        largest, available = 0, psutil.virtual_memory().available
        for seat in self._ordered(seats):
            if available < SPARE_MEMORY * largest:
                raise TooLittleMemory
            self.tell(f"loading {seat.name}")
            self._start(seat, stack)
            seat.load()
            before, available = available, psutil.virtual_memory().available
            largest = max(largest, before - available)

    def _warm_up(self, seats: Sequence[Seat]) -> None:
        task = WarmUpTask(warmup_s=self.protocol.warmup_s, max_warmup_s=self.protocol.max_warmup_s)
        for seat in self._ordered(seats):
            if seat.waiting:
                self.tell(f"warming up {seat.name}")
                seat.warm_up(task)

    def _rounds(self, seats: Sequence[Seat], deadline: float) -> None:
        undisturbed = 0
        # The study knew of no disturbance, and nor does its procedure.
        for round_ in range(MOST_ROUNDS * self.rounds if self.protocol.interleaved else self.rounds):
            waiting = [seat for seat in self._ordered(seats) if seat.waiting]
            if not waiting or undisturbed >= self.rounds or (round_ and monotonic() >= deadline):
                return
            who = waiting[0].name if len(waiting) == 1 else f"{len(waiting)} processes"
            self.tell(f"{who}: round {round_ + 1}")
            blocks = [self._time(seat, round_, position) for position, seat in enumerate(waiting)]
            undisturbed += not any(block is None or block.disturbed for block in blocks)

    def _time(self, seat: Seat, round_: int, position: int) -> Block | None:
        block = seat.time(
            BlockTask(round=round_, position=position, settle_s=self.protocol.settle_s, block_s=self.protocol.block_s)
        )
        if block is None:  # which may have taken trial_timeout_s; and the round is spoilt already
            self.tell(f"{seat.name} has failed")
        return block

    def _finish(self, seats: Sequence[Seat]) -> None:
        for seat in seats:
            if seat.waiting:
                self.tell(f"ending {seat.name}")
                seat.finish()

    def _ordered(self, seats: Sequence[Seat]) -> list[Seat]:
        if self.protocol.order == "fixed":
            return list(seats)
        return self.random.sample(seats, len(seats))
