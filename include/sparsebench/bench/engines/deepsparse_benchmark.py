"""DeepSparse measured by its own tool, ``deepsparse.benchmark``."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

from sparsebench.bench.engines.base import Array, Session
from sparsebench.bench.engines.deepsparse import DeepSparseLibrary, DeepSparseSession
from sparsebench.bench.timing import Timed
from sparsebench.contracts import Precision, Scenario


class DeepSparseBenchmark(DeepSparseLibrary):
    """The tool's scenario "sync", with its own loop, its own random images and its own img/s."""

    name = "deepsparse.benchmark"
    label = "DeepSparse (own tool)"
    rank = 4

    def load(
        self, model: Path, input_shape: tuple[int, int, int], threads: int, precision: Precision, scenario: Scenario
    ) -> Session:
        from deepsparse.benchmark.helpers import decide_thread_pinning

        decide_thread_pinning("core")  # as the tool does, before it compiles
        return _ToolSession(model, threads, scenario)


class _ToolSession(DeepSparseSession):
    def __init__(self, model: Path, threads: int, scenario: Scenario):
        super().__init__(model, threads, scenario)
        self._inputs = self.engine.generate_random_inputs()

    def time(self, images: Array, seconds: float) -> Timed:
        """The tool's function behind its command line, which takes whole seconds only and exports no latencies.

        It is given the engine whose output has been checked, and the list of times that its loop returns is kept.
        """
        from deepsparse.benchmark import stream_benchmark

        loop, kept = stream_benchmark.singlestream_benchmark, list[list[float]]()

        def keep(*arguments: Any) -> list[list[float]]:
            found = loop(*arguments)
            kept.extend(found)  # of the warm-up, which is none, and of the measurement
            return found

        with patch.object(stream_benchmark, "singlestream_benchmark", keep):
            result = stream_benchmark.model_stream_benchmark(
                self.engine, self._inputs, "singlestream", seconds, seconds_to_warmup=0, num_streams=1
            )
        return Timed(
            images=result["iterations"] * self.batch,
            seconds=result["seconds_ran"],
            latencies_ms=tuple((end - start) * 1000 for start, end in kept),
        )
