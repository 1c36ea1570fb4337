"""What is read from an ONNX file. The files are made by hand, in the environment that has onnx."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

# Weights of 10 values each, so many of them zero: (operator, node's name, weight's name, zeros).
MAKE_AND_READ = """
import json, sys
import numpy as np
from onnx import TensorProto, helper, numpy_helper
from sparsebench.sparsify.inspect_onnx import layer_sparsities, overall_sparsity

nodes, weights = [], {}
for operator, name, weight, zeros in json.loads(sys.argv[1]):
    nodes.append(helper.make_node(operator, ["x", weight], ["y"], name=name))
    shape = (2, 5, 1, 1) if operator == "Conv" else (2, 5)
    values = np.where(np.arange(10) < zeros, 0, 1).reshape(shape).astype(np.float32)
    weights[weight] = numpy_helper.from_array(values, weight)
weights.pop("computed", None)
image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 5])
graph = helper.make_graph(nodes, "made by hand", [image], [image], list(weights.values()))
layers = layer_sparsities(helper.make_model(graph))
print(json.dumps([[(layer.name, layer.parameters, layer.sparsity) for layer in layers], overall_sparsity(layers)]))
"""


@pytest.fixture
def read(python: str, environment: dict[str, str]) -> Callable[..., Any]:
    """Layers (name, parameters, sparsity) and overall sparsity of a file with these nodes."""

    def read(*nodes: tuple[str, str, str, int]) -> Any:
        done = subprocess.run(
            [python, "-c", MAKE_AND_READ, json.dumps(nodes)], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return read


def test_sparsity_is_counted_in_each_weight_and_over_all(read: Callable[..., Any]) -> None:
    layers, overall = read(
        ("Conv", "/stem/Conv", "stem.weight", 2),
        ("MatMul", "/stages/stages.2/stages.2.1/attn/qkv/MatMul", "onnx::MatMul_12", 5),
        ("Gemm", "/head/fc/Gemm", "head.fc.weight", 10),
    )

    assert layers == [
        ["stem", 10, pytest.approx(0.2)],
        ["stages.2.1.attn.qkv", 10, pytest.approx(0.5)],
        ["head.fc", 10, 1.0],
    ]
    assert overall == pytest.approx(17 / 30)


def test_operators_without_a_weight_are_no_layers(read: Callable[..., Any]) -> None:
    layers, _ = read(
        ("MatMul", "/attn/MatMul", "computed", 0), ("Mul", "/scale/Mul", "scale", 9), ("Conv", "", "a.weight", 1)
    )

    assert layers == [["a", 10, pytest.approx(0.1)]]


def test_layers_that_share_a_weight_keep_their_own_names(read: Callable[..., Any]) -> None:
    layers, _ = read(("Conv", "/a/Conv", "a.weight", 10), ("Conv", "/b/Conv", "a.weight", 10))

    assert [name for name, _, _ in layers] == ["a", "b"]


QUANTISED = """
import json
import numpy as np
from onnx import TensorProto, helper, numpy_helper
from sparsebench.sparsify.inspect_onnx import layer_sparsities

def node(operator, inputs, name, **attributes):
    return helper.make_node(operator, inputs.split(), [name], name=name, **attributes)

# Two kernels of four weights each. In the first zero stands for 3, in the second for -1, or for both of them for 3.
kernels = np.array([[3, 3, 0, -1], [-1, 3, 0, 7]], np.int8)
tensors = {
    "conv": kernels.reshape(2, 4, 1, 1), "matrix": kernels.T.copy(), "of_each": np.array([3, -1], np.int8),
    "fp32": (kernels + np.float32(0.4)).reshape(2, 4, 1, 1) - np.array([3, -1], "f").reshape(2, 1, 1, 1),
    "of_all": np.int8(3), "scale": np.float32(1), "scales": np.ones(2, np.float32), "zx": np.uint8(0),
}
nodes = [
    node("DequantizeLinear", "conv scales of_each", "w", axis=0),
    node("Conv", "x w", "/dequantised/module/Conv"),
    node("QuantizeLinear", "fp32 scales of_each", "held", axis=0),
    node("DequantizeLinear", "held scales of_each", "v", axis=0),
    node("Conv", "x v", "/emulated/module/Conv"),
    node("ConvInteger", "q conv zx of_each", "/integer/Conv_quant"),
    node("MatMulInteger", "q matrix zx of_each", "/product/Gemm_quant"),
    node("QLinearConv", "q scale zx conv scale of_all scale zx", "/linear/Conv_quant"),
    node("QLinearMatMul", "q scale zx matrix scale of_all scale zx", "/linear_product/MatMul_quant"),
    node("ConvInteger", "q conv", "/without/Conv_quant"),
]
image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 5])
initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in tensors.items()]
graph = helper.make_graph(nodes, "made by hand", [image], [image], initializers)
layers = layer_sparsities(helper.make_model(graph))
print(json.dumps([(layer.name, layer.parameters, layer.sparsity) for layer in layers]))
"""


def test_a_quantised_weight_is_zero_where_it_equals_its_zero_point(python: str, environment: dict[str, str]) -> None:
    done = subprocess.run([python, "-c", QUANTISED], env=environment, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        ["dequantised", 8, 3 / 8],
        ["emulated", 8, 3 / 8],
        ["integer", 8, 3 / 8],
        ["product", 8, 3 / 8],
        ["linear", 8, 3 / 8],
        ["linear_product", 8, 3 / 8],
        ["without", 8, 2 / 8],
    ]
