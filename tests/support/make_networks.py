"""Writes small networks that are no classifiers of one float32 image, or come in an unusual file. It runs in the bench
environment, which has onnx.

python make_networks.py FOLDER
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

FOLDER = Path(sys.argv[1])
random = np.random.default_rng(1)
node = helper.make_node

Value = tuple[str, int, Sequence[int | str | None]]
"""Name, ONNX's type, and shape of an input or an output."""


def save(
    name: str,
    inputs: Sequence[Value],
    nodes: Sequence[onnx.NodeProto],
    outputs: Sequence[Value],
    tensors: dict[str, Any],
    opset: int = 13,
    ir: int = 8,
) -> None:
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(*each) for each in inputs],
        [helper.make_tensor_value_info(*each) for each in outputs],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    onnx.save(model, FOLDER / f"{name}.onnx")


def weight(*shape: int, kind: type[np.floating[Any]] = np.float32) -> NDArray[Any]:
    return (random.standard_normal(shape) / 5).astype(kind)


FLOAT, HALF, DOUBLE, BYTE, INT64, INT32 = (
    getattr(TensorProto, name) for name in ("FLOAT", "FLOAT16", "DOUBLE", "UINT8", "INT64", "INT32")
)


def classifier(
    name: str,
    shape: Sequence[int | str | None],
    kind: int = FLOAT,
    before: Sequence[onnx.NodeProto] = (),
    images: str = "images",
    numbers: type[np.floating[Any]] = np.float32,
    batch: int | str | None = "batch",
    **more: int,
) -> None:
    """A convolution, a pool, a product: [batch, 10]."""
    nodes = [
        *before,
        node("Conv", [images, "conv.weight"], ["a"], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["b"]),
        node("GlobalAveragePool", ["b"], ["c"]),
        node("Flatten", ["c"], ["d"]),
        node("Gemm", ["d", "fc.weight"], ["logits"], transB=1),
    ]
    tensors = {"conv.weight": weight(16, 3, 3, 3, kind=numbers), "fc.weight": weight(10, 16, kind=numbers)}
    out = HALF if numbers == np.float16 else FLOAT
    save(name, [("images", kind, shape)], nodes, [("logits", out, [batch, 10])], tensors, **more)


classifier("batch-of-four", [4, 3, 32, 32], batch=4)
classifier("free-size", ["batch", 3, "height", "width"])
classifier("free-unnamed", [None, 3, None, None], batch=None)
to_float = node("Cast", ["images"], ["floats"], to=FLOAT)
classifier("bytes", ["batch", 3, 32, 32], BYTE, [to_float], "floats")
classifier("half", ["batch", 3, 32, 32], HALF, numbers=np.float16)
classifier(
    "channels-last",
    ["batch", 32, 48, 3],
    before=[node("Transpose", ["images"], ["turned"], perm=[0, 3, 1, 2])],
    images="turned",
)
classifier("ir-99", ["batch", 3, 32, 32], ir=99)
classifier("opset-21", ["batch", 3, 32, 32], opset=21)

save(
    "double",
    [("features", DOUBLE, ["batch", 20])],
    [node("MatMul", ["features", "w"], ["embedding"])],
    [("embedding", DOUBLE, ["batch", 8])],
    {"w": weight(20, 8, kind=np.float64)},
)

# What language models take: indices into tables, a mask, numbers of two types.
tokens = [
    node("Gather", ["words", "input_ids"], ["w"]),
    node("Gather", ["types", "token_type_ids"], ["t"]),
    node("Add", ["w", "t"], ["sum"]),
    node("Cast", ["attention_mask"], ["m"], to=FLOAT),
    node("Unsqueeze", ["m", "last"], ["mm"]),
    node("Mul", ["sum", "mm"], ["masked"]),
    node("MatMul", ["masked", "head"], ["states"]),
]
tables = {"words": weight(50, 8), "types": weight(2, 8), "head": weight(8, 8), "last": np.array([-1])}
text = [("input_ids", INT64), ("attention_mask", INT64), ("token_type_ids", INT32)]
save(
    "tokens",
    [(*each, ["batch", "sequence"]) for each in text],
    tokens,
    [("states", FLOAT, ["batch", "sequence", 8])],
    tables,
)
save("tokens-of-16", [(*each, ["batch", 16]) for each in text], tokens, [("states", FLOAT, ["batch", 16, 8])], tables)

