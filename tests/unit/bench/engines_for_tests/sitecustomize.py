"""Python imports this in every process that has the folder on its path: engines with known faults.

So the runner and its children know them by name, and nothing of the runner had to be changed for it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from sparsebench.bench.engines import ENGINES
from sparsebench.bench.engines.base import Array, Engine, Session, UnsupportedNetwork
from sparsebench.bench.timing import Measurement
from sparsebench.contracts import Precision, Protocol


class EngineForTests(Engine):
    label = "for tests"
    rank = 99
    library = "numpy"


class WrongSession(Session):
    facts = {}

    def run(self, images: Array) -> Array:
        return np.full((1, 10), 1000, dtype=np.float32)

    def measure(self, images: Array, protocol: Protocol) -> Measurement:
        raise AssertionError("a wrong output was timed")


class Wrong(EngineForTests):
    name = "wrong"

    def load(self, model: Path, input_shape: tuple[int, int, int], threads: int, precision: Precision) -> Session:
        return WrongSession()


class Crashing(EngineForTests):
    name = "crashing"

    def load(self, model: Path, input_shape: tuple[int, int, int], threads: int, precision: Precision) -> Session:
        print("out of registers", flush=True)
        os.abort()


class Hanging(EngineForTests):
    """Tells its process's number, and never comes back."""

    name = "hanging"

    def load(self, model: Path, input_shape: tuple[int, int, int], threads: int, precision: Precision) -> Session:
        Path(os.environ["HANGING_PID"]).write_text(str(os.getpid()))
        time.sleep(600)
        raise AssertionError("unreachable")


class NotInstalled(EngineForTests):
    name = "not-installed"
    library = "no_such_library"

    def load(self, model: Path, input_shape: tuple[int, int, int], threads: int, precision: Precision) -> Session:
        raise AssertionError("an absent engine was loaded")


class Refusing(EngineForTests):
    name = "refusing"

    def load(self, model: Path, input_shape: tuple[int, int, int], threads: int, precision: Precision) -> Session:
        raise UnsupportedNetwork("no kernel for Relu")


ENGINES.update({engine.name: engine() for engine in (Wrong, Crashing, Hanging, NotInstalled, Refusing)})
