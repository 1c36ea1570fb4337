"""ONNX Runtime's CPU provider."""

from __future__ import annotations

from pathlib import Path

from sparsebench.bench.engines.base import Array, Engine, Session, UnsupportedNetwork
from sparsebench.contracts import Precision


class OnnxRuntime(Engine):
    """Its default configuration, in both lanes: it computes an fp32 network in fp32 on its own account.

    The number of threads is set, since by default it counts the cores of the machine, not those it may use.
    """

    name = "onnxruntime"
    label = "ONNX Runtime"
    rank = 1
    library = "onnxruntime"

    def load(self, model: Path, input_shape: tuple[int, int, int], threads: int, precision: Precision) -> Session:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as errors

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        except (errors.Fail, errors.InvalidGraph, errors.NotImplemented) as error:
            raise UnsupportedNetwork(str(error)) from error
        return _Session(session, {"version": onnxruntime.__version__, "effective_precision": "f32"})


class _Session(Session):
    def __init__(self, session, facts: dict[str, str | float | int | bool]):  # type: ignore[no-untyped-def]
        self.facts = facts
        self._session = session
        self._input = session.get_inputs()[0].name
        self._outputs = [session.get_outputs()[0].name]

    def run(self, images: Array) -> Array:
        return self._session.run(self._outputs, {self._input: images})[0]
