"""A ready ONNX file becomes a network's variant when every engine runs it; else nothing is registered. About 40 s."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit import web

from sparsebench.contracts import ImportRequest, ModelCard, sha256
from sparsebench.errors import BadInput
from sparsebench.importing.check import check
from sparsebench.store import Store

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".envs" / "bench" / "bin" / "python"

MAKE = """
import sys
from pathlib import Path
import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

folder = Path(sys.argv[1])

def make(name, classes=1000, size=224, opset=13, ir=8, kind=TensorProto.FLOAT, pooled="conv", second=False):
    draw = np.random.default_rng(0)
    kernel = draw.standard_normal((16, 3, 8, 8)).astype("f")
    kernel[:8] = 0
    linear = draw.standard_normal((16, classes)).astype("f")
    nodes = [
        helper.make_node("Conv", ["input", "kernel"], ["conv"], name="/stem/Conv", strides=[8, 8]),
        helper.make_node("GlobalAveragePool", [pooled], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "linear"], ["logits"], name="/head/MatMul"),
    ]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", classes])]
    if second:
        outputs.append(helper.make_tensor_value_info("flat", TensorProto.FLOAT, ["batch", 16]))
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("input", kind, ["batch", 3, size, size])], outputs,
        [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(linear, "linear")],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir, producer_name="made", producer_version="7"
    )
    save(model, folder / f"{name}.onnx")

make("good")
make("few-classes", classes=10)
make("small", size=32)
make("new-opset", opset=20)
make("new-ir", ir=10)
make("integers", kind=TensorProto.INT64)
make("loose", pooled="nowhere")
make("two", second=True)
(folder / "text.onnx").write_bytes(b"<html>not found</html>")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("files")
    subprocess.run([PYTHON, "-c", MAKE, made], check=True)
    return made


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    with web.files({file.name: file.read_bytes() for file in folder.iterdir()}) as address:
        yield address


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store").as_uri())


def call(*arguments: str | Path, scratch: Path) -> subprocess.CompletedProcess[str]:
    """The command in the environment that has the engines, with a folder of its own for what it leaves behind."""
    return subprocess.run(
        [PYTHON, "-m", "sparsebench.importing", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT / "include"), "TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def imported(server: str, folder: Path, store: Store, tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    """By the command line of the control environment, from a URL with its digest."""
    digest = sha256((folder / "good.onnx").read_bytes())
    command = [ROOT / ".venv/bin/sparsebench", "import", "mobilenetv1", "pruned", f"{server}/good.onnx?key=secret"]
    done = subprocess.run(
        [*command, "--store", store.uri, "--sha256", digest], capture_output=True, text=True, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    for engine in ("onnxruntime", "openvino", "deepsparse"):
        assert f"running it in {engine}" in done.stdout or f"not tried in {engine}" in done.stdout
    (card,) = store.model_cards()
    return card


def test_the_card_says_what_the_file_holds_and_where_it_is_from(
    imported: ModelCard, server: str, folder: Path, store: Store
) -> None:
    data = (folder / "good.onnx").read_bytes()

    assert (imported.network, imported.variant, imported.input_shape) == ("mobilenetv1", "pruned", (3, 224, 224))
    assert store.artifact(imported.artifact) == data
    assert imported.weights.model_dump() == {
        "kind": "pretrained",
        "origin": f"{server}/good.onnx",
        "digest": sha256(data),
        "seed": None,
    }
    kernel, linear = 16 * 3 * 64, 16 * 1000
    assert {layer.name: (layer.parameters, layer.sparsity) for layer in imported.layers} == {
        "stem": (kernel, 0.5),
        "head": (linear, 0),
    }
    assert imported.sparsity == pytest.approx(kernel / 2 / (kernel + linear))
    assert imported.parameters == kernel + linear
    assert imported.gzip_bytes == len(subprocess.check_output(["gzip", "-9"], input=data))
    assert imported.versions == {"made": "7"}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("text.onnx", "not an ONNX file"),
        ("few-classes.onnx", "its output is [batch, 10]; expected [batch, 1000], the classes of mobilenetv1"),
        ("small.onnx", "its images are [3, 32, 32]; expected [3, 224, 224]"),
        ("new-opset.onnx", "opset 20, IR version 8; expected at most opset 19 and IR version 9"),
        ("new-ir.onnx", "opset 13, IR version 10; expected at most"),
        ("integers.onnx", "not valid ONNX"),
        ("loose.onnx", "not valid ONNX"),
        ("two.onnx", "its outputs are ['logits', 'flat']; expected one"),
        ("half/good.onnx", "it did not come"),
        ("nowhere.onnx", "the server answered 404"),
        (f"good.onnx#sha256={'0' * 64}", f"expected {'0' * 64}"),
    ],
)
def test_what_is_no_such_network_is_one_clear_error_and_leaves_nothing(
    imported: ModelCard, server: str, store: Store, tmp_path: Path, source: str, said: str
) -> None:
    before = sorted(store.paths("models")) + sorted(store.paths("artifacts"))

    done = call("model", "mobilenetv1", "base", f"{server}/{source}", "--store", store.uri, scratch=tmp_path)

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: source is '{server}/{source.partition('#')[0]}'")
    assert said in line
    assert sorted(store.paths("models")) + sorted(store.paths("artifacts")) == before
    assert {path.name for path in tmp_path.iterdir()} <= {".ses"}  # which ONNX Runtime writes when it is loaded


def test_a_request_in_the_store_replaces_the_card_and_tells_its_progress(
    imported: ModelCard, folder: Path, store: Store, tmp_path: Path
) -> None:
    store.write("ready/net.onnx", (folder / "good.onnx").read_bytes())
    request = ImportRequest(job="job-1", network="mobilenetv1", variant="pruned", source="store:ready/net.onnx")
    path = store.put_import_request(request)

    done = call("run", "--store", store.uri, "--request", path, scratch=tmp_path)

    assert done.returncode == 0, done.stderr
    (card,) = store.model_cards()
    assert (card.artifact, card.weights.origin) == (imported.artifact, "store:ready/net.onnx")
    progress = store.progress("job-1")
    assert progress
    assert (progress.done, progress.total, progress.finished) == (1, 1, True)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"network": "vgg20"}, "network: 'vgg20' is not one of"),
        ({"network": "resnet50", "variant": "pruned_int8"}, "an INT8 network is held to the fp32 one"),
        ({"source": "net.onnx"}, "source is 'net.onnx'; expected an absolute path"),
    ],
)
def test_what_cannot_be_imported_is_refused_before_any_work(changes: dict[str, str], said: str) -> None:
    fields = {"job": "j", "network": "mobilenetv1", "variant": "base", "source": "/net.onnx"} | changes

    with pytest.raises(BadInput, match=said):
        check(ImportRequest(**fields))
