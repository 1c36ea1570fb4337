"""DeepSparse by its debug analysis, which has the kind and the mean time of every layer, and no precision.

A "pyramid" is what its documentation calls a tensor column: some layers, computed together piece by piece. "ks" is
kernel sparsity: such a layer skips the zeros among its weights. A "Naive Subgraph" is run by the ONNX Runtime that it
brings.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from sparsebench.bench.engines.deepsparse import configuration
from sparsebench.bench.engines.kernels import COUNTED, DISCARDED, UNKNOWN, Operator, by_share
from sparsebench.bench.inputs import Inputs, feeds_of
from sparsebench.contracts import Execution, Precision

NAIVE = "Naive Subgraph"

OF_ONE_LAYER = re.compile(r"(-[^_]+)?[_ ]\d+$")
"""The end of a layer's name: its sparsity, if it is used, and its number."""

QUANTISED = re.compile("Quantize|QLinear|Integer")
"""In the name of an ONNX operator that computes with integers in place of floats, or goes from one to the other."""


def execution(model: Path, inputs: Inputs, threads: int, precision: Precision) -> Execution:
    """How DeepSparse computes an ONNX file that takes these inputs, on so many threads.

    Both lanes are one configuration. It does not tell its precision: that is f32 where nothing else can be, and else
    unknown. The instruction set is that of the library which it chose for the CPU.
    """
    import deepsparse

    analysis = deepsparse.model_debug_analysis(
        str(model),
        list(feeds_of(inputs)[0]),
        **configuration(threads, inputs, "latency"),
        num_iterations=COUNTED,
        num_warmup_iterations=DISCARDED,
    )
    source, effective = "debug analysis, which has no precisions", UNKNOWN
    if not _other_precision_is_set() and _is_fp32(model):
        source += ": f32 by its documentation, as the network's tensors are and no configuration file says otherwise"
        effective = "f32"
    isa = deepsparse.cpu_architecture().isa
    layers = [(OF_ONE_LAYER.sub("", layer["name"]), layer) for layer in analysis["layer_info"]]
    operators = [
        Operator(
            kernel=kind,
            precision=effective,
            isa=UNKNOWN if kind == NAIVE else isa,
            time=layer["average_run_time_in_ms"],
        )
        for kind, layer in layers
    ]
    return Execution(source=source, kernels=by_share(operators))


def _other_precision_is_set() -> bool:
    """bf16 has to be asked for in its configuration file; without it the documented default is fp32."""
    folder = Path(os.environ.get("NM_CONFIG_DIR") or Path.home() / ".config" / "neuralmagic")
    file = folder / "deepsparse-config.yaml"
    return file.is_file() and "default_precision" in file.read_text("utf-8", errors="replace")


def _is_fp32(model: Path) -> bool:
    """Whether nothing in the file is quantised or has 16 bits."""
    import onnx

    reduced = {onnx.TensorProto.INT8, onnx.TensorProto.UINT8, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}
    graph = onnx.load(str(model)).graph
    return not any(tensor.data_type in reduced for tensor in graph.initializer) and not any(
        QUANTISED.search(node.op_type) for node in graph.node
    )
