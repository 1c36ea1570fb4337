"""Child processes: what an engine does to its process stays there, and nothing outlives the runner."""

from __future__ import annotations

import ctypes
import os
import re
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import BinaryIO, Self

from sparsebench.contracts import Contract

TAIL = 2000
"""Characters of a child's output that are kept when it fails."""

CRASH = re.compile(r"^(?:Assertion|Received signal:) .*", re.MULTILINE)
"""What DeepSparse says of its own crash, before registers and a trace of addresses, and whom to send them to."""


class ChildFailed(Exception):
    """It crashed, was killed or ran out of time; the message says which, with the end of what it printed."""


def in_short(text: str) -> str:
    """First and last line: what happened, and the last that was said about it."""
    lines = text.strip().splitlines() or [""]
    return ": ".join(dict.fromkeys((lines[0].rstrip(": "), lines[-1].lstrip("- "))))


class Child:
    """``python -m module`` in a session of its own: a task on its stdin, then messages to and fro, a line each.

    What it prints itself goes to ``log``. Leaving the context kills it, with all that it has started.
    """

    def __init__(self, module: str, task: Contract, log: Path, timeout_s: float):
        self._log, self._timeout_s = log, timeout_s
        self._received = b""
        with log.open("wb") as errors:
            # Without the working folder on its path: a folder named like an engine would hide the engine.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        self.send(task)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._signal(signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            with suppress(BrokenPipeError):
                pipe.close()

    def send(self, message: Contract) -> None:
        """A message; what a dead child does not take is told by ``reply``."""
        assert self._process.stdin
        with suppress(BrokenPipeError):
            self._process.stdin.write(message.model_dump_json().encode() + b"\n")
            self._process.stdin.flush()

    def end(self) -> None:
        """Tell it that there is no further message."""
        assert self._process.stdin
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def reply(self) -> bytes:
        """Its next message.

        Raises:
            ChildFailed: it ended, or said nothing in time.
        """
        assert self._process.stdout
        deadline = monotonic() + self._timeout_s
        while b"\n" not in self._received:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - monotonic()))
            if not ready:
                raise ChildFailed(f"said nothing for {self._timeout_s:g} s{self._tail()}")
            chunk = os.read(self._process.stdout.fileno(), 1 << 20)
            if not chunk:
                self.wait()
                raise ChildFailed(f"ended without an answer{self._tail()}")
            self._received += chunk
        message, _, self._received = self._received.partition(b"\n")
        return message

    def wait(self) -> None:
        """Until it has ended.

        Raises:
            ChildFailed: it ended with another exit code than 0, or not in time.
        """
        try:
            code = self._process.wait(self._timeout_s)
        except subprocess.TimeoutExpired:
            raise ChildFailed(f"did not end in {self._timeout_s:g} s{self._tail()}") from None
        if code < 0:
            name = signal.Signals(-code).name
            hint = " (out of memory?)" if name == "SIGKILL" else ""
            raise ChildFailed(f"killed by {name}{hint}{self._tail()}")
        if code:
            raise ChildFailed(f"exit code {code}{self._tail()}")

    def pause(self) -> None:
        """Stop it where it is, so that its idle threads take no CPU from the others."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _tail(self) -> str:
        text = self._log.read_text("utf-8", errors="replace").strip()
        if crash := CRASH.search(text):
            text = text[: crash.end()]
        return f"\n{text[-TAIL:]}" if text else ""


def die_with_parent() -> None:
    """Called first thing in a child: the kernel kills it when the runner goes, however the runner went."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def take_stdout() -> BinaryIO:
    """The way to the runner, for messages alone: what libraries print from now on goes to stderr."""
    channel = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return channel
