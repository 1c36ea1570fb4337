"""Python imports this in every process that has the folder on its path: engines with known faults.

So the runner and its children know them by name, and nothing of the runner had to be changed for it.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import psutil

from sparsebench.bench.engines import ENGINES
from sparsebench.bench.engines.base import Engine, Session, UnsupportedNetwork
from sparsebench.bench.inputs import Feeds, Inputs, Outputs
from sparsebench.bench.timing import Timed
from sparsebench.contracts import Execution, Precision, Scenario


class EngineForTests(Engine):
    label = "for tests"
    rank = 99
    library = "numpy"


class WrongSession(Session):
    facts = {}

    def run(self, feeds: Feeds) -> Outputs:
        return [np.full((1, 10), 1000, dtype=np.float32)]

    def time(self, feeds: Feeds, seconds: float) -> Timed:
        raise AssertionError("a wrong output was timed")


class Wrong(EngineForTests):
    name = "wrong"

    def load(self, model: Path, inputs: Inputs, threads: int, precision: Precision, scenario: Scenario) -> Session:
        return WrongSession()


class Crashing(EngineForTests):
    name = "crashing"

    def load(self, model: Path, inputs: Inputs, threads: int, precision: Precision, scenario: Scenario) -> Session:
        print("out of registers", flush=True)
        os.abort()


class Hanging(EngineForTests):
    """Tells its process's number, and never comes back."""

    name = "hanging"

    def load(self, model: Path, inputs: Inputs, threads: int, precision: Precision, scenario: Scenario) -> Session:
        Path(os.environ["HANGING_PID"]).write_text(str(os.getpid()))
        time.sleep(600)
        raise AssertionError("unreachable")


class NotInstalled(EngineForTests):
    name = "not-installed"
    library = "no_such_library"

    def load(self, model: Path, inputs: Inputs, threads: int, precision: Precision, scenario: Scenario) -> Session:
        raise AssertionError("an absent engine was loaded")


class Refusing(EngineForTests):
    name = "refusing"

    def load(self, model: Path, inputs: Inputs, threads: int, precision: Precision, scenario: Scenario) -> Session:
        raise UnsupportedNetwork("no kernel for Relu")


class RightSession(Session):
    """ONNX Runtime's answers, so that it may be timed."""

    def __init__(self, model: Path, inputs: Inputs):
        self.session = ENGINES["onnxruntime"].load(model, inputs, 1, "f32", "latency")
        self.facts = {}

    def run(self, feeds: Feeds) -> Outputs:
        return self.session.run(feeds)


class Dying(EngineForTests):
    """Dies in its third block."""

    name = "dying"

    def load(self, model: Path, inputs: Inputs, threads: int, precision: Precision, scenario: Scenario) -> Session:
        class DyingSession(RightSession):
            blocks = 0

            def time(self, feeds: Feeds, seconds: float) -> Timed:
                self.blocks += 1
                if self.blocks == 3:
                    os.kill(os.getpid(), signal.SIGKILL)
                return super().time(feeds, seconds)

        return DyingSession(model, inputs)


class Quitting(EngineForTests):
    """Ends well, without an answer."""

    name = "quitting"

    def load(self, model: Path, inputs: Inputs, threads: int, precision: Precision, scenario: Scenario) -> Session:
        os._exit(0)


class Secretive(EngineForTests):
    """Crashes when it is asked how it computes."""

    name = "secretive"

    def load(self, model: Path, inputs: Inputs, threads: int, precision: Precision, scenario: Scenario) -> Session:
        return RightSession(model, inputs)

    def execution(self, *_: object) -> Execution:
        os.abort()


class Telling(EngineForTests):
    """Leaves a file at MARKER when it times its second block."""

    name = "telling"

    def load(self, model: Path, inputs: Inputs, threads: int, precision: Precision, scenario: Scenario) -> Session:
        class TellingSession(RightSession):
            blocks = 0

            def time(self, feeds: Feeds, seconds: float) -> Timed:
                self.blocks += 1
                if self.blocks == 2:
                    Path(os.environ["MARKER"]).touch()
                return super().time(feeds, seconds)

        return TellingSession(model, inputs)


class Slow(EngineForTests):
    """Takes longer to load than the runner waits between two looks for EC2's notice."""

    name = "slow"

    def load(self, model: Path, inputs: Inputs, threads: int, precision: Precision, scenario: Scenario) -> Session:
        Path(os.environ["MARKER"]).touch()
        time.sleep(6)
        return RightSession(model, inputs)


FOR_TESTS = (Wrong, Crashing, Hanging, NotInstalled, Refusing, Dying, Quitting, Secretive, Telling, Slow)
ENGINES.update({engine.name: engine() for engine in FOR_TESTS})

if "AVAILABLE_MEMORY" in os.environ:
    readings = iter(os.environ["AVAILABLE_MEMORY"].split())
    memory = psutil.virtual_memory()
    psutil.virtual_memory = lambda: memory._replace(available=int(next(readings)), total=1)
