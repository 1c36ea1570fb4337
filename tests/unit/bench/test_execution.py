"""What the engines tell of how they compute, by the real engines on tiny networks."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from sparsebench.contracts import Execution

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".envs" / "bench" / "bin" / "python"

EXECUTIONS = """
import sys
from importlib import import_module
from pathlib import Path
from sparsebench.bench.engines import ENGINES
from sparsebench.bench.inputs import inputs_of
from sparsebench.bench.onnx_header import read_header

name, precision, *models = sys.argv[1:]
ENGINES[name].import_library()
execution = import_module(f"sparsebench.bench.engines.{name}.profile").execution
for model in models:
    inputs = inputs_of(read_header(Path(model).read_bytes(), model), model)
    print("EXECUTION", execution(Path(model), inputs, 1, precision).model_dump_json())
"""

PRECISION_HINT = """
import sys
from sparsebench.bench.engines import ENGINES

ENGINES["openvino"].import_library()
import openvino

compiled = openvino.Core().compile_model(sys.argv[1], "CPU")
print(compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name())
"""

INT8_NETWORK = """
import sys
import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

random = np.random.default_rng(1)
weights = {
    "scale": np.float32(0.02),
    "zero": np.uint8(128),
    "weight.zero": np.int8(0),
    "conv1.weight": random.integers(-127, 128, (16, 3, 3, 3)).astype(np.int8),
    "conv2.weight": random.integers(-127, 128, (16, 16, 3, 3)).astype(np.int8),
    "fc.weight": random.standard_normal((10, 16), dtype=np.float32),
}

def convolution(source, weight, target):
    inputs = [source, "scale", "zero", weight, "scale", "weight.zero", "scale", "zero"]
    return helper.make_node("QLinearConv", inputs, [target], pads=[1, 1, 1, 1])

nodes = [
    helper.make_node("QuantizeLinear", ["images", "scale", "zero"], ["a"]),
    convolution("a", "conv1.weight", "b"),
    convolution("b", "conv2.weight", "c"),
    helper.make_node("DequantizeLinear", ["c", "scale", "zero"], ["d"]),
    helper.make_node("GlobalAveragePool", ["d"], ["e"]),
    helper.make_node("Flatten", ["e"], ["f"]),
    helper.make_node("Gemm", ["f", "fc.weight"], ["logits"], transB=1),
]
graph = helper.make_graph(
    nodes,
    "int8",
    [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 96, 96])],
    [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10])],
    [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
)
save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), sys.argv[1])
"""

BRANCHED_NETWORK = """
import sys
import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

def branch(name):
    nodes = [helper.make_node("Conv", ["images", "weight"], [name + ".map"]),
             helper.make_node("GlobalAveragePool", [name + ".map"], [name + ".out"])]
    return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(name + ".out", TensorProto.FLOAT, None)])

