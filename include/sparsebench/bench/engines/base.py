"""What an engine has to do to be measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from sparsebench.bench.inputs import Feeds, Inputs, Outputs
from sparsebench.bench.onnx_header import OnnxHeader
from sparsebench.bench.timing import Timed, time_inferences
from sparsebench.contracts import Absence, Execution, Precision, Scenario


class UnsupportedNetwork(Exception):
    """The engine's own refusal of a network, in its words."""


class Session(ABC):
    """One loaded network, ready to run, in a process of its own."""

    facts: dict[str, str | float | int | bool]
    """What the engine says of itself: version, supported operators, streams, …"""

    batch: int = 1
    """Images an inference."""

    @abstractmethod
    def run(self, feeds: Feeds) -> Outputs:
        """What the network says of these inputs.

        Raises:
            UnsupportedNetwork: the engine refuses what it is fed, and says so only now.
        """

    def time(self, feeds: Feeds, seconds: float) -> Timed:
        """Time inferences of these inputs for so long. An engine with streams, or with a tool of its own, uses them."""
        return time_inferences(lambda: self.run(feeds), self.batch, seconds)


class Engine(ABC):
    """An inference engine. ``import_library``, ``load`` and ``execution`` need its library; nothing else here does."""

    name: ClassVar[str]
    label: ClassVar[str]
    rank: ClassVar[int]
    """Position in figures and tables."""
    library: ClassVar[str]
    """The package that is imported."""
    times: ClassVar[str | None] = None
    """Of a Tool: see there."""
    profiled_as: ClassVar[str | None] = None
    """The engine that computes the same for it; None: itself."""
    integer_operators: ClassVar[bool] = False
    """Whether it is fast with an INT8 network's integer operators (ConvInteger), and slow with QDQ; or the reverse."""

    def absence(self, cpu_flags: frozenset[str], header: OnnxHeader) -> Absence | None:
        """Why it cannot run this network on this host, or None, as far as that is known without loading it."""
        if find_spec(self.library) is None:
            return Absence(reason="not_installed", detail=f"there is no package {self.library} in this environment")
        return None

    def import_library(self) -> None:
        """A step of its own, so that the time to import is not taken for the time to load a network."""
        import_module(self.library)

    @abstractmethod
    def load(self, model: Path, inputs: Inputs, threads: int, precision: Precision, scenario: Scenario) -> Session:
        """Load and compile an ONNX file that takes these inputs, on so many threads.

        Raises:
            UnsupportedNetwork: the engine refuses the network.
        """

    def execution(self, model: Path, inputs: Inputs, threads: int, precision: Precision) -> Execution | None:
        """How it really computes the network, at the least batch; None where it does not tell."""
        return None


class Tool(Engine):
    """An engine's own benchmark tool: it times, in a way of its own, what that engine has loaded."""

    times: ClassVar[str]
    """The name of that engine. Where both are measured, one process holds both."""

    @abstractmethod
    def over(self, session: Session) -> Session:
        """What that engine has loaded, timed in the tool's way."""
