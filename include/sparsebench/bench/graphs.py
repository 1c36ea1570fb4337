"""What lies in an ONNX graph, and in the graphs within it (the branches of If, the bodies of loops)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

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


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph, and all that lie within it."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from graphs(attribute.g)
            for below in attribute.graphs:
                yield from graphs(below)


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

    An index into a table that the file holds, or a class that is encoded one-hot, is below their length; what is
    compared with constants is one of them (classes; the sampling rate of a voice detector).
    """
    from onnx import numpy_helper

    held, same = constants(graph), {name}
    for part in graphs(graph):
        for node in part.node:
            if not same & set(node.input):
                continue
            first, *rest = node.input
            if node.op_type in SAME_VALUES and first in same:
                same |= set(node.output)
            elif node.op_type == "Gather" and rest[0] in same and first in held:
                axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
                return 0, held[first].dims[axis] - 1
            elif node.op_type == "Gather" and first in same:
                same |= set(node.output)
            elif node.op_type == "OneHot" and first in same and rest[0] in held:
                return 0, int(numpy_helper.to_array(held[rest[0]]).ravel()[0]) - 1
            elif node.op_type == "Equal" and (others := [held[name] for name in node.input if name in held]):
                values = numpy_helper.to_array(others[0])
                if values.size and values.dtype.kind in "iuf":
                    return int(values.min()), int(values.max())
    return None
