"""OpenVINO's CPU plugin."""

from __future__ import annotations

import sys
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from sparsebench.bench.engines.base import Engine, Session, UnsupportedNetwork
from sparsebench.bench.inputs import Feeds, Inputs, Outputs
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

    def load(self, model: Path, inputs: Inputs, threads: int, precision: Precision, scenario: Scenario) -> Session:
        import openvino

        try:
            compiled = compile_network(model, inputs, configuration(threads, precision, scenario))
        except RuntimeError as error:
            raise UnsupportedNetwork(str(error)) from error
        facts: dict[str, str | float | int | bool] = {"version": openvino.__version__}
        if scenario == "latency":
            return _Session(compiled, facts, inputs)
        return _Streams(compiled, facts, inputs)

    def execution(self, model: Path, inputs: Inputs, threads: int, precision: Precision) -> Execution:
        from sparsebench.bench.engines.openvino.profile import execution

        return execution(model, inputs, threads, precision)


def configuration(threads: int, precision: Precision, scenario: Scenario) -> dict[str, Any]:
    """The configuration of the compiled network, to time it or to profile it."""
    config: dict[str, Any] = {"INFERENCE_NUM_THREADS": threads}
    if scenario == "latency":
        config |= {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
    else:
        config |= {"PERFORMANCE_HINT": "THROUGHPUT"}
    if precision == "f32":
        config["INFERENCE_PRECISION_HINT"] = "f32"
    return config


def compile_network(model: Path, inputs: Inputs, config: dict[str, Any]) -> Any:
    """The network, compiled in the shapes of these inputs where they fit every branch; else its axes stay free."""
    import openvino

    core = openvino.Core()
    network = core.read_model(model)
    if any(port.partial_shape.is_dynamic for port in network.inputs):
        try:
            network.reshape({entry.name: list(entry.shape) for entry in inputs.each})
        except RuntimeError:  # they do not fit a branch, which may be one that never runs
            network = core.read_model(model)
    return core.compile_model(network, "CPU", config)


def places(compiled: Any, inputs: Inputs) -> list[int]:
    """Which of the inputs each of its own is: it has an order of its own."""
    names = [entry.name for entry in inputs.each]
    return [next(place for place, name in enumerate(names) if name in port.names) for port in compiled.inputs]


class _Session(Session):
    def __init__(self, compiled: Any, facts: dict[str, str | float | int | bool], inputs: Inputs):
        self.facts, self.batch = facts, inputs.batch
        self._request, self._places = compiled.create_infer_request(), places(compiled, inputs)
        self._outputs = compiled.outputs

    def run(self, feeds: Feeds) -> Outputs:
        # Without a copy of the inputs, like the other engines.
        computed = self._request.infer([feeds[place] for place in self._places], share_inputs=True)
        return [computed[output] for output in self._outputs]


class _Streams(_Session):
    """Its throughput hint: as many streams and requests as it recommends for this machine, each of one image."""

    def __init__(self, compiled: Any, facts: dict[str, str | float | int | bool], inputs: Inputs):
        import openvino

        self._queue = openvino.AsyncInferQueue(compiled)
        super().__init__(
            compiled,
            facts | {"streams": compiled.get_property("NUM_STREAMS"), "requests": len(self._queue)},
            inputs,
        )

    def time(self, feeds: Feeds, seconds: float) -> Timed:
        """All requests are kept busy for so long; the time is the clock's, from the first start to the last end."""
        arrays, latencies = [feeds[place] for place in self._places], list[int]()

        def done(_request: Any, started: int) -> None:
            latencies.append(perf_counter_ns() - started)

        self._queue.set_callback(done)
        start = perf_counter_ns()
        while perf_counter_ns() - start < seconds * NS_PER_S:
            # It waits here until a request is free.
            self._queue.start_async(arrays, userdata=perf_counter_ns(), share_inputs=True)
        self._queue.wait_all()
        taken = perf_counter_ns() - start
        images = len(latencies) * self.batch
        return Timed(images, taken / NS_PER_S, tuple(latency / NS_PER_MS for latency in latencies))
