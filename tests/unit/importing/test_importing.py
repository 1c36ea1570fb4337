"""A ready ONNX file becomes a network's variant when every engine runs it; else nothing is registered. About 60 s."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import web

from sparsebench.contracts import ImportRequest, ModelCard, sha256
from sparsebench.errors import BadInput
from sparsebench.importing.check import check
from sparsebench.store import Store

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".envs" / "bench" / "bin" / "python"
SPARSEBENCH = str(ROOT / ".venv/bin/sparsebench")

MAKE = """
import sys
from pathlib import Path
import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

folder = Path(sys.argv[1])

def make(
    name, classes=1000, size=224, opset=13, ir=8, kind=TensorProto.FLOAT, pooled="conv", second=False, metadata=()
):
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
    helper.set_model_props(model, dict(metadata))
    save(model, folder / f"{name}.onnx")

make("good")
make("fed", metadata={"sparsebench.samples": "UEsFBg=="})
make("shaped", metadata={"sparsebench.shapes": "[1]"})
make("few-classes", classes=10)
make("small", size=32)
make("new-opset", opset=20)
make("new-ir", ir=10)
make("integers", kind=TensorProto.INT64)
make("loose", pooled="nowhere")
make("two", second=True)

def make_int8(name, encoding, best=7):
    # It puts every image into one class, and has weights that INT8 holds exactly.
    draw = np.random.default_rng(0)
    kernel = draw.integers(-127, 128, (16, 3, 8, 8)).astype(np.int8)
    kernel[:8] = 0
    linear = draw.integers(-127, 128, (16, 1000)).astype(np.int8)
    bias = np.zeros(1000, "f")
    bias[best] = 100
    tensors = {"bias": bias, "xs": np.float32(0.05), "xz": np.uint8(128), "s": np.float32(1 / 1024), "z": np.int8(0),
               "linear": linear / np.float32(1024), "kernel": kernel / np.float32(1024)}
    node = lambda op, inputs, out, **more: helper.make_node(op, inputs.split(), [out], **more)
    stem = [node("Conv", "input kernel", "conv", name="/stem/Conv", strides=[8, 8])]
    head = [node("MatMul", "flat linear", "product", name="/head/MatMul")]
    if encoding != "fp32":
        tensors["kernel"] = kernel
        stem = [node("QuantizeLinear", "input xs xz", "q")]
    if encoding == "QDQ":
        tensors["linear"] = linear
        stem += [node("DequantizeLinear", "q xs xz", "x"), node("DequantizeLinear", "kernel s z", "w"),
                 node("Conv", "x w", "conv", name="/stem/Conv", strides=[8, 8])]
        head = [node("DequantizeLinear", "linear s z", "v"), node("MatMul", "flat v", "product", name="/head/MatMul")]
    if encoding == "integer":
        tensors["scale"] = np.float32(0.05 / 1024)
        stem += [node("ConvInteger", "q kernel xz z", "sums", name="/stem/Conv", strides=[8, 8]),
                 node("Cast", "sums", "cast", to=TensorProto.FLOAT), node("Mul", "cast scale", "conv")]
    nodes = [*stem, node("GlobalAveragePool", "conv", "pooled"), node("Flatten", "pooled", "flat"), *head,
             node("Add", "product bias", "logits")]
    used = {i for n in nodes for i in n.input}
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in (("input", ["batch", 3, 224, 224]), ("logits", ["batch", 1000]))]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in tensors.items() if key in used])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), folder / f"{name}.onnx")

