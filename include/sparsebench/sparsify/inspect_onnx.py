"""What an ONNX file really holds: its prunable weights, and how sparse each of them is."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable

import numpy as np
import onnx
from onnx import numpy_helper

from sparsebench.bench.graphs import constants
from sparsebench.contracts import LayerSparsity

MAX_IR = 9
"""The newest version of the ONNX format that every engine reads (DeepSparse is the one that stops here)."""


WEIGHT = {"Conv": 1, "Gemm": 1, "MatMul": 1, "ConvInteger": 1, "MatMulInteger": 1, "QLinearConv": 3, "QLinearMatMul": 3}
"""Which input is the weight, of the operators that may have one."""

ZERO_POINT = {"DequantizeLinear": 2, "ConvInteger": 3, "MatMulInteger": 3, "QLinearConv": 5, "QLinearMatMul": 5}
"""Which input is the zero point of a quantised weight: that, not 0, stands for zero."""

NO_ZERO_POINT = np.zeros((), np.uint8)
"""What QuantizeLinear takes where it has none."""


def layer_sparsities(model: onnx.ModelProto) -> tuple[LayerSparsity, ...]:
    """The weight of every convolution and matrix product that has one, in the order of the graph; in fp32, or in INT8
    in each of the encodings that ONNX has for it.

    A layer has its name in torch. A product of two activations (attention) has no weight, and is no layer.
    """
    tensors = constants(model.graph)
    dequantise = {node.output[0]: node for node in model.graph.node if node.op_type == "DequantizeLinear"}
    quantise = {node.output[0]: node for node in model.graph.node if node.op_type == "QuantizeLinear"}
    layers = []
    for node in model.graph.node:
        if node.op_type not in WEIGHT:
            continue
        name = node.input[WEIGHT[node.op_type]]
        holder = dequantise.get(name, node)
        held = name if holder is node else holder.input[0]
        emulated = quantise.get(held)  # in fp32, and quantised whenever the network runs
        weight = tensors.get(emulated.input[0] if emulated else held)
        scale_and_zero = [*(emulated.input[1:3] if emulated else ()), *_zero_point(holder)]
        if weight is None or any(other not in tensors for other in filter(None, scale_and_zero)):
            continue
        values = numpy_helper.to_array(weight)
        if emulated:
            values = quantised(values, *(numpy_helper.to_array(tensors[name]) for name in emulated.input[1:3] if name))
        layers.append(
            LayerSparsity(
                name=_layer_name(node.name, weight.name),
                parameters=values.size,
                sparsity=np.count_nonzero(values == _zero(holder, tensors, values)) / values.size,
            )
        )
    return tuple(layers)


def _zero(holder: onnx.NodeProto, tensors: dict[str, onnx.TensorProto], values: np.ndarray) -> np.ndarray:
    """The value that stands for zero in a weight: one, or one for each kernel, in a shape that compares with it."""
    if not any(_zero_point(holder)):
        return np.zeros((), values.dtype)
    zero = numpy_helper.to_array(tensors[_zero_point(holder)[0]])
    if zero.size == 1:
        return zero.reshape(())
    # Kernels are a convolution's first axis and a matrix's last; DequantizeLinear says which, and by default means 1.
    last = holder.op_type in ("MatMulInteger", "QLinearMatMul")
    axis = next((attribute.i for attribute in holder.attribute if attribute.name == "axis"), None)
    if axis is None:
        axis = 1 if holder.op_type == "DequantizeLinear" else values.ndim - 1 if last else 0
    return zero.reshape([-1 if i == axis % values.ndim else 1 for i in range(values.ndim)])


def _zero_point(holder: onnx.NodeProto) -> list[str]:
    """The name of the zero point that a weight is held with; empty where there is none."""
    at = ZERO_POINT.get(holder.op_type)
    return [] if at is None else list(holder.input[at : at + 1])


def quantised(weight: np.ndarray, scale: np.ndarray, zero: np.ndarray = NO_ZERO_POINT) -> np.ndarray:
    """What QuantizeLinear makes of a weight [kernels, …], with a scale for all or for each kernel."""
    each = (-1, *(1 for _ in weight.shape[1:])) if scale.size > 1 else ()
    levels = np.rint(weight / scale.reshape(each)) + zero.reshape(each)
    return np.clip(levels, np.iinfo(zero.dtype).min, np.iinfo(zero.dtype).max).astype(zero.dtype)


def overall_sparsity(layers: Iterable[LayerSparsity]) -> float:
    """Zeros over parameters, of all layers together."""
    counted = list(layers)
    return sum(layer.sparsity * layer.parameters for layer in counted) / sum(layer.parameters for layer in counted)


def _layer_name(node: str, weight: str) -> str:
    """The name in torch: the node's scope, or where it has none, the weight's own name.

    The scope comes first because the export renames weights (onnx::MatMul_12) and lets nodes share one when
    their values are the same. The scope of the layer ``stages.2.1.attn`` is ``/stages/stages.2/stages.2.1/attn``:
    a child of a sequence repeats its parent's name.
    """
    parts: list[str] = []
    for step in node.strip("/").split("/")[:-1]:
        if parts and step.startswith(f"{parts[-1]}."):
            parts[-1] = step
        else:
            parts.append(step)
    if parts and parts[-1] == "module":  # quantisation has wrapped it
        parts.pop()
    return ".".join(parts) or weight.removesuffix(".weight")


def gzip_bytes(data: bytes) -> int:
    """Size after ``gzip -9``, by the tool itself: zlib at level 9 differs by up to 1 %, and with its build."""
    return len(subprocess.run(["gzip", "-9"], input=data, stdout=subprocess.PIPE, check=True).stdout)
