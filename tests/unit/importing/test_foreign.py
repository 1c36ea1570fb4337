"""A network that the catalog does not know is registered when an engine runs it, whatever it takes. About 30 s."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sparsebench.contracts import ImportRequest, Variant, sha256
from sparsebench.errors import BadInput
from sparsebench.importing.check import check
from sparsebench.instance.exits import REFUSED
from sparsebench.store import Store

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".envs" / "bench" / "bin" / "python"
RUN = (PYTHON, "-m", "sparsebench.importing", "run")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("networks")
    subprocess.run([PYTHON, ROOT / "tests/support/make_networks.py", made], check=True)
    return made


def carry_out(
    store: Store,
    source: Path,
    *axes: str,
    samples: Path | None = None,
    variant: Variant = "base",
    base: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    request = ImportRequest(
        job=source.stem,
        network="my-own",
        variant=variant,
        source=str(source),
        axes=axes,
        samples=str(samples) if samples else None,
        parent=str(base) if base else None,
    )
    return subprocess.run(
        [*RUN, "--store", store.uri, "--request", store.put_import_request(request)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "include")},
        capture_output=True,
        text=True,
    )


def test_its_inputs_may_be_anything_and_the_sizes_of_its_axes_are_written_into_it(folder: Path, tmp_path: Path) -> None:
    store = Store(tmp_path.as_uri())
    done = carry_out(store, folder / "tokens.onnx", "sequence=16")

    assert done.returncode == 0, done.stderr
    (card,) = store.model_cards()
    assert (card.network, card.variant, card.input_shape) == ("my-own", "base", (0, 0, 0))
    assert [layer.name for layer in card.layers] == ["head"]
    data = (folder / "tokens.onnx").read_bytes()
    assert card.weights.digest == sha256(data)
    assert store.artifact(card.artifact) != data


@pytest.mark.parametrize(
    ("token", "said"), [(3, None), (10**6, "ONNX Runtime cannot run it: .*indices element out of data bounds")]
)
def test_it_is_fed_the_samples_that_somebody_gives_and_no_larger_for_them(
    folder: Path, tmp_path: Path, token: int, said: str | None
) -> None:
    store, samples = Store((tmp_path / "store").as_uri()), tmp_path / "samples.npz"
    ones = np.ones((2, 16), np.int64)
    np.savez(samples, input_ids=token * ones, attention_mask=ones, token_type_ids=ones.astype(np.int32))
    done = carry_out(store, folder / "tokens.onnx", samples=samples)

    if said:
        assert done.returncode == REFUSED
        assert re.search(said, done.stderr)
        return
    assert done.returncode == 0, done.stderr
    (card,) = store.model_cards()
    assert len(store.artifact(card.artifact)) > card.gzip_bytes + len(samples.read_bytes())
    plain = Store((tmp_path / "plain").as_uri())
    assert carry_out(plain, folder / "tokens.onnx", "sequence=16").returncode == 0
    assert plain.model_cards()[0].gzip_bytes == card.gzip_bytes


def test_an_int8_file_is_one_and_every_engine_may_round_it_in_its_own_way(folder: Path, tmp_path: Path) -> None:
    store = Store(tmp_path.as_uri())
    done = carry_out(store, folder / "perceptron-int8.onnx", variant="int8")
    assert done.returncode == 0, done.stderr
    (card,) = store.model_cards()
    assert (card.variant, card.artifact_bytes) == ("int8", len(store.artifact(card.artifact)))
    assert json.loads(store.read("models/my-own/int8.json"))["format"] == 4

    plain = carry_out(store, folder / "perceptron.onnx", variant="int8")
    assert plain.returncode == REFUSED
    assert "nothing in it is quantised; expected operators such as ConvInteger" in plain.stderr
    assert store.model_cards() == [card]


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """Of what perceptron takes, 16 times."""
    file = tmp_path / "samples.npz"
    np.savez(file, features=np.random.default_rng(1).normal(size=(16, 64)).astype(np.float32))
    return file


@pytest.mark.parametrize(
    ("name", "variant", "relative", "same"),
    [("perceptron", "pruned", (0.0, 0.0), 1.0), ("perceptron-int8", "int8", (1e-4, 0.2), 0.8)],
)
def test_on_samples_its_outputs_are_held_to_its_bases(
    folder: Path, tmp_path: Path, samples: Path, name: str, variant: Variant, relative: tuple[float, float], same: float
) -> None:
    store, base = Store((tmp_path / "store").as_uri()), folder / "perceptron.onnx"
    done = carry_out(store, folder / f"{name}.onnx", samples=samples, variant=variant, base=base)

    assert done.returncode == 0, done.stderr
    (card,) = store.model_cards()
    assert card.beside_base is not None
    assert card.beside_base.samples == 16
    assert relative[0] <= card.beside_base.relative <= relative[1]
    assert card.beside_base.same_largest is not None
    assert same <= card.beside_base.same_largest <= 1
    assert card.parent is None
    assert [store.artifact(card.artifact)] == [store.read(path) for path in store.paths("artifacts")]


def test_outputs_of_other_shapes_cannot_be_held_to_a_bases(folder: Path, tmp_path: Path, samples: Path) -> None:
    store, base = Store((tmp_path / "store").as_uri()), folder / "perceptron.onnx"
    done = carry_out(store, folder / "wider.onnx", samples=samples, variant="pruned", base=base)

    assert done.returncode == 0, done.stderr
    assert "cannot be held to its base's: outputs of shapes [(1, 12)]; expected [(1, 10)], as its base's" in done.stdout
    (card,) = store.model_cards()
    assert card.beside_base is None


def test_one_engine_that_runs_it_is_enough_and_the_others_say_why_they_do_not(folder: Path, tmp_path: Path) -> None:
    store = Store(tmp_path.as_uri())
    done = carry_out(store, folder / "ir-99.onnx")  # which OpenVINO alone reads

    assert done.returncode == 0, done.stderr
    assert "onnxruntime refuses it" in done.stdout
    assert [card.network for card in store.model_cards()] == ["my-own"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("broken", "ONNX Runtime cannot run it: .*indices element out of data bounds"),
        ("cut", "not an ONNX file: it is cut short"),
        ("tokens", "say how large they are: axes sequence=SIZE"),
    ],
)
def test_what_no_engine_runs_is_one_clear_error_and_leaves_nothing(
    folder: Path, tmp_path: Path, name: str, said: str
) -> None:
    store = Store(tmp_path.as_uri())
    done = carry_out(store, folder / f"{name}.onnx")

    assert done.returncode == REFUSED
    (line,) = done.stderr.splitlines()
    assert re.search(said, line)
    assert len(line) < 700  # no traceback
    assert not list(store.paths("models"))
    assert not list(store.paths("artifacts"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"network": "resnet50"}, "network: 'resnet50' is one of the catalog's; choose another name for your own"),
        ({"network": "resnet50-digits"}, "network: 'resnet50-digits' is one of the catalog's"),
        ({"variant": "fake99"}, "variant: my-own has no 'fake99'; expected base, pruned, int8"),
        ({"variant": "pruned_int8"}, "variant: my-own has no 'pruned_int8'; expected base, pruned, int8"),
        ({"parent": "/base.onnx"}, "parent is '/base.onnx'; expected none of base, which is no INT8 network"),
        (
            {"variant": "int8", "parent": "/base.onnx"},
            "parent is '/base.onnx'; expected none of int8 without samples, as what noise changes says nothing",
        ),
        ({"axes": ("sequence=long",)}, "axes is 'sequence=long'; expected NAME=SIZE"),
        ({"axes": None}, "network: 'my-own' is not one of"),
        ({"samples": "ftp://here/x.npz"}, "samples is 'ftp://here/x.npz'"),
        (
            {"network": "resnet50", "axes": None, "samples": "/x.npz"},
            "samples is '/x.npz'; expected none of a network of the catalog",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(changes: dict[str, Any], said: str) -> None:
    fields: dict[str, Any] = {
        "job": "j",
        "network": "my-own",
        "variant": "base",
        "source": "/net.onnx",
        "axes": (),
    } | changes
    with pytest.raises(BadInput, match=said):
        check(ImportRequest(**fields))
