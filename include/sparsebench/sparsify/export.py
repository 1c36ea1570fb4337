"""Export to an ONNX file that every engine loads; of an INT8 network, to two."""

from __future__ import annotations

import logging
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from sparsebench.sparsify.inspect_onnx import quantised

OPSET = 13


@dataclass(frozen=True)
class Encodings:
    """The same INT8 network in the two ways that engines are fast with.

    qdq: fp32 operators between DequantizeLinear and QuantizeLinear, weights stored in int8. ONNX Runtime and OpenVINO
    make integer operators of them; DeepSparse does not.
    integer: ConvInteger and MatMulInteger, which DeepSparse supports wholly (with QLinearConv, a twelfth of the
    operators). The others are slow with it.
    """

    qdq: bytes
    integer: bytes


def to_onnx(model: nn.Module, input_shape: tuple[int, int, int]) -> bytes:
    """The ONNX file: float32, one input [batch, channels, height, width] with a dynamic batch, logits as output."""
    # SparseML takes many seconds to import: only when there is something to export.
    from sparseml.pytorch.utils import ModuleExporter

    with TemporaryDirectory() as folder:
        ModuleExporter(model, folder).export_onnx(torch.zeros(1, *input_shape), name="model.onnx", opset=OPSET)
        return (Path(folder) / "model.onnx").read_bytes()


def to_onnx_int8(model: nn.Module, input_shape: tuple[int, int, int]) -> Encodings:
    """Both encodings of a network that was quantised (``quantise``). Input and output are as of ``to_onnx``."""
    from sparseml.exporters.onnx_to_deepsparse import ONNXToDeepsparse

    emulated = onnx.load_from_string(to_onnx(model, input_shape))
    logging.getLogger("sparseml.exporters").setLevel(logging.WARNING)  # it tells of each of its many rewritings
    logging.getLogger("sparseml.exporters.transforms.onnx_transform").setLevel(logging.WARNING)
    integer = ONNXToDeepsparse(inplace=False).apply(deepcopy(emulated))
    onnx.checker.check_model(integer)
    return Encodings(qdq=_qdq(emulated).SerializeToString(), integer=integer.SerializeToString())


def _qdq(model: onnx.ModelProto) -> onnx.ModelProto:
    """SparseML's export of an emulation, changed in place to what engines expect.

    It holds weights in fp32 with an operator that quantises them, four times as large as they need be; and its
    activations are signed: of those, ONNX Runtime computes every block's sum in fp32, and what comes after it too.
    """
    graph = model.graph
    values = {tensor.name: tensor for tensor in graph.initializer}
    constant = dict(values)
    for node in list(graph.node):
        if node.op_type == "QuantizeLinear" and node.input[0] in values:
            weight = quantised(*(numpy_helper.to_array(values[name]) for name in node.input))
            constant[node.output[0]] = numpy_helper.from_array(weight, node.output[0])
            graph.node.remove(node)
    for node in graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and node.input[0] not in constant:
            zero = numpy_helper.to_array(values[node.input[2]])
            if zero.dtype == np.int8:
                unsigned = f"{node.input[2]}.unsigned"
                constant[unsigned] = numpy_helper.from_array((zero.astype(np.int16) + 128).astype(np.uint8), unsigned)
                node.input[2] = unsigned
    used = {name for node in graph.node for name in node.input}
    del graph.initializer[:]
    graph.initializer.extend(tensor for name, tensor in constant.items() if name in used)
    onnx.checker.check_model(model)
    return model
