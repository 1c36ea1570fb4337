"""Recipes of training, as text."""

from __future__ import annotations

import pytest

from sparsebench.errors import BadInput
from sparsebench.sparsify import gmp
from sparsebench.sparsify.modifiers import PRUNING

LAYERS = ("conv1", "conv2", "fc")


def test_the_default_phases_are_the_studys() -> None:
    modifiers = {modifier.name: modifier.fields() for modifier in gmp.parse(gmp.gradual({"conv1": 0.5, "fc": 0.9}))}

    pruning = modifiers["GMPruningModifier"]
    assert (pruning["start_epoch"], pruning["end_epoch"]) == (2, 40)
    assert (pruning["init_sparsity"], pruning["inter_func"], pruning["leave_enabled"]) == (0.05, "cubic", True)
    assert pruning["final_sparsity"] == {0.5: ["conv1.weight"], 0.9: ["fc.weight"]}
    rate = modifiers["LearningRateModifier"]
    assert rate["init_lr"] == 0.01
    assert rate["lr_kwargs"] == {"gamma": 0.1, "milestones": [40, 45]}
    assert gmp.epochs(gmp.gradual({"fc": 0.9})) == 50


def test_dense_training_prunes_nothing() -> None:
    recipe = gmp.check(gmp.dense(7))

    assert gmp.epochs(recipe) == 7
    assert not [modifier for modifier in gmp.parse(recipe) if isinstance(modifier, PRUNING)]


def test_the_phases_shrink_with_the_epochs_and_the_learning_rate_is_the_studys_or_as_wanted() -> None:
    assert gmp.Phases.within(25) == gmp.Phases(stabilise=1, prune=19, finetune=5)
    assert gmp.Phases.within(50, 0.005) == gmp.Phases(learning_rate=0.005)


def test_a_recipe_that_a_person_edited_is_read_in_any_style_of_yaml() -> None:
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


def test_what_is_made_here_passes_the_check() -> None:
    recipe = gmp.gradual(dict.fromkeys(LAYERS, 0.8))

    assert gmp.check(recipe, LAYERS) == recipe


PRUNE = "modifiers:\n  - !EpochRangeModifier {start_epoch: 0, end_epoch: 9}\n  - !GMPruningModifier {%s}"
FIELDS = "init_sparsity: 0.05, start_epoch: 0, end_epoch: 2, update_frequency: 1"


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("modifiers: [", "recipe: not YAML"),
        ("zoo:some/model", "expected one key, modifiers"),
        ("epochs: 3\nmodifiers: []", "expected one key, modifiers"),
        ("modifiers: [{start_epoch: 0}]", "expected one key, modifiers"),
        ("modifiers:\n  - !GMPruningModifier", "recipe: not YAML: !GMPruningModifier has no fields"),
        ("modifiers:\n  - !OBSPruningModifier {start_epoch: 0}", "!OBSPruningModifier is not supported; known are"),
        ("modifiers:\n  - !EpochRangeModifier {end_epoch: eval(3)}", "end_epoch of !EpochRangeModifier is 'eval(3)'"),
        (
            "modifiers:\n  - !SetLearningRateModifier {start_epoch: 0, learning_rate: 0.1}",
            "no modifier has an end_epoch",
        ),
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
            PRUNE % "init_sparsity: 0, update_frequency: 1, start_epoch: 0, end_epoch: 9, "
            "params: [fc.weight], final_sparsity: 0.5",
            "end_epoch of !GMPruningModifier is 9: expected less than 9",
        ),
    ],
)
def test_what_cannot_be_carried_out_is_one_clear_error(recipe: str, message: str) -> None:
    with pytest.raises(BadInput) as error:
        gmp.check(recipe, LAYERS)

    assert message in str(error.value)
    assert "\n" not in str(error.value)


