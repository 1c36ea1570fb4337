"""ONNX Runtime's CPU provider."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sparsebench.bench.engines.base import THROUGHPUT_BATCH, Array, Engine, Session, UnsupportedNetwork
from sparsebench.contracts import Execution, Precision, Scenario


class OnnxRuntime(Engine):
    """Its default configuration, in both lanes: it computes an fp32 network in fp32 on its own account.

    In the throughput scenario it gets a batch: it has no streams, and its documentation recommends no size.
    The number of threads is set, since by default it counts the cores of the machine, not those it may use.
    """

    name = "onnxruntime"
    label = "ONNX Runtime"
    rank = 1
    library = "onnxruntime"

    def load(
        self, model: Path, input_shape: tuple[int, int, int], threads: int, precision: Precision, scenario: Scenario
    ) -> Session:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as errors

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        except (errors.Fail, errors.InvalidGraph, errors.NotImplemented) as error:
            raise UnsupportedNetwork(str(error)) from error
        return _Session(session, {"version": onnxruntime.__version__}, scenario)

    def import_library(self) -> None:
        """Import it silenced: otherwise it sends usage data after the first inference."""
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        super().import_library()

    def execution(
        self, model: Path, input_shape: tuple[int, int, int], threads: int, precision: Precision
    ) -> Execution:
        from sparsebench.bench.execution.onnxruntime import execution

        return execution(model, input_shape, threads, precision)


class _Session(Session):
    def __init__(self, session: Any, facts: dict[str, str | float | int | bool], scenario: Scenario):
        self.facts = facts
        self.batch = THROUGHPUT_BATCH if scenario == "throughput" else 1
        self._session = session
        self._input = session.get_inputs()[0].name
        self._outputs = [session.get_outputs()[0].name]

    def run(self, images: Array) -> Array:
        return self._session.run(self._outputs, {self._input: images})[0]