# A state that is handed on, whose batch is its second axis, and a rate that has no axes at all.
rate = node("Equal", ["rate", "sixteen"], ["is"])
save(
    "voice",
    [("sound", FLOAT, ["batch", 64]), ("state", FLOAT, [2, "batch", 8]), ("rate", INT64, [])],
    [
        rate,
        node("MatMul", ["sound", "w"], ["heard"]),
        node("ReduceSum", ["state", "first"], ["was"], keepdims=0),
        node("Add", ["heard", "was"], ["both"]),
        node("Where", ["is", "both", "nothing"], ["voice"]),
    ],
    [("voice", FLOAT, ["batch", 8])],
    {"sixteen": np.int64(16000), "w": weight(64, 8), "first": np.array([0]), "nothing": np.float32(np.nan)},
)


# The branch for the other rate does not fit 64 samples: its pool leaves two numbers, and an axis of 2 cannot go.
def heard(name: str, kernel: int) -> onnx.GraphProto:
    """A branch that takes as many samples."""
    nodes = [
        node("Unsqueeze", ["sound", "one"], [f"{name}.wide"]),
        node("AveragePool", [f"{name}.wide"], [f"{name}.pooled"], kernel_shape=[kernel], strides=[kernel]),
        node("Squeeze", [f"{name}.pooled", "two"], [f"{name}.heard"]),
        node("MatMul", [f"{name}.heard", "w"], [f"{name}.voice"]),
    ]
    out = helper.make_tensor_value_info(f"{name}.voice", FLOAT, None)
    return helper.make_graph(nodes, name, [], [out])


save(
    "branches",
    [("sound", FLOAT, ["batch", "samples"]), ("rate", INT64, [])],
    [rate, node("If", ["is"], ["voice"], then_branch=heard("fast", 64), else_branch=heard("slow", 32))],
    [("voice", FLOAT, ["batch", 4])],
    {"sixteen": np.int64(16000), "one": np.array([1]), "two": np.array([2]), "w": weight(1, 4)},
)

# Words that index a long table and a short one, and are compared with the word for nothing: where all are that, the
# mean of the others is not a number.
save(
    "two-tables",
    [("words", INT64, ["batch", 16])],
    [
        node("Equal", ["words", "nothing"], ["is_nothing"]),
        node("Not", ["is_nothing"], ["is_word"]),
        node("Cast", ["is_word"], ["counts"], to=FLOAT),
        node("ReduceSum", ["counts", "last"], ["number"], keepdims=1),
        node("Gather", ["long", "words"], ["a"]),
        node("Gather", ["short", "words"], ["b"]),
        node("Add", ["a", "b"], ["both"]),
        node("Mul", ["both", "counts"], ["counted"]),
        node("Div", ["counted", "number"], ["means"]),
    ],
    [("means", FLOAT, ["batch", 16])],
    {"nothing": np.int64(0), "last": np.array([1]), "long": weight(50), "short": weight(20)},
)

# What is said of one row depends on the others, or no other can be fed beside it, although the batch is free.
among = [node("ReduceSum", ["features", "rows"], ["sum"]), node("Add", ["features", "sum"], ["both"])]
alone = [node("Reshape", ["features", "one_row"], ["both"])]
for name, nodes in (("among-others", among), ("one-at-a-time", alone)):
    save(
        name,
        [("features", FLOAT, ["batch", 8])],
        [*nodes, node("MatMul", ["both", "w"], ["out"])],
        [("out", FLOAT, ["batch", 4])],
        {"rows": np.array([0]), "one_row": np.array([1, 8]), "w": weight(8, 4)},
    )

# A table that is empty can be indexed by nothing.
save(
    "no-table",
    [("words", INT64, ["batch", 16])],
    [node("OneHot", ["words", "depth", "off_on"], ["classes"])],
    [("classes", FLOAT, ["batch", 16, "depth"])],
    {"depth": np.zeros(0, np.int64), "off_on": np.array([0, 1], np.float32)},
)

# A label comes first, then scores with two axes of 1; and one more tensor of another shape.
conv = node("Conv", ["images", "conv.weight"], ["map"], strides=[4, 4])
pool = node("GlobalAveragePool", ["map"], ["scores"])
label = node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0)
save(
    "several-outputs",
    [("images", FLOAT, ["batch", 3, 32, 32])],
    [conv, pool, label],
    [
        ("label", INT64, ["batch", 1, 1]),
        ("scores", FLOAT, ["batch", 10, 1, 1]),
        ("map", FLOAT, ["batch", 10, 8, 8]),
    ],
    {"conv.weight": weight(10, 3, 4, 4)},
)

mask = np.zeros(10, np.float32)
mask[3:5] = -np.inf
save(
    "masked",
    [("images", FLOAT, ["batch", 3, 32, 32])],
    [conv, pool, node("Flatten", ["scores"], ["flat"]), node("Add", ["flat", "mask"], ["logits"])],
    [("logits", FLOAT, ["batch", 10])],
    {"conv.weight": weight(10, 3, 4, 4), "mask": mask},
)

