"""A request is carried out: MobileNetV1, the smallest network to compute, with random weights. About 45 s."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.values import there
from tests.unit.sparsify.conftest import Sparsify

from sparsebench import catalog
from sparsebench.contracts import BuiltVariant
from sparsebench.sparsify.recipe import one_shot, variant_targets

NETWORK = "mobilenetv1"

ZEROS = """
import json, sys, onnx
from onnx import numpy_helper
weights = {t.name: numpy_helper.to_array(t) for t in onnx.load(sys.argv[1]).graph.initializer}
print(json.dumps({name: [int((w == 0).sum()), w.size] for name, w in weights.items() if w.ndim in (2, 4)}))
"""


@pytest.fixture(scope="module")
def tool(sparsify: Callable[[], Sparsify]) -> Sparsify:
    return sparsify()


@pytest.fixture(scope="module")
def first_run(tool: Sparsify) -> subprocess.CompletedProcess[str]:
    """The run that makes base and pruned."""
    done = tool.run(NETWORK, "base", "pruned")
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def built(tool: Sparsify, first_run: subprocess.CompletedProcess[str]) -> Sparsify:
    """A store with base and pruned."""
    return tool


def test_both_variants_are_registered_and_progress_is_told(
    built: Sparsify, first_run: subprocess.CompletedProcess[str]
) -> None:
    assert {(card.network, card.variant) for card in built.store.model_cards()} == {
        (NETWORK, "base"),
        (NETWORK, "pruned"),
    }
    progress = there(built.store.progress("job-1"))
    assert (progress.done, progress.total, progress.failed, progress.finished) == (2, 2, 0, True)
    assert "pruned: sparsity 0.780" in first_run.stdout
    assert "pruned: ONNX Runtime is off by" in first_run.stdout


def test_the_card_says_what_the_file_holds(
    built: Sparsify, python: str, environment: dict[str, str], tmp_path: Path
) -> None:
    for variant in ("base", "pruned"):
        card = built.card(variant)
        data = built.store.artifact(card.artifact)
        file = tmp_path / "model.onnx"
        file.write_bytes(data)
        counted = json.loads(subprocess.check_output([python, "-c", ZEROS, file], env=environment))
        assert {(f"{layer.name}.weight", layer.parameters) for layer in card.layers} == {
            (name, size) for name, (_, size) in counted.items()
        }
        for layer in card.layers:
            zeros, size = counted[f"{layer.name}.weight"]
            assert layer.sparsity == pytest.approx(zeros / size, abs=1e-12)
        assert card.sparsity == pytest.approx(
            sum(zeros for zeros, _ in counted.values()) / sum(size for _, size in counted.values())
        )
        assert card.artifact_bytes == len(data)


def test_the_compressed_size_is_that_of_gzip(built: Sparsify) -> None:
    card = built.card("base")

    packed = subprocess.check_output(["gzip", "-9"], input=built.store.artifact(card.artifact))

    assert card.gzip_bytes == len(packed)


def test_every_layer_reaches_the_target_of_the_recipe_in_the_card(built: Sparsify) -> None:
    card = built.card("pruned")
    targets = variant_targets(catalog.networks()[NETWORK], "pruned", [layer.name for layer in card.layers])

    assert card.recipe == one_shot(targets)
    for layer in card.layers:
        assert layer.sparsity == pytest.approx(targets[layer.name], abs=5e-4 + 1 / layer.parameters)
    assert card.sparsity == pytest.approx(0.78, abs=0.005)
    assert built.card("base").sparsity == 0


def test_random_weights_say_that_they_are_random_and_why(built: Sparsify) -> None:
    weights = built.card("base").weights

    assert (weights.kind, weights.seed) == ("random", 0)
    assert "timm/mobilenetv1" in weights.origin
    assert "ConnectError" in weights.origin


def test_a_second_run_builds_nothing_and_says_so(built: Sparsify) -> None:
    before = {card.variant: card for card in built.store.model_cards()}

    done = built.run(NETWORK, "base", "pruned")

    assert done.returncode == 0, done.stderr
    assert "base is there already" in done.stdout
    assert "pruned is there already" in done.stdout
    assert "building" not in done.stdout
    assert {card.variant: card for card in built.store.model_cards()} == before


TAMPERED = """
import copy
from sparsebench.sparsify import __main__, run

right = run.to_onnx

def to_onnx(model, shape):
    other = copy.deepcopy(model)
    other.get_submodule("conv_stem").weight.data[0] *= 1.1
    return right(other, shape)

run.to_onnx = to_onnx
__main__.app()
"""


def test_a_file_that_computes_otherwise_than_the_network_is_not_registered(sparsify: Callable[[], Sparsify]) -> None:
    tool = sparsify()
    command = tool.command(NETWORK, "base")
    module = command.index("-m")
    command[module : module + 2] = ["-c", TAMPERED]

    done = tool.carry_out(command)

    assert "base: the exported file computes otherwise than the network in torch: off by 0." in done.stderr
    assert tool.store.model_cards() == []


def test_the_same_seed_gives_the_same_file_in_a_fresh_store(built: Sparsify, sparsify: Callable[[], Sparsify]) -> None:
    fresh = sparsify()

    assert fresh.run(NETWORK, "pruned").returncode == 0

    assert fresh.card("pruned") == built.card("pruned")


@pytest.mark.parametrize(
    ("network", "variant", "named"),
    [
        ("vgg20", "base", "network: 'vgg20' is not one of efficientnet_b0"),
        ("mobilenetv1", "pruned_int8", "mobilenetv1 has no 'pruned_int8'; it has base, pruned, fake85, fake99"),
    ],
)
def test_what_cannot_be_built_is_refused_before_any_work(
    sparsify: Callable[[], Sparsify], network: str, variant: BuiltVariant, named: str
) -> None:
    tool = sparsify()

    done = tool.run(network, "base", variant)

    assert done.returncode == 2
    assert named in done.stderr
    assert tool.store.progress("job-1") is None
    assert tool.store.model_cards() == []
