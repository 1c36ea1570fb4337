"""ONNX Runtime's CPU provider."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sparsebench.bench.engines.base import Engine, Session, UnsupportedNetwork
from sparsebench.bench.inputs import Feeds, Inputs, Outputs
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

    def load(self, model: Path, inputs: Inputs, threads: int, precision: Precision, scenario: Scenario) -> Session:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as errors

        try:
            session = open_session(model, configuration(threads))
        except (errors.Fail, errors.InvalidGraph, errors.NotImplemented) as error:
            raise UnsupportedNetwork(str(error)) from error
        return _Session(session, {"version": onnxruntime.__version__}, inputs, scenario)

    def import_library(self) -> None:
        """Import it silenced: otherwise it sends usage data after the first inference."""
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        super().import_library()

    def execution(self, model: Path, inputs: Inputs, threads: int, precision: Precision) -> Execution:
        from sparsebench.bench.engines.onnxruntime.profile import execution

        return execution(model, inputs, threads, precision)


def configuration(threads: int) -> Any:
    """The options of every session, to time it or to profile it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return options


def open_session(model: Path, options: Any) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


class _Session(Session):
    def __init__(self, session: Any, facts: dict[str, str | float | int | bool], inputs: Inputs, scenario: Scenario):
        self.facts = facts
        self.batch = inputs.batch_in(scenario)
        self._session = session
        self._inputs = [entry.name for entry in inputs.each]

    def run(self, feeds: Feeds) -> Outputs:
        return self._session.run(None, dict(zip(self._inputs, feeds, strict=True)))
