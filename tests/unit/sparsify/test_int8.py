"""A ResNet-50 in INT8: trained on digits, pruned, quantised, and run by every engine. About 120 s."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.support.digits import result, run

BENCH = Path(__file__).parents[3] / ".envs" / "bench" / "bin" / "python"

SPARSITY = 0.5

STORY = f"""
import copy, onnx, timm
import numpy as np
from sparsebench.sparsify import quantise, quietly
from sparsebench.sparsify.export import to_onnx, to_onnx_int8
from sparsebench.sparsify.inspect_onnx import layer_sparsities
from sparsebench.sparsify.prune import prune

folder = Path(sys.argv[1])
NETWORK = catalog.networks()["resnet50"].model_copy(update={{"classes": 10, "input_size": 32}})
split = data.split(DIGITS, NETWORK)
images = list(data.batches(split.validation))
calibration = list(data.batches(data.sample(split.train, 256)))
found = {{}}

def top1(model):
    score = evaluate.of_model(model, images)
    return score.top1 / score.images

def layers(file):
    return {{layer.name: (layer.parameters, layer.sparsity) for layer in layer_sparsities(onnx.load_from_string(file))}}

@torch.no_grad()
def fit(model):
    # An epoch is not enough for fifty layers. Then batch norms see the images, and the classifier is a regression.
    everything = list(data.batches(split.train, 128))
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    model.train()
    for image, _ in everything:
        model(image)
    model.eval()
    features = [model.forward_head(model.forward_features(image), pre_logits=True) for image, _ in everything]
    features = torch.cat(features).double()
    classes = torch.nn.functional.one_hot(torch.cat([label for _, label in everything]), 10).double() * 2 - 1
    mean = features.mean(0)
    features -= mean
    ridge = len(features) * features.var(0).mean() * torch.eye(len(mean))
    weight = torch.linalg.solve(features.T @ features + ridge, features.T @ (classes - classes.mean(0)))
    model.fc.weight.copy_(weight.T)
    model.fc.bias.copy_(classes.mean(0) - mean @ weight)

model = build.build(NETWORK, SOURCE)
for name, module in model.named_modules():
    if name.endswith("bn3"):
        torch.nn.init.constant_(module.weight, 0.2)  # blocks that begin as little more than their input learn fast
train.train(model, gmp.dense(1), split, train.Training(batch=32))
pruned = [layer for layer in build.prunable_layers(model) if layer != "fc"]
prune(model, recipe.one_shot(dict.fromkeys(pruned, {SPARSITY})))
fit(model)
found["top1"] = {{"fp32": top1(model)}}
parent = to_onnx(model, NETWORK.input_shape)

automatic = copy.deepcopy(model).train()  # it refuses a network in eval mode
for module in automatic.modules():
    if isinstance(module, torch.nn.BatchNorm2d):
        module.momentum = 0.1
manager = quietly.manager_of_own(quantise.RECIPE.replace(quantise.FUSION, "conv_bn_relus"))
manager.apply(automatic, loggers=quietly.loggers(), calibration_dataloader=calibration, finalize=False)
automatic.apply(torch.ao.quantization.disable_observer)
found["top1"]["automatic"] = top1(automatic)

quantise.quantise(model, calibration)
found["top1"]["ours"] = top1(model)
encodings = to_onnx_int8(model, NETWORK.input_shape)
found["same"] = evaluate.same_top1(parent, encodings.qdq, images)
files = {{"parent": parent, "qdq": encodings.qdq, "integer": encodings.integer}}
found["layers"] = {{name: layers(file) for name, file in files.items()}}
found["formats"] = {{}}
for name, file in files.items():
    (folder / f"{{name}}.onnx").write_bytes(file)
    graph = onnx.load_from_string(file)
    batch = graph.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    found["formats"][name] = [graph.ir_version, graph.opset_import[0].version, batch]
np.save(folder / "images.npy", torch.cat([image for image, _ in images]).numpy())

found["refused"] = {{}}
for name in ("resnet50d", "resnet18", "seresnet50", "mobilenetv1_100"):
    try:
        quantise.quantise(timm.create_model(name), calibration)
    except SparsebenchError as error:
        found["refused"][name] = str(error)
try:
    quantise.quantise(timm.create_model("resnet50"), [])
except SparsebenchError as error:
    found["nothing"] = str(error)
print(json.dumps(found))
"""

RUN = """
import json, sys
from pathlib import Path
import numpy as np
from sparsebench.bench.engines import ENGINES
from sparsebench.bench.inputs import inputs_of
from sparsebench.bench.onnx_header import read_header