make_int8("parent", "fp32")
make_int8("qdq", "QDQ")
make_int8("integer", "integer")
make_int8("other-integer", "integer", best=8)
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
        env=os.environ
        | {"PYTHONPATH": str(ROOT / "include"), "TMPDIR": str(scratch)}
        | {"SPARSEBENCH_DOWNLOAD_PRIVATE_HOSTS": "127.0.0.1"},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def imported(server: str, folder: Path, store: Store, tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    """By the command line of the control environment, from a URL with its digest."""
    digest = sha256((folder / "good.onnx").read_bytes())
    command = [SPARSEBENCH, "import", "mobilenetv1", "pruned", f"{server}/good.onnx?key=secret"]
    done = subprocess.run(
        [*command, "--store", store.uri, "--sha256", digest],
        env=os.environ | {"SPARSEBENCH_DOWNLOAD_PRIVATE_HOSTS": "127.0.0.1"},
        capture_output=True,
        text=True,
        cwd=folder,
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
    ("source", "message"),
    [
        ("text.onnx", "not an ONNX file"),
        ("few-classes.onnx", "its output is [batch, 10]; expected [batch, 1000], the classes of mobilenetv1"),
        ("small.onnx", "its images are [3, 32, 32]; expected [3, 224, 224]"),
        ("new-opset.onnx", "opset 20, IR version 8; expected at most opset 19 and IR version 9"),
        ("new-ir.onnx", "opset 13, IR version 10; expected at most"),
        ("integers.onnx", "not valid ONNX"),
        ("loose.onnx", "not valid ONNX"),
        ("fed.onnx", "it brings samples of its own; expected none, as base and pruned are fed the same"),
        ("shaped.onnx", "its metadata 'sparsebench.shapes' is '[1]'; expected a shape for each input, as JSON"),
        ("two.onnx", "its outputs are ['logits', 'flat']; expected one"),
        ("half/good.onnx", "it did not come"),
        ("nowhere.onnx", "the server answered 404"),
        (f"good.onnx#sha256={'0' * 64}", f"expected {'0' * 64}"),
    ],
)
def test_what_is_no_such_network_is_one_clear_error_and_leaves_nothing(
    imported: ModelCard, server: str, store: Store, tmp_path: Path, source: str, message: str
) -> None:
    before = sorted(store.paths("models")) + sorted(store.paths("artifacts"))

    done = call("model", "mobilenetv1", "base", f"{server}/{source}", "--store", store.uri, scratch=tmp_path)

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: source is '{server}/{source.partition('#')[0]}'")
    assert message in line
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


def test_an_int8_network_is_held_to_its_parent_and_every_engine_gets_the_file_it_is_fast_with(
    folder: Path, tmp_path: Path
) -> None:
    store = Store((tmp_path / "store").as_uri())
    command = [SPARSEBENCH, "import", "resnet50", "pruned_int8", "qdq.onnx", "--store", store.uri]
    digest = {name: sha256((folder / f"{name}.onnx").read_bytes()) for name in ("qdq", "parent", "integer")}

    done = subprocess.run(
        [*command, "--parent", f"{folder}/parent.onnx#sha256={digest['parent']}", "--integer", "integer.onnx"],
        capture_output=True,
        text=True,
        cwd=folder,
    )

    assert done.returncode == 0, done.stderr
    (card,) = store.model_cards()
    assert (card.artifact, card.parent) == (digest["qdq"], digest["parent"])
    assert card.encodings == dict.fromkeys(("deepsparse", "deepsparse.benchmark"), digest["integer"])
    assert {name for name in digest if store.exists(store.artifact_path(digest[name]))} == set(digest)
    assert [(layer.name, layer.parameters) for layer in card.layers] == [("stem", 16 * 3 * 64), ("head", 16 * 1000)]
    assert card.layers[0].sparsity == pytest.approx(0.5, abs=0.01)
    assert card.parameters == 16 * 3 * 64 + 16 * 1000 + 1000


@pytest.mark.parametrize(
    ("variant", "files", "message"),
    [
        ("pruned", ["qdq.onnx"], "qdq.onnx': its numbers are in QDQ; expected fp32"),
        ("pruned", ["integer.onnx"], "integer.onnx': its numbers are in integer operators; expected fp32"),
        ("pruned_int8", ["qdq.onnx", "qdq.onnx", "integer.onnx"], "parent is .*its numbers are in QDQ; expected fp32"),
        ("pruned_int8", ["qdq.onnx", "parent.onnx", "qdq.onnx"], "integer is .*QDQ; expected integer operators"),
        (
            "pruned_int8",
            ["qdq.onnx", "parent.onnx", "other-integer.onnx"],
            "integer is .*deepsparse computes something else than its fp32 parent: the top class of 0 of 8 images",
        ),
    ],
)
def test_what_is_not_what_an_engine_is_to_get_is_refused(
    folder: Path, tmp_path: Path, variant: str, files: list[str], message: str
) -> None:
    source, *others = (str(folder / file) for file in files)
    options = [f"--{field}={file}" for field, file in zip(("parent", "integer"), others, strict=False)]
    store = Store((tmp_path / "store").as_uri())

    done = call("model", "resnet50", variant, source, "--store", store.uri, *options, scratch=tmp_path)

    assert done.returncode == 2
    assert re.search(message, done.stderr), done.stderr
    assert not list(store.paths("models"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "vgg20"}, "network: 'vgg20' is not one of"),
        ({"variant": "pruned_int8"}, "mobilenetv1 has no 'pruned_int8'; expected base, pruned"),
        ({"network": "resnet50", "variant": "pruned_int8"}, "parent is missing; expected, of pruned_int8, the fp32"),
        ({"network": "resnet50", "variant": "pruned_int8", "parent": "/p"}, "integer is missing; expected"),
        ({"network": "resnet50", "variant": "pruned_int8", "parent": "p", "integer": "/i"}, "parent is 'p'; expected"),
        ({"parent": "/p"}, "parent is '/p'; expected none of base, which is no INT8 network"),
        ({"source": "net.onnx"}, "source is 'net.onnx'; expected an absolute path"),
    ],
)
def test_what_cannot_be_imported_is_refused_before_any_work(changes: dict[str, Any], message: str) -> None:
    fields: dict[str, Any] = {"job": "j", "network": "mobilenetv1", "variant": "base", "source": "/net.onnx"} | changes

    with pytest.raises(BadInput, match=message):
        check(ImportRequest(**fields))
