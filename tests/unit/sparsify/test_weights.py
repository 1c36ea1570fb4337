"""Trained weights come from the hub, here a server on this machine, or from a file. About 60 s."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socket import create_server
from typing import Any

import pytest
from tests.support.values import there
from tests.support.web import serve
from tests.unit.sparsify.conftest import Sparsify

NETWORK = "mobilenetv1"
HUB_ID = "timm/mobilenetv1_100.ra4_e3600_r224_in1k"
COMMIT = "c0ffee" * 6 + "c0de"

MAKE_WEIGHTS = """
import sys, timm, torch
from safetensors.torch import save_file
torch.manual_seed(7)
model = timm.create_model("mobilenetv1_100")
torch.nn.init.constant_(model.classifier.bias, 0.25)
save_file(model.state_dict(), sys.argv[1])
"""

BIAS = """
import sys, onnx
from onnx import numpy_helper
print({float(v) for t in onnx.load(sys.argv[1]).graph.initializer if t.name == "classifier.bias"
       for v in numpy_helper.to_array(t)})
"""


@contextmanager
def hub(content: bytes) -> Iterator[str]:
    """The address of a hub that has this one file, as Hugging Face serves it."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            known = self.path == f"/{HUB_ID}/resolve/main/model.safetensors" or COMMIT in self.path
            self.send_response(200 if known else 404)
            self.send_header("ETag", '"made-up"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", str(len(content) if known else 0))
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with serve(Handler) as address:
        yield address


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder where what came from the hub is kept."""
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def trained(
    sparsify: Callable[[], Sparsify],
    python: str,
    environment: dict[str, str],
    cache: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Sparsify:
    """A store with a base that has trained weights."""
    file = tmp_path_factory.mktemp("weights") / "model.safetensors"
    subprocess.run([python, "-c", MAKE_WEIGHTS, file], env=environment, check=True)
    tool = sparsify()
    with hub(file.read_bytes()) as address:
        done = tool.run(NETWORK, "base", HF_ENDPOINT=address, HF_HOME=cache)
    assert done.returncode == 0, done.stderr
    return tool


def test_trained_weights_are_those_of_the_hub(
    trained: Sparsify, python: str, environment: dict[str, str], tmp_path: Path
) -> None:
    card = trained.card("base")

    assert card.weights.kind == "pretrained"
    assert card.weights.origin == f"{HUB_ID}@{COMMIT}"
    file = tmp_path / "model.onnx"
    file.write_bytes(trained.store.artifact(card.artifact))
    assert subprocess.check_output([python, "-c", BIAS, file], env=environment, text=True).strip() == "{0.25}"


def test_weights_in_the_cache_need_no_hub(trained: Sparsify, cache: str) -> None:
    done = trained.run(NETWORK, "base", HF_HOME=cache)

    assert f"weights: pretrained, {HUB_ID}@{COMMIT}" in done.stdout
    assert "base is there already" in done.stdout


def test_without_the_hub_trained_variants_stay_and_random_ones_are_not_put_beside_them(trained: Sparsify) -> None:
    before = trained.store.model_cards()

    done = trained.run(NETWORK, "base", "fake85")

    assert done.returncode == 2
    assert "random variants are not put beside them" in done.stderr
    assert trained.store.model_cards() == before
    progress = there(trained.store.progress("job-3"))
    assert not progress.finished  # or a retry would take the job for done
    assert progress.failed == 2


FIND = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
from pathlib import Path
from tempfile import mkdtemp
import timm, torch
from safetensors.torch import save_file
from sparsebench import catalog
from sparsebench.errors import SparsebenchError
from sparsebench.sparsify import build, weights
from sparsebench.store import Store

root = Path(sys.argv[1])
store = Store(root.as_uri())
NETWORK = catalog.networks()["mobilenetv1"]

def find(text, network=NETWORK):
    folder = Path(mkdtemp(dir=root))
    try:
        found = weights.find(store, network, text, 3, folder)
        model = build.build(network, found) if found.file else timm.create_model(network.timm)
    except SparsebenchError as error:
        return f"{type(error).__name__}: {error}"
    bias = sorted(set(model.classifier.bias.tolist()))
    return found.weights.model_dump() | {"bias": bias[:2], "file": found.file and found.file.name}
"""


def test_a_hub_that_never_answers_costs_seconds(python: str, environment: dict[str, str], tmp_path: Path) -> None:
    script = f"""{FIND}
start = time.monotonic()
found = weights.find(store, NETWORK, "hub", 3, root).weights
print(found.kind, found.seed, round(time.monotonic() - start))
"""
    with create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        command = [python, "-c", script, str(tmp_path)]
        loaded = subprocess.check_output(command, env=environment | {"HF_ENDPOINT": address}, text=True)

    kind, seed, seconds = loaded.split()
    assert (kind, seed) == ("random", "3")
    assert int(seconds) <= 10


@pytest.fixture(scope="module")
def loaded(python: str, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is found by each string, and what is built of it; or the error."""
    root = tmp_path_factory.mktemp("found")
    script = f"""{FIND}
model = timm.create_model(NETWORK.timm)
torch.nn.init.constant_(model.classifier.bias, 0.25)
save_file(model.state_dict(), root / "a.safetensors")
torch.save({{"state_dict": model.state_dict(), "epoch": 7}}, root / "a.pt")
for name in ("a.safetensors", "a.pt"):
    data = (root / name).read_bytes()
    (root / f"cut-{{name}}").write_bytes(data[: len(data) // 2])
torch.save(model, root / "pickled.pt")
(root / "copy").write_bytes((root / "a.safetensors").read_bytes())
digest = weights._digest(root / "a.pt")
strings = {{
    "path": f"{{root}}/a.safetensors", "store": "store:a.pt", "digest": f"{{root}}/a.pt#sha256={{digest}}",
    "no suffix": f"{{root}}/copy", "random": "random", "package": "package",
    "cut tensors": f"{{root}}/cut-a.safetensors", "cut": f"{{root}}/cut-a.pt", "pickled": f"{{root}}/pickled.pt",
    "wrong digest": f"store:a.pt#sha256={{'0' * 64}}", "missing": "store:b.pt",
}}
told = {{name: find(text) for name, text in strings.items()}}
told["other network"] = find("store:a.pt", catalog.networks()["efficientnet_b0"])
print(json.dumps(told | {{"root": str(root), "sha256": digest}}))
"""
    command = [python, "-c", script, str(root)]
    variables = environment | {"OMP_NUM_THREADS": "1"}
    return json.loads(subprocess.check_output(command, env=variables, text=True).splitlines()[-1])


def test_weights_come_from_a_file_wherever_it_is(loaded: dict[str, Any]) -> None:
    root = loaded["root"]
    for case in ("path", "store", "digest", "no suffix"):
        assert (loaded[case]["kind"], loaded[case]["bias"]) == ("pretrained", [0.25])
    assert loaded["path"]["origin"] == f"{root}/a.safetensors"
    assert loaded["store"]["origin"] == "store:a.pt"
    assert loaded["store"]["digest"] == loaded["digest"]["digest"] == loaded["sha256"]
    assert {loaded[case]["file"] for case in ("path", "store", "digest", "no suffix")} == {"weights"}


def test_random_weights_can_be_asked_for(loaded: dict[str, Any]) -> None:
    assert (loaded["random"]["kind"], loaded["random"]["seed"]) == ("random", 3)
    assert loaded["random"]["origin"] == "random weights were asked for"


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("cut tensors", "BadInput: weights: those of {root}/cut-a.safetensors: file: "),
        ("cut", "BadInput: weights: those of {root}/cut-a.pt: file: "),
        ("pickled", "BadInput: weights: those of {root}/pickled.pt: file: "),
        ("other network", "BadInput: weights: those of store:a.pt: file: "),
        ("wrong digest", "IntegrityError: weights is 'store:a.pt': it has sha256 "),
        ("missing", "StoreError: file://{root} has no b.pt"),
        ("package", "BadInput: weights is 'package': no Python package ships those of mobilenetv1"),
    ],
)
def test_weights_that_are_none_are_one_clear_error(loaded: dict[str, Any], case: str, message: str) -> None:
    assert loaded[case].startswith(message.format(root=loaded["root"]))