nodes = [
    helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
    helper.make_node("Less", ["mean", "much"], ["dark"]),
    helper.make_node("If", ["dark"], ["out"], then_branch=branch("dark"), else_branch=branch("light")),
]
graph = helper.make_graph(
    nodes,
    "branched",
    [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 96, 96])],
    [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 16, 1, 1])],
    [numpy_helper.from_array(np.float32(100), "much"),
     numpy_helper.from_array(np.random.default_rng(1).standard_normal((16, 3, 5, 5), dtype=np.float32), "weight")],
)
save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), sys.argv[1])
"""

Executions = Callable[[str, str], list[Execution]]
"""By engine and lane: how it computes a network in fp32, and one whose convolutions are quantised."""

LANES = [("onnxruntime", "f32"), ("openvino", "f32"), ("openvino", "native"), ("deepsparse", "f32")]


def run(script: str, *arguments: str | Path, **variables: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "include")} | variables
    done = subprocess.run([PYTHON, "-c", script, *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def executions_in(printed: str) -> list[Execution]:
    return [
        Execution.model_validate_json(line.removeprefix("EXECUTION"))
        for line in printed.splitlines()
        if line.startswith("EXECUTION")
    ]


@pytest.fixture(scope="session")
def network(make_network: Callable[..., Path]) -> Path:
    """In fp32, and of large images: OpenVINO counts whole µs."""
    return make_network("--input", "batch,3,96,96")


@pytest.fixture(scope="session")
def executions(network: Path, tmp_path_factory: pytest.TempPathFactory) -> Executions:
    int8 = tmp_path_factory.mktemp("network") / "int8.onnx"
    run(INT8_NETWORK, int8)

    @cache
    def executions_of(engine: str, precision: str) -> list[Execution]:
        return executions_in(run(EXECUTIONS, engine, precision, network, int8))

    return executions_of


def of_kernels(execution: Execution, word: str) -> set[str]:
    """The precisions of all kernels that have the word in their names."""
    return {kernel.precision for kernel in execution.kernels if word in kernel.name}


@pytest.mark.parametrize(("engine", "precision"), LANES)
def test_shares_of_time_sum_to_one_and_the_largest_comes_first(
    executions: Executions, engine: str, precision: str
) -> None:
    computed = executions(engine, precision)

    assert len(computed) == 2
    for execution in computed:
        shares = [kernel.time_share for kernel in execution.kernels]
        assert sum(shares) == pytest.approx(1)
        assert shares == sorted(shares, reverse=True)
        kinds = {(kernel.name, kernel.precision, kernel.isa) for kernel in execution.kernels}
        assert len(kinds) == len(execution.kernels)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino", "deepsparse"])
def test_in_the_lane_f32_a_network_in_fp32_is_computed_in_nothing_else(executions: Executions, engine: str) -> None:
    execution, _ = executions(engine, "f32")

    assert execution.precisions == {"f32": pytest.approx(1)}


def test_in_the_lane_native_openvino_computes_in_what_it_chose_for_the_cpu(
    executions: Executions, network: Path
) -> None:
    execution, _ = executions("openvino", "native")

    assert of_kernels(execution, "Convolution") == {run(PRECISION_HINT, network).strip()}


@pytest.mark.parametrize(("engine", "kernel"), [("onnxruntime", "QLinearConv"), ("openvino", "Convolution")])
def test_quantised_convolutions_are_computed_in_int8(executions: Executions, engine: str, kernel: str) -> None:
    _, execution = executions(engine, "f32")

    assert of_kernels(execution, kernel) == {"i8"}


def test_onnx_runtime_quantises_the_images_in_fp32(executions: Executions) -> None:
    _, execution = executions("onnxruntime", "f32")

    assert of_kernels(execution, "QuantizeLinear") == {"f32"}


@pytest.mark.slow
def test_a_branch_has_no_precision_of_its_own_and_is_not_counted_beside_what_is_in_it(tmp_path: Path) -> None:
    """Its condition is a truth value, in 8 bits; what it takes is the time of its convolution."""
    branched = tmp_path / "branched.onnx"
    run(BRANCHED_NETWORK, branched)
    (openvino,), (onnxruntime,) = (
        executions_in(run(EXECUTIONS, engine, "f32", branched)) for engine in ("openvino", "onnxruntime")
    )

    assert of_kernels(openvino, "If") == {"unknown"}
    assert "i8" not in openvino.precisions
    assert of_kernels(onnxruntime, "Conv") == {"f32"}
    assert "If" not in {kernel.name for kernel in onnxruntime.kernels}


def test_openvino_and_deepsparse_name_their_instruction_set(executions: Executions) -> None:
    for engine in ("openvino", "deepsparse"):
        execution, _ = executions(engine, "f32")
        assert {kernel.isa for kernel in execution.kernels} & {"avx2", "avx512"}


def test_the_precision_of_deepsparse_is_unknown_where_the_network_is_quantised(executions: Executions) -> None:
    fp32, int8 = executions("deepsparse", "f32")

    assert "documentation" in fp32.source
    assert set(int8.precisions) == {"unknown"}


def test_the_precision_of_deepsparse_is_unknown_where_its_configuration_file_sets_one(
    network: Path, tmp_path: Path
) -> None:
    # Any: what it makes of bf16 depends on the CPU.
    (tmp_path / "deepsparse-config.yaml").write_text("default_precision: fp32\n")

    (execution,) = executions_in(run(EXECUTIONS, "deepsparse", "f32", network, NM_CONFIG_DIR=str(tmp_path)))

    assert set(execution.precisions) == {"unknown"}