# 1.011 in bf16 is 1.0078125, and 100 × that is not 101: what follows would not fit.
save(
    "resized",
    [("images", FLOAT, [1, 3, 100, 100])],
    [
        node("Resize", ["images", "", "scales"], ["larger"], mode="nearest"),
        node("Add", ["larger", "offset"], ["moved"]),
        node("Conv", ["moved", "conv.weight"], ["features"], strides=[4, 4]),
    ],
    [("features", FLOAT, [1, 8, 25, 25])],
    {
        "scales": np.array([1, 1, 1.011, 1.011], np.float32),
        "offset": weight(1, 3, 101, 101),
        "conv.weight": weight(8, 3, 4, 4),
    },
)

sparse = weight(64, 10)
sparse[:51] = 0
save(
    "pruned",
    [("features", FLOAT, ["batch", 64])],
    [node("MatMul", ["features", "w"], ["embedding"])],
    [("embedding", FLOAT, ["batch", 10])],
    {"w": sparse},
)

# The same network twice: as it is, and with every tensor quantised to INT8.
layers = {"w1": weight(64, 32), "w2": weight(32, 10)}
features: list[Value] = [("features", FLOAT, ["batch", 64])]
embedding: list[Value] = [("embedding", FLOAT, ["batch", 10])]
relu = node("Relu", ["sum"], ["hidden"])
perceptron = [node("MatMul", ["features", "w1"], ["sum"]), relu, node("MatMul", ["hidden", "w2"], ["embedding"])]
save("perceptron", features, perceptron, embedding, layers)
wide: list[Value] = [("embedding", FLOAT, ["batch", 12])]
save("wider", features, perceptron, wide, layers | {"w2": np.ones((32, 12), np.float32)})
quantised, steps = dict[str, list[onnx.NodeProto]](), dict[str, Any](zero=np.int8(0))
for tensor, largest in (("features", 4.0), ("w1", 0.8), ("hidden", 6.0), ("w2", 0.8)):
    steps[f"{tensor}.step"] = np.float32(largest / 127)
    quantised[tensor] = [
        node("QuantizeLinear", [tensor, f"{tensor}.step", "zero"], [f"{tensor}.int8"]),
        node("DequantizeLinear", [f"{tensor}.int8", f"{tensor}.step", "zero"], [f"{tensor}.again"]),
    ]
nodes = [
    *quantised["features"],
    *quantised["w1"],
    node("MatMul", ["features.again", "w1.again"], ["sum"]),
    relu,
    *quantised["hidden"],
    *quantised["w2"],
    node("MatMul", ["hidden.again", "w2.again"], ["embedding"]),
]
save("perceptron-int8", features, nodes, embedding, layers | steps)

# An index that is beyond its table: no engine can run it, whatever it is fed.
save(
    "broken",
    [("features", FLOAT, ["batch", 4])],
    [node("Gather", ["features", "far"], ["picked"], axis=1), node("MatMul", ["picked", "w"], ["out"])],
    [("out", FLOAT, ["batch", 2])],
    {"far": np.array([0, 9]), "w": weight(2, 2)},
)

model = onnx.load(FOLDER / "free-size.onnx")
onnx.save(model, str(FOLDER / "outside.onnx"), save_as_external_data=True, location="outside.data", size_threshold=0)

elsewhere = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[1])
elsewhere.data_location = onnx.TensorProto.EXTERNAL
elsewhere.external_data.add(key="location", value="/etc/passwd")
for name in ("outside-of-an-attribute", "outside-of-a-function", "outside-under-a-name-twice"):
    model = onnx.load(FOLDER / "free-size.onnx")
    if name.endswith("attribute"):
        model.graph.node.append(onnx.helper.make_node("ConstantOfShape", ["shape"], ["c"], value=elsewhere))
    elif name.endswith("function"):
        constant = onnx.helper.make_node("Constant", [], ["c"], value=elsewhere)
        model.functions.append(onnx.helper.make_function("own", "F", [], ["c"], [constant], model.opset_import))
    else:
        inside = onnx.numpy_helper.from_array(np.ones(1, np.float32), "w")
        model.graph.initializer.extend([elsewhere, inside])
    (FOLDER / f"{name}.onnx").write_bytes(model.SerializeToString())
whole = (FOLDER / "batch-of-four.onnx").read_bytes()
(FOLDER / "cut.onnx").write_bytes(whole[: len(whole) // 2])
