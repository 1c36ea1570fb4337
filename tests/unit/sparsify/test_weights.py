"""Trained weights come from the hub, here a server on this machine; without it a network is random. About 40 s."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import create_server
from threading import Thread

import pytest

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

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def trained(sparsify, python, environment, tmp_path_factory):
    """A store with a base that has trained weights."""
    file = tmp_path_factory.mktemp("weights") / "model.safetensors"
    subprocess.run([*python, "-c", MAKE_WEIGHTS, file], env=environment, check=True)
    tool = sparsify()
    cache = str(tmp_path_factory.mktemp("cache"))
    with hub(file.read_bytes()) as address:
        done = tool.run(NETWORK, "base", HF_ENDPOINT=address, HF_HOME=cache)
    assert done.returncode == 0, done.stderr
    tool.cache = cache
    return tool


def test_trained_weights_are_those_of_the_hub(trained, python, environment, tmp_path):
    card = trained.card("base")

    assert card.weights.kind == "pretrained"
    assert card.weights.origin == f"{HUB_ID}@{COMMIT}"
    file = tmp_path / "model.onnx"
    file.write_bytes(trained.store.artifact(card.artifact))
    assert subprocess.check_output([*python, "-c", BIAS, file], env=environment, text=True).strip() == "{0.25}"


def test_weights_in_the_cache_need_no_hub(trained):
    done = trained.run(NETWORK, "base", HF_HOME=trained.cache)

    assert f"weights: pretrained, {HUB_ID}@{COMMIT}" in done.stdout
    assert "base is there already" in done.stdout


def test_without_the_hub_trained_variants_stay_and_random_ones_are_not_put_beside_them(trained):
    before = trained.store.model_cards()

    done = trained.run(NETWORK, "base", "fake85")

    assert done.returncode == 2
    assert "random variants are not put beside them" in done.stderr
    assert trained.store.model_cards() == before
    progress = trained.store.progress("job-3")
    assert progress.finished
    assert progress.failed == 2


def test_a_hub_that_never_answers_costs_seconds(python, environment, tmp_path):
    find = """
from sparsebench import catalog
from sparsebench.sparsify.build import find_weights
import time
start = time.monotonic()
weights = find_weights(catalog.networks()["mobilenetv1"], seed=3).weights
print(weights.kind, weights.seed, round(time.monotonic() - start))
"""
    with create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        found = subprocess.check_output([*python, "-c", find], env=environment | {"HF_ENDPOINT": address}, text=True)

    kind, seed, seconds = found.split()
    assert (kind, seed) == ("random", "3")
    assert int(seconds) <= 10
