"""A network that was really trained, on handwritten digits: dense, pruned in one shot, and pruned gradually."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

PRELUDE = """
import json, sys, warnings
warnings.simplefilter("ignore")
from pathlib import Path
import torch
from sparsebench import catalog
from sparsebench.contracts import DIGITS, DatasetRef, Weights
from sparsebench.errors import SparsebenchError
from sparsebench.sparsify import build, data, evaluate, gmp, recipe, sensitivity, tensors, train

NETWORK = catalog.networks()["mobilevit_xs"].model_copy(update={"classes": 10, "input_size": 32})
SOURCE = build.WeightSource(Weights(kind="random", origin="a test", seed=0), None)

def network(file=None):
    model = build.build(NETWORK, SOURCE)
    if file:
        tensors.load_weights(model, file)
    return model
"""

TARGET = 0.85

STORY = f"""
connections = []
sys.addaudithook(
    lambda event, args: connections.append(str(args)) if event in ("socket.connect", "socket.getaddrinfo") else None
)
folder = Path(sys.argv[1])
split = data.split(DIGITS, NETWORK)
images = list(data.batches(split.validation))
training = train.Training(batch=32)
results = {{}}

model = network()
targets = dict.fromkeys(build.prunable_layers(model), {TARGET})
results["dense_curve"] = [e.model_dump() for e in train.train(model, gmp.dense(3), split, training)]
torch.save(model.state_dict(), folder / "dense.pt")
results["dense"] = evaluate.of_model(model, images).accuracy

from sparsebench.sparsify.prune import prune
prune(model, recipe.one_shot(targets))
results["one_shot"] = evaluate.of_model(model, images).accuracy

model = network(folder / "dense.pt")
phases = gmp.Phases(stabilise=1, prune=1.5, finetune=1.5, updates=9)
results["gmp_curve"] = [e.model_dump() for e in train.train(model, gmp.gradual(targets, phases), split, training)]
results["gmp"] = evaluate.of_model(model, images).model_dump()
results["sparsities"] = {{
    layer: float((model.get_submodule(layer).weight == 0).double().mean()) for layer in targets
}}

from sparsebench.sparsify.export import to_onnx
results["onnx"] = evaluate.of_onnx(to_onnx(model, NETWORK.input_shape), images).model_dump()
results["connections"] = connections
print(json.dumps(results))
"""


class Trained:
    """What the story found, and the folder that it left ``dense.pt`` in."""

    def __init__(self, folder: Path, results: dict[str, Any]):
        self.folder = folder
        self.results = results


_trained: list[Trained] = []


def run(
    python: str, environment: dict[str, str], script: str, *arguments: str | Path, cwd: Path
) -> subprocess.CompletedProcess[str]:
    """A script of the sparsify environment. One thread: two that wait for each other are slow beside other work."""
    return subprocess.run(
        [python, "-c", PRELUDE + script, *map(str, arguments)],
        env=environment | {"OMP_NUM_THREADS": "1"},
        cwd=cwd,
        capture_output=True,
        text=True,
    )


def result(done: subprocess.CompletedProcess[str]) -> Any:
    """What a script printed as its last line, in JSON."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="session")
def trained(python: str, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """MobileViT-xs at 32 pixels; made once, for all modules that ask for it. About 60 s."""
    if not _trained:
        folder = tmp_path_factory.mktemp("digits")
        _trained.append(Trained(folder, result(run(python, environment, STORY, folder, cwd=folder))))
    return _trained[0]
