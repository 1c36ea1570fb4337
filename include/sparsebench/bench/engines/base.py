"""What an engine has to do to be measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from sparsebench.contracts import Absence, Block, Precision


class Session(ABC):
    """One loaded network, ready to run, in a process of its own."""

    facts: dict[str, str | float | int | bool]
    """What the engine says of itself: version, effective precision, supported operators, …"""

    @abstractmethod
    def run(self, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Logits, float32 [1, classes], of images, float32 [1, channels, height, width]."""


class Engine(ABC):
    """An inference engine. ``load`` imports its library; nothing else here does."""

    name: ClassVar[str]
    label: ClassVar[str]
    rank: ClassVar[int]
    """Position in figures and tables."""

    @abstractmethod
    def absence(self, precision: Precision, cpu_flags: frozenset[str]) -> Absence | None:
        """Why it cannot run on this host in this precision, or None."""

    @abstractmethod
    def load(self, model: Path, threads: int, precision: Precision) -> Session:
        """Load and compile an ONNX file for batch 1 on so many threads."""

    def measure_with_own_tool(
        self, model: Path, threads: int, precision: Precision, warmup_s: float, blocks: int, block_s: float
    ) -> tuple[list[Block], float, dict[str, str | float | int | bool]] | None:
        """For an engine that is a benchmark tool: its own blocks, img/s and facts. None: time ``Session.run``."""
        return None
