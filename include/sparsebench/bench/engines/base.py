"""What an engine has to do to be measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sparsebench.bench.onnx_header import OnnxHeader
from sparsebench.bench.timing import Measurement, time_blocks
from sparsebench.contracts import Absence, Precision, Protocol

Array = NDArray[np.float32]


class UnsupportedNetwork(Exception):
    """The engine's own refusal of a network, in its words."""


class Session(ABC):
    """One loaded network, ready to run, in a process of its own."""

    facts: dict[str, str | float | int | bool]
    """What the engine says of itself: version, effective precision, supported operators, …"""

    @abstractmethod
    def run(self, images: Array) -> Array:
        """Logits, float32 [1, classes], of images, float32 [1, channels, height, width]."""

    def measure(self, images: Array, protocol: Protocol) -> Measurement:
        """Warm up, then time blocks of inferences. An engine that brings a tool of its own measures with that."""
        return time_blocks(lambda: self.run(images), protocol)


class Engine(ABC):
    """An inference engine. ``import_library`` and ``load`` need its library; nothing else here does."""

    name: ClassVar[str]
    label: ClassVar[str]
    rank: ClassVar[int]
    """Position in figures and tables."""
    library: ClassVar[str]
    """The package that is imported."""

    def absence(self, cpu_flags: frozenset[str], header: OnnxHeader) -> Absence | None:
        """Why it cannot run this network on this host, or None, as far as that is known without loading it."""
        if find_spec(self.library) is None:
            return Absence(reason="not_installed", detail=f"there is no package {self.library} in this environment")
        return None

    def import_library(self) -> None:
        """A step of its own, so that the time to import is not taken for the time to load a network."""
        import_module(self.library)

    @abstractmethod
    def load(self, model: Path, input_shape: tuple[int, int, int], threads: int, precision: Precision) -> Session:
        """Load and compile an ONNX file for one image of (channels, height, width), on so many threads.

        Raises:
            UnsupportedNetwork: the engine refuses the network.
        """
