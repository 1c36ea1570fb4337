"""Recipes of training: text (SparseML's YAML) that is made here, may be edited by a person, and is checked here.

Dense training is a recipe too, one that prunes nothing. Pure Python: it needs neither torch nor SparseML.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
from textwrap import indent
from typing import Any, Self, TypeGuard

import yaml
from pydantic import Field

from sparsebench.contracts import Contract
from sparsebench.errors import BadInput
from sparsebench.sparsify.recipe import one_shot

Modifier = tuple[str, dict[str, Any]]
"""A modifier's class in SparseML, and its fields."""

MAGNITUDE = ("GMPruningModifier", "MagnitudePruningModifier")
PRUNING = (*MAGNITUDE, "ConstantPruningModifier")
KNOWN = (
    "EpochRangeModifier",
    "SetLearningRateModifier",
    "LearningRateModifier",
    "LearningRateFunctionModifier",
    *PRUNING,
)
"""Those whose state a checkpoint holds: their masks, and what follows from the number of steps alone."""

ALL_PRUNABLE = "__ALL_PRUNABLE__"


class Phases(Contract):
    """Gradual magnitude pruning in three phases, in epochs. The defaults are the study's, for its 50 epochs."""

    stabilise: float = Field(default=2, ge=0, description="before the first weight is pruned")
    prune: float = Field(default=38, gt=0, description="from init_sparsity to the targets, along a cubic curve")
    finetune: float = Field(default=10, gt=0, description="with the masks as they are")
    init_sparsity: float = Field(default=0.05, gt=0, lt=1)
    updates: int = Field(default=40, ge=1, description="times that the masks are renewed while pruning")
    learning_rate: float = Field(default=0.01, gt=0, le=1)
    gamma: float = Field(default=0.1, gt=0, le=1, description="the learning rate is multiplied by it at each decay")
    decay: tuple[float, ...] = Field(default=(0.8, 0.9), description="fractions of all epochs, each in (0, 1)")

    @property
    def epochs(self) -> float:
        return self.stabilise + self.prune + self.finetune

    @classmethod
    def within(cls, epochs: int, learning_rate: float | None = None) -> Self:
        """The study's phases, stretched or shrunk to so many epochs; None: with its learning rate too."""
        whole, part = cls(), epochs / cls().epochs
        return cls(
            stabilise=part * whole.stabilise,
            prune=part * whole.prune,
            finetune=part * whole.finetune,
            learning_rate=learning_rate or whole.learning_rate,
        )


def gradual(targets: Mapping[str, float], phases: Phases | None = None) -> str:
    """The recipe that prunes each layer to its target (a sparsity), gradually; the default phases are the study's.

    Raises:
        BadInput: no targets.
    """
    if not targets:
        raise BadInput("targets: none; expected the sparsity of one layer at least")
    phases = phases or Phases()
    start, end = float(phases.stabilise), float(phases.stabilise + phases.prune)
    ((pruner, fields),) = parse(one_shot(targets))
    spread = {
        "init_sparsity": phases.init_sparsity,
        "start_epoch": start,
        "end_epoch": end,
        "update_frequency": round(phases.prune / phases.updates, 6),
        "inter_func": "cubic",
    }
    rate = {
        "start_epoch": 0.0,
        "end_epoch": float(phases.epochs),
        "lr_class": "MultiStepLR",
        "lr_kwargs": {"gamma": phases.gamma, "milestones": [round(phases.epochs * part, 6) for part in phases.decay]},
        "init_lr": phases.learning_rate,
    }
    return dump([_epochs(phases.epochs), ("LearningRateModifier", rate), (pruner, fields | spread)])


def dense(epochs: int, learning_rate: float | None = None) -> str:
    """The recipe that trains a network and prunes nothing: the learning rate, 0.05 if None, falls along a cosine to 1 %
    of itself."""
    learning_rate = learning_rate or 0.05
    rate = {
        "start_epoch": 0.0,
        "end_epoch": float(epochs),
        "lr_func": "cosine",
        "init_lr": learning_rate,
        "final_lr": learning_rate / 100,
    }
    return dump([_epochs(epochs), ("LearningRateFunctionModifier", rate)])


def _epochs(end: float) -> Modifier:
    return "EpochRangeModifier", {"start_epoch": 0.0, "end_epoch": float(end)}


def dump(modifiers: Iterable[Modifier]) -> str:
    """The recipe with these modifiers."""
    text = "modifiers:\n"
    for name, fields in modifiers:
        text += f"  - !{name}\n" + indent(yaml.safe_dump(fields, sort_keys=False), " " * 6)
    return text


class _Loader(yaml.SafeLoader):
    # SparseML makes SafeLoader construct its own objects; they are wanted as plain data here.
    yaml_constructors = {
        tag: make for tag, make in yaml.SafeLoader.yaml_constructors.items() if not str(tag).startswith("!")
    }


def _modifier(loader: _Loader, name: str, node: yaml.Node) -> Modifier:
    if not isinstance(node, yaml.MappingNode):
        raise yaml.constructor.ConstructorError(None, None, f"!{name} has no fields", node.start_mark)
    return name, {str(field): value for field, value in loader.construct_mapping(node, deep=True).items()}


