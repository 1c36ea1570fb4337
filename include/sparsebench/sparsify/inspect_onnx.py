"""What an ONNX file really holds: its prunable weights, and how sparse each of them is."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import numpy_helper

from sparsebench.contracts import LayerSparsity

MAX_IR = 9
"""The newest version of the ONNX format that every engine reads (DeepSparse is the one that stops here)."""


def layer_sparsities(model: onnx.ModelProto) -> tuple[LayerSparsity, ...]:
    """The weight of every Conv, Gemm and MatMul node that has one, in the order of the graph.

    A layer has its name in torch. A product of two activations (attention) has no weight, and is no layer.
    """
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    layers = []
    for node in model.graph.node:
        if node.op_type not in ("Conv", "Gemm", "MatMul"):
            continue
        weight = next((weights[name] for name in node.input if name in weights), None)
        if weight is None:
            continue
        values = numpy_helper.to_array(weight)
        layers.append(
            LayerSparsity(
                name=_layer_name(node.name, weight.name),
                parameters=values.size,
                sparsity=1 - np.count_nonzero(values) / values.size,
            )
        )
    return tuple(layers)


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
    return ".".join(parts) or weight.removesuffix(".weight")
