"""DeepSparse measured by its own tool, ``deepsparse.benchmark``."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

from sparsebench.bench.engines.base import Session, Tool
from sparsebench.bench.engines.deepsparse import DeepSparseLibrary, DeepSparseSession
from sparsebench.bench.inputs import Feeds, Inputs, Outputs, feeds_of, repeated
from sparsebench.bench.timing import Timed
from sparsebench.contracts import Precision, Scenario


class DeepSparseBenchmark(DeepSparseLibrary, Tool):
    """The tool's scenario "sync", with its own loop, its own random images and its own img/s.

    It is the tool with ``--thread_pinning none``: every engine is pinned the same way here, by the runner, to the CPUs
    that it may use. So its engine is compiled as that of the Python API is, and where both are measured it is the same.
    """

    name = "deepsparse.benchmark"
    label = "DeepSparse (own tool)"
    rank = 4
    times = "deepsparse"
    profiled_as = "deepsparse"

    def load(self, model: Path, inputs: Inputs, threads: int, precision: Precision, scenario: Scenario) -> Session:
        return self.over(DeepSparseSession(model, inputs, threads, scenario))

    def over(self, session: Session) -> Session:
        assert isinstance(session, DeepSparseSession)
        return _ToolSession(session)


class _ToolSession(Session):
    def __init__(self, session: DeepSparseSession):
        self.engine, self.batch, self.facts = session.engine, session.batch, session.facts
        self._session = session
        if all(entry.kind == "float32" for entry in session.inputs.each):
            self._fed = self.engine.generate_random_inputs()
        else:  # it draws from 0 to 1, of which whole numbers are 0
            self._fed = list(repeated(feeds_of(session.inputs)[0], self.batch // session.inputs.batch))

    def run(self, feeds: Feeds) -> Outputs:
        return self._session.run(feeds)

    def time(self, feeds: Feeds, seconds: float) -> Timed:
        """The tool's function behind its command line, which takes whole seconds only and exports no latencies.

        It is given the engine whose output has been checked, and the list of times that its loop returns is kept.
        """
        from deepsparse.benchmark import stream_benchmark

        loop, kept = stream_benchmark.singlestream_benchmark, list[list[float]]()

        def keep(*arguments: Any) -> list[list[float]]:
            taken = loop(*arguments)
            kept.extend(taken)  # of the warm-up, which is none, and of the measurement
            return taken

        # It multiplies by the batch that it set, which is none where the file has fixed one.
        tool_knows = patch.object(type(self.engine), "batch_size", self.batch)
        with patch.object(stream_benchmark, "singlestream_benchmark", keep), tool_knows:
            result = stream_benchmark.model_stream_benchmark(
                self.engine, self._fed, "singlestream", seconds, seconds_to_warmup=0, num_streams=1
            )
        return Timed(
            images=result["iterations"] * self.batch,
            seconds=result["seconds_ran"],
            latencies_ms=tuple((end - start) * 1000 for start, end in kept),
        )
