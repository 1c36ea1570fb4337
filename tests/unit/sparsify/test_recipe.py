"""From the catalog's layer groups to the recipe that SparseML carries out."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from sparsebench.catalog import LayerGroup, Network
from sparsebench.errors import BadInput
from sparsebench.sparsify.recipe import one_shot, variant_targets

LAYERS = ("stem", "blocks.0.conv", "blocks.1.conv", "classifier")


def network(*groups: tuple[str, float]) -> Network:
    return Network(
        name="tiny",
        label="Tiny",
        timm="tiny",
        input_size=32,
        classes=10,
        variants=("base", "pruned", "fake85", "fake99"),
        pruned=tuple(LayerGroup(layers=layers, sparsity=sparsity) for layers, sparsity in groups),
        source="made up",
    )


def modifier(recipe: str) -> dict[str, Any]:
    """The fields of the recipe's only modifier."""
    (only,) = yaml.safe_load(recipe.replace("!GMPruningModifier", ""))["modifiers"]
    return only


def test_a_layer_belongs_to_the_first_group_that_matches_it() -> None:
    tiny = network(("^classifier$", 0.9), (r"blocks\.1", 0.8), (".", 0.5))

    assert variant_targets(tiny, "pruned", LAYERS) == {
        "stem": 0.5,
        "blocks.0.conv": 0.5,
        "blocks.1.conv": 0.8,
        "classifier": 0.9,
    }


def test_a_layer_of_no_group_stays_dense() -> None:
    assert variant_targets(network(("^classifier$", 0.9)), "pruned", LAYERS) == {"classifier": 0.9}


@pytest.mark.parametrize(
    "groups",
    [
        pytest.param([("^head$", 0.9), (".", 0.5)], id="no layer has such a name"),
        pytest.param([(".", 0.5), ("^head$", 0.9)], id="nor after the others"),
        pytest.param([(".", 0.5), ("^classifier$", 0.9)], id="an earlier group has them all"),
    ],
)
def test_a_group_without_a_layer_is_an_error_that_names_it(groups: list[tuple[str, float]]) -> None:
    idle = next(layers for layers, _ in groups if layers != ".")

    with pytest.raises(BadInput) as error:
        variant_targets(network(*groups), "pruned", LAYERS)

    assert "network tiny" in str(error.value)
    assert repr(idle) in str(error.value)


def test_fake_pruning_takes_every_layer_whatever_the_groups_say() -> None:
    tiny = network(("^classifier$", 0.9))

    assert variant_targets(tiny, "fake85", LAYERS) == dict.fromkeys(LAYERS, 0.85)
    assert variant_targets(tiny, "fake99", LAYERS) == dict.fromkeys(LAYERS, 0.99)


def test_base_has_an_empty_recipe() -> None:
    assert one_shot(variant_targets(network((".", 0.5)), "base", LAYERS)) == ""


def test_a_recipe_names_each_layers_weight_below_its_target() -> None:
    fields = modifier(one_shot({"a": 0.8, "b": 0.5, "c": 0.8}))

    assert fields["final_sparsity"] == {0.5: ["b.weight"], 0.8: ["a.weight", "c.weight"]}
    assert fields["params"] == []
    assert fields["mask_type"] == "unstructured"
