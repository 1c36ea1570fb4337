"""The ONNX file that is shipped is what is evaluated. About 10 s, beside the training that it stands on."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.digits import Trained, result, run, trained  # noqa: F401

EVALUATE = """
import onnx
from onnx import TensorProto, helper, numpy_helper
import numpy as np

def model(bias, size=4):  # its outputs are the bias, whatever the image
    weights = [numpy_helper.from_array(np.zeros((3 * size * size, len(bias)), np.float32), "w"),
               numpy_helper.from_array(np.array(bias, np.float32), "b")]
    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("Gemm", ["f", "w", "b"], ["y"])]
    graph = helper.make_graph(
        nodes, "made by hand",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, size, size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", len(bias)])], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()

def batches(*labels):
    return [(torch.zeros(len(some), 3, 4, 4), torch.tensor(some)) for some in labels]

def same(*arguments):
    try:
        return evaluate.same_top1(*arguments)
    except SparsebenchError as error:
        return str(error)

def score(*arguments):
    try:
        return evaluate.of_onnx(*arguments).model_dump()
    except SparsebenchError as error:
        return str(error)

rising = list(range(10))  # class 9 comes first, then 8, 7, 6 and 5
print(json.dumps({
    "counted": score(model(rising), batches([9, 9, 5], [0, 4])),
    "few": score(model([1, 0]), batches([0, 1])),
    "not a number": score(model([float("nan")] * 9 + [1.0]), batches([9, 9])),
    "not onnx": score(b"nothing", batches([1])),
    "size": score(model(rising, size=5), batches([1])),
    "classes": score(model([1, 0]), batches([2])),
    "nothing": score(model(rising), []),
    "same": same(model(rising), model([0] * 9 + [1]), batches([1, 2], [3])),
    "other": same(model(rising), model([1] + [0] * 9), batches([1, 2], [3])),
    "same not a number": same(model(rising), model([float("nan")] * 9 + [1.0]), batches([1])),
    "other classes": same(model(rising), model([0, 1]), batches([1])),
    "same of nothing": same(model(rising), model(rising), []),
}))
"""


@pytest.fixture(scope="module")
def evaluated(python: str, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return result(run(python, environment, EVALUATE, cwd=tmp_path_factory.mktemp("evaluate")))


def test_top1_and_top5_are_counted_over_all_batches(evaluated: dict[str, Any]) -> None:
    assert evaluated["counted"] == {"images": 5, "top1": 2, "top5": 3}


def test_five_classes_or_fewer_have_no_top5(evaluated: dict[str, Any]) -> None:
    assert evaluated["few"] == {"images": 2, "top1": 1, "top5": None}


def test_an_output_that_is_no_number_is_never_correct(evaluated: dict[str, Any]) -> None:
    assert evaluated["not a number"] == {"images": 2, "top1": 0, "top5": 0}


def test_top_classes_are_compared_over_all_batches(evaluated: dict[str, Any]) -> None:
    assert (evaluated["same"], evaluated["other"], evaluated["same not a number"]) == (1, 0, 0)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("not onnx", "onnx: 7 bytes that ONNX Runtime cannot load"),
        ("size", "onnx: its input is [3, 5, 5]: expected [3, 4, 4]"),
        ("classes", "it has 2 classes: expected more than the images' class 2"),
        ("nothing", "dataset: no images"),
        ("other classes", "onnx: outputs of shape [1, 2]: expected the parent's [1, 10]"),
        ("same of nothing", "dataset: no images"),
    ],
)
def test_what_cannot_be_evaluated_is_one_clear_error(evaluated: dict[str, Any], case: str, message: str) -> None:
    assert message in evaluated[case]


def test_the_exported_file_scores_as_the_network_in_torch_did(trained: Trained) -> None:  # noqa: F811
    assert trained.results["onnx"] == trained.results["gmp"]
