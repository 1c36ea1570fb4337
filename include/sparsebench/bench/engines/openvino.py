"""OpenVINO's CPU plugin."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from sparsebench.bench.engines.base import Array, Engine, Session, UnsupportedNetwork
from sparsebench.contracts import Precision


class OpenVino(Engine):
    """Tuned for latency: one stream, that has all threads.

    On a CPU with native bf16 or f16 it takes these for an fp32 network by itself, which the other engines do
    not: the f32 lane forbids it, the native lane lets it choose, and the compiled network tells what it chose.

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

    def load(self, model: Path, input_shape: tuple[int, int, int], threads: int, precision: Precision) -> Session:
        import openvino

        config: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
        }
        if precision == "f32":
            config["INFERENCE_PRECISION_HINT"] = "f32"
        core = openvino.Core()
        try:
            network = core.read_model(model)
            network.reshape([1, *input_shape])
            compiled = core.compile_model(network, "CPU", config)
        except RuntimeError as error:
            raise UnsupportedNetwork(str(error)) from error
        chosen = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        return _Session(compiled, {"version": openvino.__version__, "effective_precision": chosen})


class _Session(Session):
    def __init__(self, compiled, facts: dict[str, str | float | int | bool]):  # type: ignore[no-untyped-def]
        self.facts = facts
        self._request = compiled.create_infer_request()

    def run(self, images: Array) -> Array:
        # Without a copy of the images, like the other engines.
        return self._request.infer([images], share_inputs=True)[0]
