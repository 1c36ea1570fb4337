"""The processes of a generation, and what came of the treatments that they hold."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sparsebench.bench.child import Child, ChildFailed
from sparsebench.bench.worker import BlockTask, Farewell, Loaded, Warm, WarmUpTask, WorkerTask
from sparsebench.contracts import Absence, Block, Contract, Protocol
from sparsebench.statistics.pairs import Treatment


@dataclass
class Seat:
    """One treatment in a generation, and what came of it. ``error``: why it was not timed, or why that ended."""

    treatment: Treatment
    absence: Absence | None = None
    error: str | None = None
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended_at: datetime | None = None
    loaded: Loaded | None = None
    warm: Warm | None = None
    blocks: list[Block] = field(default_factory=list)
    farewell: Farewell | None = None
    process: Process | None = None
    """That can time a block of it."""

    @property
    def name(self) -> str:
        return " ".join(self.treatment)

    @property
    def recordable(self) -> bool:
        """Whether there is something to record: one that was interrupted may not have come to timing."""
        return bool(self.absence or self.error or self.blocks or (self.loaded and self.loaded.status != "measured"))

    @property
    def rounds(self) -> set[int]:
        """The rounds in which a block of it is undisturbed."""
        return {block.round for block in self.blocks if not block.disturbed}

    def warm_up(self, protocol: Protocol) -> None:
        task = WarmUpTask(engine=self.treatment.engine, warmup_s=protocol.warmup_s, max_warmup_s=protocol.max_warmup_s)
        if message := self._ask(task):
            self.warm = Warm.model_validate_json(message)

    def time(self, protocol: Protocol, round_: int, position: int) -> Block | None:
        """A block, or None when the process fails."""
        task = BlockTask(
            engine=self.treatment.engine,
            round=round_,
            position=position,
            settle_s=protocol.settle_s,
            block_s=protocol.block_s,
        )
        message = self._ask(task)
        if message is None:
            return None
        self.blocks.append(Block.model_validate_json(message))
        return self.blocks[-1]

    def _ask(self, task: Contract) -> bytes | None:
        assert self.process
        return self.process.ask(task)

    def end(self, error: str | None = None) -> None:
        self.process, self.error, self.ended_at = None, error, datetime.now(UTC)


class Process:
    """One worker, with the treatments that share what it has loaded. Whenever it is not asked, it is stopped."""

    def __init__(self, seats: Sequence[Seat], task: WorkerTask, log: Path, timeout_s: float, stack: ExitStack):
        """It begins to load; ``stack`` ends it."""
        self.seats = seats
        self._child = stack.enter_context(Child("sparsebench.bench.worker", task, log, timeout_s))
        for seat in seats:
            seat.started_at, seat.process = datetime.now(UTC), self

    @property
    def name(self) -> str:
        return self.seats[0].name

    @property
    def waiting(self) -> bool:
        return self.seats[0].process is not None

    def load(self) -> None:
        """Wait until it has loaded."""
        for seat in self.seats:
            message = self._reply()
            if message is None:
                return
            seat.loaded = Loaded.model_validate_json(message)
            if seat is not self.seats[-1]:
                self._child.resume()
        if any(seat.loaded and seat.loaded.status != "measured" for seat in self.seats):
            self._end()

    def ask(self, task: Contract) -> bytes | None:
        self._child.resume()
        self._child.send(task)
        return self._reply()

    def let_end(self) -> None:
        """It will time nothing more."""
        self._child.resume()
        self._child.end()

    def finish(self) -> None:
        """Wait for its end. What it has timed stands, though it should fail then."""
        try:
            farewell = Farewell.model_validate_json(self._child.reply())
            self._child.wait()
        except ChildFailed:
            farewell = Farewell()
        for seat in self.seats:
            seat.farewell = farewell
        self._end()

    def _reply(self) -> bytes | None:
        """What it answers; then it is stopped. None, and it has ended, when it fails."""
        try:
            message = self._child.reply()
        except ChildFailed as failure:
            self._end(str(failure))
            return None
        self._child.pause()
        return message

    def _end(self, error: str | None = None) -> None:
        for seat in self.seats:
            seat.end(error)