RATE = "modifiers:\n  - !EpochRangeModifier {end_epoch: 9}\n  - !LearningRateModifier {%s}"
RATES = "start_epoch: 0, init_lr: 0.1, lr_class: StepLR, lr_kwargs"
LAUGHS = "\n".join(f"    b{n + 1}: &b{n + 1} [{', '.join([f'*b{n}'] * 9)}]" for n in range(9))


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (
            PRUNE % f'{FIELDS}, params: ["x\\n---\\nmodifiers: []\\n---\\n"], final_sparsity: 0.5',
            "params of !GMPruningModifier is",
        ),
        (PRUNE % f"{FIELDS}, params: [fc.weight], final_sparsity: 0.5" + "\n---\nmodifiers: []", "a second document"),
        (
            PRUNE % "init_sparsity: eval(9**9**9**9), start_epoch: 0, end_epoch: 2, update_frequency: 1, "
            "params: [fc.weight], final_sparsity: 0.5",
            "init_sparsity of !GMPruningModifier is 'eval(9**9**9**9)'",
        ),
        (
            PRUNE % f"{FIELDS}, params: [fc.weight], final_sparsity: {10**400}",
            "final_sparsity of !GMPruningModifier is",
        ),
        (PRUNE % f"{FIELDS}, params: [fc.weight], final_sparsity: {'9' * 5000}", "(5002 characters): expected a valid"),
        (f"modifiers:\n  - !EpochRangeModifier {{end_epoch: {'9' * 39}}}", "expected less than or equal to 10000"),
        ("modifiers:\n  - !EpochRangeModifier {end_epoch: 1e999}", "is '1e999': expected a valid number"),
        ("modifiers:\n  - !EpochRangeModifier {end_epoch: .inf}", "end_epoch of !EpochRangeModifier is inf"),
        ("modifiers:\n  - !EpochRangeModifier {end_epoch: .nan}", "end_epoch of !EpochRangeModifier is nan"),
        ("modifiers:\n  - !EpochRangeModifier {end_epoch: true}", "end_epoch of !EpochRangeModifier is True"),
        ("modifiers:\n  - !EpochRangeModifier {end_epoch: 2001-01-01}", "is '2001-01-01': expected a valid number"),
        ("modifiers:\n  - !EpochRangeModifier {end_epoch: !!bool x}", "the tag 'tag:yaml.org,2002:bool'"),
        (
            "modifiers:\n  - !EpochRangeModifier {end_epoch: !!python/name:os.system }",
            "the tag 'tag:yaml.org,2002:python",
        ),
        ("modifiers:\n  - !EpochRangeModifier {end_epoch: 9, ? [a] : 1}", "a key that is no name"),
        ("modifiers:\n  - !EpochRangeModifier {end_epoch: 9, end_epoch: 2}", "'end_epoch' twice"),
        ("modifiers:\n  - !EpochRangeModifier {end_epoch: 9, params: x}", "params is no field of !EpochRangeModifier"),
        ("modifiers:\n  - !EpochRangeModifier {}", "!EpochRangeModifier has no end_epoch"),
        (RATE % f"{RATES}: {{gamma: eval((1).__class__)}}", "lr_kwargs (gamma) of !LearningRateModifier is 'eval("),
        (RATE % f"{RATES}: {{optimizer: x}}", "lr_kwargs (optimizer) of !LearningRateModifier is 'x': "),
        ("modifiers: " + "[" * 100_000, "lists in lists; expected 8 levels at most"),
        ("modifiers:\n  - !A\n" + "".join(f"{' ' * (2 * n + 4)}- \n" for n in range(3000)), "recipe: "),
        (f"modifiers:\n  - !A\n    b0: &b0 [x]\n{LAUGHS}", "an anchor or an alias"),
        ("a" * 600_000, "it has 600000 characters; expected 500000 at most"),
        (
            "modifiers:\n" + "  - !EpochRangeModifier {end_epoch: 9}\n" * 101,
            "it has 101 modifiers; expected 100 at most",
        ),
        ('modifiers: ["\\U99999999"]', "recipe: not YAML"),
        ("modifiers:\n  - !EpochRangeModifier {end_epoch: \x00}", "recipe: not YAML"),
        (PRUNE % f"{FIELDS}, params: ['re:(([a-z0-9.]+)+)!'], final_sparsity: 0.5", "is no simple regular expression"),
        (PRUNE % f"{FIELDS}, params: ['re:.*.*.*.*.*!'], final_sparsity: 0.5", "is no simple regular expression"),
        ("", "expected one key, modifiers"),
    ],
)
def test_what_would_run_hang_or_break_a_reader_is_one_clear_line(recipe: str, message: str) -> None:
    with pytest.raises(BadInput) as error:
        gmp.check(recipe, LAYERS)

    assert str(error.value).startswith("recipe: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_without_the_layers_names_are_not_checked() -> None:
    assert gmp.check(PRUNE % f"{FIELDS}, params: [conv9.weight], final_sparsity: 0.5")


def test_there_is_something_to_prune() -> None:
    with pytest.raises(BadInput, match="targets: none"):
        gmp.gradual({})
