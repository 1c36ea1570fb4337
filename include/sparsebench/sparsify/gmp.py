"""Recipes of training: text (SparseML's YAML) that is made here, may be edited by a person, and is checked here.

Dense training is a recipe too, one that prunes nothing. Pure Python: it needs neither torch nor SparseML.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from textwrap import indent
from typing import Self

import yaml
from pydantic import Field

from sparsebench.contracts import Contract
from sparsebench.errors import BadInput
from sparsebench.sparsify import plainyaml
from sparsebench.sparsify.modifiers import (
    ALL_PRUNABLE,
    PRUNING,
    ConstantPruningModifier,
    MagnitudePruningModifier,
    Modifier,
    modifier,
)
from sparsebench.sparsify.recipe import one_shot

MAX_MODIFIERS = 100

MAX_QUANTIFIERS = 4
"""Of a regular expression, alternatives among them: its time rises with the power of it."""


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
    (pruner,) = parse(one_shot(targets))
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
    fields = pruner.fields() | spread
    return dump([_epochs(phases.epochs), modifier("LearningRateModifier", rate), modifier(pruner.name, fields)])


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
    return dump([_epochs(epochs), modifier("LearningRateFunctionModifier", rate)])


def _epochs(end: float) -> Modifier:
    return modifier("EpochRangeModifier", {"start_epoch": 0.0, "end_epoch": float(end)})


def dump(modifiers: Iterable[Modifier]) -> str:
    """The recipe with these modifiers, in one form: block style, one field a line, in the order of the class."""
    text = "modifiers:\n"
    for each in modifiers:
        text += f"  - !{each.name}\n" + indent(yaml.safe_dump(each.fields(), sort_keys=False), " " * 6)
    return text


def parse(recipe: str) -> list[Modifier]:
    """The modifiers of a recipe. Text goes no further than here: SparseML gets what was checked.

    Raises:
        BadInput: text that is not YAML, or has anything but a list of modifiers that are known, with fields of theirs.
    """
    content = plainyaml.read(recipe, "recipe")
    items = content.get("modifiers") if isinstance(content, dict) and len(content) == 1 else None
    if not isinstance(items, list) or not all(isinstance(item, plainyaml.Named) for item in items):
        raise BadInput("recipe: expected one key, modifiers, with a list of items such as !GMPruningModifier")
    if len(items) > MAX_MODIFIERS:
        raise BadInput(f"recipe: it has {len(items)} modifiers; expected {MAX_MODIFIERS} at most")
    return [modifier(item.name, item.fields) for item in items]


def epochs(recipe: str) -> int:
    """How long a recipe trains: until its last modifier has ended, in whole epochs."""
    return _length(parse(recipe))


def _length(modifiers: Iterable[Modifier]) -> int:
    times = (getattr(each, field, -1) for each in modifiers for field in ("start_epoch", "end_epoch"))
    return math.ceil(max(times, default=0))


def check(recipe: str, layers: Collection[str] | None = None) -> str:
    """The recipe as it will be carried out, in the form of ``dump``.

    Args:
        recipe: made here, or by a person.
        layers: the network's prunable layers; None: they are not known here, so names are not checked.

    Raises:
        BadInput: names the field and the value: what ``parse`` refuses, a target outside (0, 1), a layer that the
            network does not have or that has two targets, zeros that would not last.
    """
    modifiers = parse(recipe)
    length = _length(modifiers)
    if length < 1:
        raise BadInput("recipe: no modifier has an end_epoch: expected an !EpochRangeModifier with the epochs to train")
    for each in modifiers:
        if isinstance(each, PRUNING):
            _check_names(each, _targets(each), layers)
        if isinstance(each, MagnitudePruningModifier):
            _check_lasts(each, length)
    return dump(modifiers)


def _targets(pruner: MagnitudePruningModifier | ConstantPruningModifier) -> list[str]:
    """The names of parameters that a pruning modifier has, after its sparsities were checked."""
    params = pruner.params
    names = [params] if isinstance(params, str) else params
    if isinstance(pruner, MagnitudePruningModifier):
        final = pruner.final_sparsity
        for sparsity in final if isinstance(final, dict) else [final]:
            if not 0 < sparsity < 1:
                raise BadInput(
                    f"recipe: final_sparsity of !{pruner.name} is {sparsity:g}: expected a number within (0, 1)"
                )
        if isinstance(final, dict):
            if params != []:
                raise BadInput(
                    f"recipe: params of !{pruner.name} is {params!r:.80}: expected [], as final_sparsity names layers"
                )
            groups = ([group] if isinstance(group, str) else group for group in final.values())
            names = [name for group in groups for name in group]
    if not names:
        raise BadInput(
            f"recipe: params of !{pruner.name} is {params!r:.80}: expected a list of names such as conv1.weight"
        )
    return names


def _check_names(pruner: Modifier, names: list[str], layers: Collection[str] | None) -> None:
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise BadInput(f"recipe: !{pruner.name} names {name!r} twice: expected one sparsity for each layer")
    patterns = {name: _pattern(name) for name in names if name.startswith("re:")}
    if layers is None:
        return
    weights = dict.fromkeys(f"{layer}.weight" for layer in layers)
    for name in names:
        known = any(map(patterns[name].match, weights)) if name in patterns else name in weights
        if name != ALL_PRUNABLE and not known:
            raise BadInput(
                f"recipe: !{pruner.name} names {name!r}, which is no weight of a prunable layer of this network; "
                f"expected names such as {next(iter(weights))!r}, or 're:' and a regular expression"
            )


def _pattern(name: str) -> re.Pattern[str]:
    """A regular expression that takes no long time on any name: nothing in it is repeated as a group, and little at
    all."""
    text = name.removeprefix("re:")
    if len(re.findall(r"[*+?{|]", text)) > MAX_QUANTIFIERS or re.search(r"\)[*+?{]", text):
        raise BadInput(
            f"recipe: {name!r:.80} is no simple regular expression: expected {MAX_QUANTIFIERS} of * + ? {{ | at most, "
            "and none after a bracket"
        )
    try:
        return re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise BadInput(f"recipe: {name!r:.80} is not a regular expression: {error}") from error


def _check_lasts(pruner: MagnitudePruningModifier, length: int) -> None:
    """SparseML takes its last step at end_epoch, which has to be trained; and then it has to hold the masks."""
    if not pruner.end_epoch < length:
        raise BadInput(
            f"recipe: end_epoch of !{pruner.name} is {pruner.end_epoch:g}: expected less than {length}, where training "
            "ends; else the last weights are never pruned"
        )
    if not pruner.leave_enabled:
        raise BadInput(
            f"recipe: leave_enabled of !{pruner.name} is False: expected true; else training after end_epoch makes "
            "weights of the zeros again"
        )
