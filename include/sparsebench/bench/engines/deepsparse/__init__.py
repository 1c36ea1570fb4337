"""DeepSparse by its Python API."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from sparsebench.bench.engines.base import Engine, Session, UnsupportedNetwork
from sparsebench.bench.inputs import Feeds, Inputs, Outputs
from sparsebench.bench.onnx_header import OnnxHeader
from sparsebench.contracts import Absence, Execution, Precision, Scenario

MAX_OPSET = 19
MAX_IR_VERSION = 9

UNSUPPORTED_INPUT = "has unsupported type"
"""In what it says of a type of inputs that it does not take."""


class DeepSparseLibrary(Engine):
    """What the engine and its own tool have in common."""

    library = "deepsparse"
    integer_operators = True

    def absence(self, cpu_flags: frozenset[str], header: OnnxHeader) -> Absence | None:
        """Also what is known to stop DeepSparse 1.8 before it is tried."""
        if platform.machine() not in ("x86_64", "aarch64"):
            detail = f"it is built for x86-64 and aarch64; this is {platform.machine()}"
            return Absence(reason="not_installed", detail=detail)
        if platform.machine() == "x86_64" and "avx2" not in cpu_flags:
            return Absence(reason="cpu_feature", detail="it needs AVX2, which this CPU lacks")
        versions = (("opset", header.opset, MAX_OPSET), ("IR version", header.ir_version, MAX_IR_VERSION))
        if too_new := [f"{what} {has} (it loads {most} at most)" for what, has, most in versions if has > most]:
            return Absence(reason="unsupported_network", detail=f"the file has {' and '.join(too_new)}")
        return super().absence(cpu_flags, header)

    def import_library(self) -> None:
        """Import it silenced: otherwise it sends usage data and asks for its newest version, when it is imported."""
        os.environ["NM_DISABLE_ANALYTICS"] = "1"
        os.environ["NM_VERSION_CHECK"] = "false"
        super().import_library()

    def execution(self, model: Path, inputs: Inputs, threads: int, precision: Precision) -> Execution:
        from sparsebench.bench.engines.deepsparse.profile import execution

        return execution(model, inputs, threads, precision)


class DeepSparse(DeepSparseLibrary):
    """Its default configuration, in both lanes: it computes an fp32 network in fp32 on its own account.

    In the throughput scenario it gets a batch, as its documentation measures.
    """

    name = "deepsparse"
    label = "DeepSparse"
    rank = 3

    def load(self, model: Path, inputs: Inputs, threads: int, precision: Precision, scenario: Scenario) -> Session:
        return DeepSparseSession(model, inputs, threads, scenario)


def configuration(threads: int, inputs: Inputs, scenario: Scenario) -> dict[str, int | None]:
    """The configuration of its engine, to time it or to profile it. A batch that the file has fixed is left to the
    file: the engine would set the first axis of every input, whatever that is."""
    batch = inputs.batch_in(scenario) if inputs.batch_is_free else None
    return {"batch_size": batch, "num_cores": threads}


class DeepSparseSession(Session):
    def __init__(self, model: Path, inputs: Inputs, threads: int, scenario: Scenario):
        import deepsparse

        self.inputs, self.batch = inputs, inputs.batch_in(scenario)
        try:
            self.engine = deepsparse.Engine(model=str(model), **configuration(threads, inputs, scenario))
        except RuntimeError as error:
            raise UnsupportedNetwork(str(error)) from error
        architecture = deepsparse.cpu_architecture()
        self.facts = {
            "version": deepsparse.__version__,
            # 0: it fell back to an ONNX Runtime of its own for the whole network.
            "fraction_of_supported_ops": self.engine.fraction_of_supported_ops,
            "isa": architecture.isa,
            "vnni": architecture.vnni,
        }

    def run(self, feeds: Feeds) -> Outputs:
        try:
            return self.engine.run(list(feeds))
        except RuntimeError as error:  # it looks at the types of inputs only now
            if UNSUPPORTED_INPUT in str(error):
                raise UnsupportedNetwork(str(error)) from error
            raise