_Loader.add_multi_constructor("!", _modifier)


def parse(recipe: str) -> list[Modifier]:
    """The modifiers of a recipe, as they stand in it.

    Raises:
        BadInput: text that is not YAML, or has anything but a list of modifiers.
    """
    try:
        found = _Loader(recipe).get_single_data()
    except yaml.YAMLError as error:
        raise BadInput(f"recipe: not YAML: {' '.join(str(error).split())}") from error
    modifiers = found.get("modifiers") if isinstance(found, dict) and len(found) == 1 else None
    if not isinstance(modifiers, list) or not all(isinstance(modifier, tuple) for modifier in modifiers):
        raise BadInput("recipe: expected one key, modifiers, with a list of items such as !GMPruningModifier")
    return modifiers


def epochs(recipe: str) -> int:
    """How long a recipe trains: until its last modifier has ended, in whole epochs."""
    return math.ceil(max(_numbers(parse(recipe), "start_epoch", "end_epoch"), default=0))


def _numbers(modifiers: Iterable[Modifier], *fields: str) -> list[float]:
    return [values[field] for _, values in modifiers for field in fields if field in values]


def check(recipe: str, layers: Collection[str] | None = None) -> str:
    """The recipe as SparseML reads it without fail: block style, one field a line.

    Args:
        recipe: made here, or by a person.
        layers: the network's prunable layers; None: they are not known here, so names are not checked.

    Raises:
        BadInput: names the field and the value: an unknown modifier, a time that is no number, a target outside
            (0, 1), a layer that the network does not have or that has two targets, zeros that would not last.
    """
    modifiers = parse(recipe)
    for name, fields in modifiers:
        if name not in KNOWN:
            raise BadInput(f"recipe: !{name} is not supported; known are {', '.join(KNOWN)}")
        for field in ("start_epoch", "end_epoch", "update_frequency"):
            if field in fields and not _is_number(fields[field]):
                raise BadInput(f"recipe: {field} of !{name} is {fields[field]!r}: expected a number of epochs")
    length = epochs(recipe)
    if length < 1:
        raise BadInput("recipe: no modifier has an end_epoch: expected an !EpochRangeModifier with the epochs to train")
    for name, fields in modifiers:
        if name in PRUNING:
            _check_names(name, _targets(name, fields), layers)
        if name in MAGNITUDE:
            _check_lasts(name, fields, length)
    return dump(modifiers)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _targets(name: str, fields: dict[str, Any]) -> list[str]:
    """The names of parameters that a pruning modifier has, after its sparsities were checked."""
    params, final = fields.get("params"), fields.get("final_sparsity")
    named = [params] if isinstance(params, str) else params
    if name in MAGNITUDE:
        for sparsity in final if isinstance(final, dict) else [final]:
            if not _is_number(sparsity) or not 0 < sparsity < 1:
                raise BadInput(f"recipe: final_sparsity of !{name} is {sparsity!r}: expected a number within (0, 1)")
        if isinstance(final, dict):
            if params != []:
                raise BadInput(f"recipe: params of !{name} is {params!r}: expected [], as final_sparsity names layers")
            named = [one for group in final.values() for one in (group if isinstance(group, list) else [group])]
    if not named or not isinstance(named, list) or not all(isinstance(one, str) for one in named):
        raise BadInput(f"recipe: params of !{name} is {params!r}: expected a list of names such as conv1.weight")
    return named


def _check_names(modifier: str, named: list[str], layers: Collection[str] | None) -> None:
    twice = next((name for name in named if named.count(name) > 1), None)
    if twice:
        raise BadInput(f"recipe: !{modifier} names {twice!r} twice: expected one sparsity for each layer")
    if layers is None:
        return
    weights = [f"{layer}.weight" for layer in layers]
    for name in named:
        if name != ALL_PRUNABLE and not any(_matches(name, weight) for weight in weights):
            raise BadInput(
                f"recipe: !{modifier} names {name!r}, which is no weight of a prunable layer of this network; "
                f"expected names such as {weights[0]!r}, or 're:' and a regular expression"
            )


def _matches(name: str, weight: str) -> bool:
    try:
        return bool(re.match(name[3:], weight)) if name.startswith("re:") else name == weight
    except re.error as error:
        raise BadInput(f"recipe: {name!r} is not a regular expression: {error}") from error


def _check_lasts(modifier: str, fields: dict[str, Any], length: int) -> None:
    """SparseML takes its last step at end_epoch, which has to be trained; and then it has to hold the masks."""
    end = fields.get("end_epoch", -1)
    if not 0 <= end < length:
        raise BadInput(
            f"recipe: end_epoch of !{modifier} is {end}: expected less than {length}, where training ends; else the "
            "last weights are never pruned"
        )
    if fields.get("leave_enabled", True) is not True:
        raise BadInput(
            f"recipe: leave_enabled of !{modifier} is {fields['leave_enabled']!r}: expected true; else training after "
            "end_epoch makes weights of the zeros again"
        )