folder, images = Path(sys.argv[1]), np.load(Path(sys.argv[1]) / "images.npy")
found = {}
pairs = ("onnxruntime", "parent"), ("onnxruntime", "qdq"), ("openvino", "qdq"), ("deepsparse", "integer")
for name, encoding in pairs:
    engine, file = ENGINES[name], folder / f"{encoding}.onnx"
    engine.import_library()
    inputs = inputs_of(read_header(file.read_bytes(), file.name), file.name)
    session = engine.load(file, inputs, 1, "f32", "latency")
    top = np.concatenate([session.run((image[None],))[0] for image in images]).argmax(1)
    execution = engine.execution(file, inputs, 1, "f32")
    found[f"{name} {encoding}"] = {"top": top.tolist(), "facts": session.facts, "precisions": execution.precisions,
                                   "kernels": {kernel.name: kernel.count for kernel in execution.kernels}}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("int8")


@pytest.fixture(scope="module")
def quantised(python: str, environment: dict[str, str], folder: Path) -> dict[str, Any]:
    """What the story found; it leaves the files and the images in the folder."""
    return result(run(python, environment, STORY, folder, cwd=folder))


@pytest.fixture(scope="module")
def ran(quantised: dict[str, Any], environment: dict[str, str], folder: Path) -> dict[str, Any]:
    """By engine and encoding: the top class of each image, and what the engine says of itself."""
    quiet = {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [str(BENCH), "-c", RUN, str(folder)], env=os.environ | environment | quiet, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def same(ran: dict[str, Any], first: str, other: str) -> float:
    pairs = list(zip(ran[first]["top"], ran[other]["top"], strict=True))
    return sum(a == b for a, b in pairs) / len(pairs)


def test_int8_keeps_the_accuracy_which_the_automatic_fusion_would_lose(quantised: dict[str, Any]) -> None:
    top1 = quantised["top1"]
    assert top1["fp32"] > 0.9
    assert top1["ours"] > top1["fp32"] - 0.01
    assert top1["automatic"] < top1["fp32"] - 0.1


def test_the_top_class_is_the_parents_on_99_percent_of_the_images(quantised: dict[str, Any]) -> None:
    assert quantised["same"] >= 0.99


@pytest.mark.parametrize("run", ["onnxruntime qdq", "openvino qdq", "deepsparse integer"])
def test_every_engine_agrees_with_the_parent_in_its_own_encoding(ran: dict[str, Any], run: str) -> None:
    assert same(ran, run, "onnxruntime parent") >= 0.99


def test_the_encodings_agree_with_each_other(ran: dict[str, Any]) -> None:
    assert same(ran, "deepsparse integer", "onnxruntime qdq") >= 0.99


def test_deepsparse_supports_all_of_its_encoding(ran: dict[str, Any]) -> None:
    assert ran["deepsparse integer"]["facts"]["fraction_of_supported_ops"] == 1


def test_onnx_runtime_computes_every_convolution_and_sum_in_int8(ran: dict[str, Any]) -> None:
    kernels = ran["onnxruntime qdq"]["kernels"]
    assert {name: count for name, count in kernels.items() if "Conv" in name or "Add" in name} == {
        "QLinearConv": 53,
        "QLinearAdd": 16,
    }


def test_openvino_computes_in_int8_also_in_the_lane_f32(ran: dict[str, Any]) -> None:
    assert ran["openvino qdq"]["precisions"]["i8"] > 0.8


def test_zeros_stay_zeros_and_layers_keep_their_names_in_both_encodings(quantised: dict[str, Any]) -> None:
    parent, qdq, integer = (quantised["layers"][name] for name in ("parent", "qdq", "integer"))
    assert qdq == integer
    assert {name: size for name, (size, _) in qdq.items()} == {name: size for name, (size, _) in parent.items()}
    assert all(sparsity >= parent[name][1] for name, (_, sparsity) in qdq.items())
    assert all(sparsity > SPARSITY - 0.01 for name, (_, sparsity) in qdq.items() if name != "fc")


def test_files_are_such_that_every_engine_loads_them(quantised: dict[str, Any]) -> None:
    for ir, opset, batch in quantised["formats"].values():
        assert (ir <= 9, opset, batch) == (True, 13, "batch")


def test_a_network_whose_fusion_is_not_known_is_refused_by_name(quantised: dict[str, Any]) -> None:
    assert set(quantised["refused"]) == {"resnet50d", "resnet18", "seresnet50", "mobilenetv1_100"}
    assert all(f"network: {name} cannot be quantised" in message for name, message in quantised["refused"].items())


def test_without_images_to_calibrate_with_nothing_is_quantised(quantised: dict[str, Any]) -> None:
    assert quantised["nothing"].startswith("batches: no images to calibrate with")
