"""Writes a tiny classifier for tests. It runs in the bench environment, which has onnx."""

import argparse
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

parser = argparse.ArgumentParser()
parser.add_argument("file", type=Path)
parser.add_argument("--input", default="batch,3,32,32", help="dimensions of the input")
parser.add_argument("--opset", type=int, default=13)
parser.add_argument("--activation", default="Relu", help="an operator's name")
arguments = parser.parse_args()

random = np.random.default_rng(1)
weights = {
    "conv.weight": random.standard_normal((16, 3, 3, 3), dtype=np.float32) / 5,
    "fc.weight": random.standard_normal((10, 16), dtype=np.float32),
}
nodes = [
    helper.make_node("Conv", ["images", "conv.weight"], ["a"], strides=[2, 2], pads=[1, 1, 1, 1]),
    helper.make_node(arguments.activation, ["a"], ["b"]),
    helper.make_node("GlobalAveragePool", ["b"], ["c"]),
    helper.make_node("Flatten", ["c"], ["d"]),
    helper.make_node("Gemm", ["d", "fc.weight"], ["logits"], transB=1),
]
dimensions = [int(item) if item.isdigit() else item for item in arguments.input.split(",")]
graph = helper.make_graph(
    nodes,
    "tiny",
    [helper.make_tensor_value_info("images", TensorProto.FLOAT, dimensions)],
    [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [dimensions[0], 10])],
    [numpy_helper.from_array(value, name) for name, value in weights.items()],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", arguments.opset)])
model.ir_version = 8
arguments.file.write_bytes(model.SerializeToString())
