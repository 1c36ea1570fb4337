"""DeepSparse by its Python API."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from sparsebench.bench.engines.base import THROUGHPUT_BATCH, Array, Engine, Session, UnsupportedNetwork
from sparsebench.bench.onnx_header import OnnxHeader
from sparsebench.contracts import Absence, Execution, Precision, Scenario

MAX_OPSET = 19
MAX_IR_VERSION = 9


class DeepSparseLibrary(Engine):
    """What the engine and its own tool have in common."""

    library = "deepsparse"
    integer_operators = True

    def absence(self, cpu_flags: frozenset[str], header: OnnxHeader) -> Absence | None:
        """Also what is known to stop DeepSparse 1.8 before it is tried."""
        if platform.machine() != "x86_64":
            return Absence(reason="not_installed", detail=f"it is built for x86-64; this is {platform.machine()}")
        if "avx2" not in cpu_flags:
            return Absence(reason="cpu_feature", detail="it needs AVX2, which this CPU lacks")
        if header.opset > MAX_OPSET or header.ir_version > MAX_IR_VERSION:
            return Absence(
                reason="unsupported_network",
                detail=f"the file has opset {header.opset} and IR version {header.ir_version}; "
                f"it loads opset ≤ {MAX_OPSET} and IR version ≤ {MAX_IR_VERSION}",
            )
        return super().absence(cpu_flags, header)

    def import_library(self) -> None:
        """Import it silenced: otherwise it sends usage data and asks for its newest version, when it is imported."""
        os.environ["NM_DISABLE_ANALYTICS"] = "1"
        os.environ["NM_VERSION_CHECK"] = "false"
        super().import_library()

    def execution(
        self, model: Path, input_shape: tuple[int, int, int], threads: int, precision: Precision
    ) -> Execution:
        from sparsebench.bench.execution.deepsparse import execution

        return execution(model, input_shape, threads, precision)


class DeepSparse(DeepSparseLibrary):
    """Its default configuration, in both lanes: it computes an fp32 network in fp32 on its own account.

    In the throughput scenario it gets a batch, as its documentation measures.
    """

    name = "deepsparse"
    label = "DeepSparse"
    rank = 3

    def load(
        self, model: Path, input_shape: tuple[int, int, int], threads: int, precision: Precision, scenario: Scenario
    ) -> Session:
        return DeepSparseSession(model, threads, scenario)


class DeepSparseSession(Session):
    def __init__(self, model: Path, threads: int, scenario: Scenario):
        import deepsparse

        self.batch = THROUGHPUT_BATCH if scenario == "throughput" else 1
        try:
            self.engine = deepsparse.Engine(model=str(model), batch_size=self.batch, num_cores=threads)
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

    def run(self, images: Array) -> Array:
        return self.engine.run([images])[0]
