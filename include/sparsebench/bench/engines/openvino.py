"""OpenVINO's CPU plugin."""

from __future__ import annotations

import sys
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from sparsebench.bench.engines.base import Array, Engine, Session, UnsupportedNetwork
from sparsebench.bench.timing import NS_PER_MS, NS_PER_S, Timed
from sparsebench.contracts import Execution, Precision, Scenario


class OpenVino(Engine):
    """Tuned for latency, one stream that has all threads; or for throughput, with the streams that it recommends.

    On a CPU with native bf16 or f16 it takes these for an fp32 network by itself, which the other engines do
    not: the f32 lane forbids it, the native lane lets it choose.

    Its fused subgraphs ("snippets", on by default) are known to change MobileViT's output at small images
    (0.03 to 0.07 at 32 px); the comparison with ONNX Runtime's output decides whether a cell counts.
    """

    name = "openvino"
    label = "OpenVINO"
    rank = 2
    library = "openvino"

    def import_library(self) -> None:
        """Import it silenced: otherwise it reports each import to a web analytics service.

        It has no switch for that, but a stand-in for when the package that reports is not installed.
        """
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # makes its import fail
        super().import_library()

    def load(
        self, model: Path, input_shape: tuple[int, int, int], threads: int, precision: Precision, scenario: Scenario
    ) -> Session:
        import openvino

        config: dict[str, Any] = {"INFERENCE_NUM_THREADS": threads}
        if scenario == "latency":
            config |= {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
        else:
            config |= {"PERFORMANCE_HINT": "THROUGHPUT"}
        if precision == "f32":
            config["INFERENCE_PRECISION_HINT"] = "f32"
        core = openvino.Core()
        try:
            network = core.read_model(model)
            network.reshape([1, *input_shape])
            compiled = core.compile_model(network, "CPU", config)
        except RuntimeError as error:
            raise UnsupportedNetwork(str(error)) from error
        facts: dict[str, str | float | int | bool] = {"version": openvino.__version__}
        if scenario == "latency":
            return _Session(compiled, facts)
        return _Streams(compiled, facts)

    def execution(
        self, model: Path, input_shape: tuple[int, int, int], threads: int, precision: Precision
    ) -> Execution:
        from sparsebench.bench.execution.openvino import execution

        return execution(model, input_shape, threads, precision)


class _Session(Session):
    def __init__(self, compiled: Any, facts: dict[str, str | float | int | bool]):
        self.facts = facts
        self._request = compiled.create_infer_request()

    def run(self, images: Array) -> Array:
        # Without a copy of the images, like the other engines.
        return self._request.infer([images], share_inputs=True)[0]


class _Streams(_Session):
    """Its throughput hint: as many streams and requests as it recommends for this machine, each of one image."""

    def __init__(self, compiled: Any, facts: dict[str, str | float | int | bool]):
        import openvino

        self._queue = openvino.AsyncInferQueue(compiled)
        super().__init__(
            compiled,
            facts | {"streams": compiled.get_property("NUM_STREAMS"), "requests": len(self._queue)},
        )

    def time(self, images: Array, seconds: float) -> Timed:
        """All requests are kept busy for so long; the time is the clock's, from the first start to the last end."""
        latencies = list[int]()

        def done(_request: Any, started: int) -> None:
            latencies.append(perf_counter_ns() - started)

        self._queue.set_callback(done)
        start = perf_counter_ns()
        while perf_counter_ns() - start < seconds * NS_PER_S:
            # It waits here until a request is free.
            self._queue.start_async([images], userdata=perf_counter_ns(), share_inputs=True)
        self._queue.wait_all()
        taken = perf_counter_ns() - start
        return Timed(len(latencies), taken / NS_PER_S, tuple(latency / NS_PER_MS for latency in latencies))
