"""What lies in an ONNX graph, and in the graphs within it (the branches of If, the bodies of loops)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import onnx

OPERANDS: dict[str, tuple[int, ...]] = {
    "Conv": (1,),
    "ConvTranspose": (1,),
    "Gemm": (0, 1),
    "MatMul": (0, 1),
    "LSTM": (1, 2),
    "GRU": (1, 2),
    "RNN": (1, 2),
}
"""Which inputs are multiplied: of those, the constant ones are weights."""

Encoding = Literal["fp32", "QDQ", "integer operators"]

QUANTISED: dict[str, Encoding] = {
    "ConvInteger": "integer operators",
    "MatMulInteger": "integer operators",
    "QLinearConv": "integer operators",
    "QLinearMatMul": "integer operators",
    "QuantizeLinear": "QDQ",
    "DequantizeLinear": "QDQ",
}
"""What says that a network is INT8. Those of QDQ stand beside integer operators too."""


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph, and all that lie within it."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from graphs(attribute.g)
            for below in attribute.graphs:
                yield from graphs(below)


def encoding_of(model: onnx.ModelProto) -> Encoding:
    """How a network's numbers are encoded."""
    operators = {node.op_type for graph in graphs(model.graph) for node in graph.node}
    encodings = {QUANTISED[name] for name in operators & QUANTISED.keys()}
    return "integer operators" if "integer operators" in encodings else "QDQ" if encodings else "fp32"


def has_branches(data: bytes) -> bool:
    """Whether there are graphs within the graph of an ONNX file."""
    import onnx

    return len(list(graphs(onnx.load_model_from_string(data).graph))) > 1


def constants(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """The tensors that the file holds, by the name that nodes know them by: initializers, and values of Constant."""
    held: dict[str, onnx.TensorProto] = {}
    for part in graphs(graph):
        held |= {tensor.name: tensor for tensor in part.initializer}
        for node in part.node:
            if node.op_type == "Constant":
                values = [attribute.t for attribute in node.attribute if attribute.name == "value"]
                held |= dict(zip(node.output, values, strict=False))
    return held


def weights(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    """The floating-point weights: what convolutions, matrix products and recurrent layers multiply by.

    Not the other constants: a shape, the scale of a Resize or of a quantisation, the bounds of a Clip.
    """
    from onnx import TensorProto

    held = constants(model.graph)
    used = {
        node.input[place]
        for part in graphs(model.graph)
        for node in part.node
        for place in OPERANDS.get(node.op_type, ())
        if place < len(node.input)
    }
    return [
        tensor
        for name, tensor in held.items()
        if name in used and tensor.data_type in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
    ]


def weight_sparsity(data: bytes) -> float | None:
    """The share of zeros among the floating-point weights of an ONNX file; None: it has none."""
    import onnx
    from onnx import numpy_helper

    values = [numpy_helper.to_array(tensor) for tensor in weights(onnx.load_model_from_string(data))]
    size = sum(array.size for array in values)
    return 1 - sum(int(np.count_nonzero(array)) for array in values) / size if size else None


SAME_VALUES = ("Cast", "Expand", "Flatten", "Identity", "Reshape", "Slice", "Squeeze", "Tile", "Transpose", "Unsqueeze")
"""Operators whose output has the values of their first input."""


def integer_range(graph: onnx.GraphProto, name: str) -> tuple[int, int] | None:
    """The smallest and largest whole number that an input may have, as far as the graph says so.

    An index into a table that the file holds, or a class that is encoded one-hot, is below their length, and below the
    shortest where it indexes several. What indexes none and is compared with constants is one of them (classes; the
    sampling rate of a voice detector); a word is compared with the one that stands for nothing, and is any other too.
    """
    lengths, compared = list[int](), list[tuple[int, int]]()
    held, same = constants(graph), {name}
    for part in graphs(graph):
        for node in part.node:
            if not same & set(node.input):
                continue
            first, *rest = node.input
            if first in same and node.op_type in (*SAME_VALUES, "Gather"):
                same |= set(node.output)
            elif node.op_type == "Gather" and first in held:
                axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
                lengths += held[first].dims[axis:][:1]
            elif node.op_type == "OneHot" and first in same and rest[0] in held:
                lengths += map(int, _numbers(held[rest[0]])[:1])
            elif node.op_type == "Equal":
                ranges = [_numbers(held[name]) for name in node.input if name in held]
                compared += [(int(min(numbers)), int(max(numbers))) for numbers in ranges if numbers]
    if lengths := [length for length in lengths if length > 0]:
        return 0, min(lengths) - 1
    return min(compared, key=lambda ends: ends[1] - ends[0], default=None)  # the first of several


def _numbers(tensor: onnx.TensorProto) -> list[float]:
    """What a tensor holds, where that is finite numbers."""
    from onnx import numpy_helper

    values = numpy_helper.to_array(tensor)
    return values[np.isfinite(values)].tolist() if values.dtype.kind in "iuf" else []
