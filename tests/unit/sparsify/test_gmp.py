"""Recipes of training, as text."""

from __future__ import annotations

import pytest

from sparsebench.errors import BadInput
from sparsebench.sparsify import gmp

LAYERS = ("conv1", "conv2", "fc")


def test_the_default_phases_are_the_studys():
    modifiers = dict(gmp.parse(gmp.gradual({"conv1": 0.5, "fc": 0.9})))

    pruning = modifiers["GMPruningModifier"]
    assert (pruning["start_epoch"], pruning["end_epoch"]) == (2, 40)
    assert (pruning["init_sparsity"], pruning["inter_func"], pruning["leave_enabled"]) == (0.05, "cubic", True)
    assert pruning["final_sparsity"] == {0.5: ["conv1.weight"], 0.9: ["fc.weight"]}
    rate = modifiers["LearningRateModifier"]
    assert rate["init_lr"] == 0.01
    assert rate["lr_kwargs"] == {"gamma": 0.1, "milestones": [40, 45]}
    assert gmp.epochs(gmp.gradual({"fc": 0.9})) == 50


def test_dense_training_prunes_nothing():
    recipe = gmp.check(gmp.dense(7))

    assert gmp.epochs(recipe) == 7
    assert not {name for name, _ in gmp.parse(recipe)} & set(gmp.PRUNING)


def test_the_phases_shrink_with_the_epochs_and_the_learning_rate_is_the_studys_or_as_wanted():
    assert gmp.Phases.within(25) == gmp.Phases(stabilise=1, prune=19, finetune=5)
    assert gmp.Phases.within(50, 0.005) == gmp.Phases(learning_rate=0.005)


def test_a_recipe_that_a_person_edited_is_read_in_any_style_of_yaml():
    edited = """
    modifiers:
      - !EpochRangeModifier {start_epoch: 0.0, end_epoch: 5.0}   # a bit longer. Else it forgets.
      - !GMPruningModifier
          {init_sparsity: 0.05, final_sparsity: 0.8, start_epoch: 1, end_epoch: 3, update_frequency: 0.5,
           params: ["re:conv.*"]}
    """
    recipe = gmp.check(edited, LAYERS)

    assert gmp.epochs(recipe) == 5
    assert "      params:\n      - re:conv.*\n" in recipe
    assert gmp.check(recipe, LAYERS) == recipe


def test_what_is_made_here_passes_the_check():
    recipe = gmp.gradual(dict.fromkeys(LAYERS, 0.8))

    assert gmp.check(recipe, LAYERS) == recipe


PRUNE = "modifiers:\n  - !EpochRangeModifier {start_epoch: 0, end_epoch: 9}\n  - !GMPruningModifier {%s}"
FIELDS = "init_sparsity: 0.05, start_epoch: 0, end_epoch: 2, update_frequency: 1"


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ("modifiers: [", "recipe: not YAML"),
        ("zoo:some/model", "expected one key, modifiers"),
        ("epochs: 3\nmodifiers: []", "expected one key, modifiers"),
        ("modifiers: [{start_epoch: 0}]", "expected one key, modifiers"),
        ("modifiers:\n  - !GMPruningModifier", "recipe: not YAML: !GMPruningModifier has no fields"),
        ("modifiers:\n  - !OBSPruningModifier {start_epoch: 0}", "!OBSPruningModifier is not supported; known are"),
        ("modifiers:\n  - !EpochRangeModifier {end_epoch: eval(3)}", "end_epoch of !EpochRangeModifier is 'eval(3)'"),
        ("modifiers:\n  - !SetLearningRateModifier {start_epoch: 0}", "no modifier has an end_epoch"),
        (PRUNE % f"{FIELDS}, params: [], final_sparsity: {{1.0: [fc.weight]}}", "final_sparsity of !GMPruningModifier"),
        (PRUNE % f"{FIELDS}, params: [fc.weight], final_sparsity: 0", "is 0: expected a number within (0, 1)"),
        (PRUNE % f"{FIELDS}, params: [], final_sparsity: {{0.5: [fc.bias]}}", "names 'fc.bias', which is no weight"),
        (PRUNE % f"{FIELDS}, params: ['re:conv[12'], final_sparsity: 0.5", "'re:conv[12' is not a regular expression"),
        (PRUNE % f"{FIELDS}, params: [conv9.weight], final_sparsity: 0.5", "expected names such as 'conv1.weight'"),
        (PRUNE % f"{FIELDS}, params: [], final_sparsity: 0.5", "params of !GMPruningModifier is []"),
        (PRUNE % f"{FIELDS}, params: [fc.weight], final_sparsity: {{0.5: [fc.weight]}}", "expected []"),
        (
            PRUNE % f"{FIELDS}, params: [], final_sparsity: {{0.5: [fc.weight], 0.6: [fc.weight]}}",
            "names 'fc.weight' twice",
        ),
        (
            PRUNE % f"{FIELDS}, params: [fc.weight], final_sparsity: 0.5, leave_enabled: false",
            "leave_enabled of !GMPruningModifier is False: expected true",
        ),
        (
            PRUNE % "start_epoch: 0, end_epoch: 9, params: [fc.weight], final_sparsity: 0.5",
            "end_epoch of !GMPruningModifier is 9: expected less than 9",
        ),
    ],
)
def test_what_cannot_be_carried_out_is_one_clear_error(recipe: str, said: str):
    with pytest.raises(BadInput) as error:
        gmp.check(recipe, LAYERS)

    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_without_the_layers_names_are_not_checked():
    assert gmp.check(PRUNE % f"{FIELDS}, params: [conv9.weight], final_sparsity: 0.5")


def test_there_is_something_to_prune():
    with pytest.raises(BadInput, match="targets: none"):
        gmp.gradual({})
