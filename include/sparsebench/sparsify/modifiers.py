"""The modifiers of SparseML that a recipe may have: their fields, types and sizes. Each class has SparseML's name."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from sparsebench.contracts import Contract
from sparsebench.errors import BadInput

MAX_EPOCHS = 10_000

ALL_PRUNABLE = "__ALL_PRUNABLE__"

Epochs = Annotated[float, Field(ge=0, le=MAX_EPOCHS, allow_inf_nan=False)]
OpenEpochs = Annotated[float, Field(ge=-1, le=MAX_EPOCHS, allow_inf_nan=False)]
"""-1: from the beginning, or to the end."""
Rate = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Sparsity = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Parameter = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[ -~]+$")]
"""Its name, or ``re:`` and a regular expression."""
Parameters = Annotated[list[Parameter], Field(max_length=10_000)]
Groups = Annotated[list[Annotated[int, Field(ge=0, lt=1000)]], Field(max_length=1000)]
Size = Annotated[int, Field(ge=1, le=64)]


class Modifier(Contract):
    """Numbers are numbers, and not words that could be evaluated."""

    model_config = ConfigDict(strict=True)

    @property
    def name(self) -> str:
        return type(self).__name__

    def fields(self) -> dict[str, Any]:
        """Those that were given, as SparseML's class takes them."""
        return self.model_dump(exclude_unset=True)


class EpochRangeModifier(Modifier):
    start_epoch: OpenEpochs = 0
    end_epoch: Epochs


class SetLearningRateModifier(Modifier):
    learning_rate: Rate
    param_groups: Groups | None = None
    start_epoch: OpenEpochs = -1
    end_epoch: OpenEpochs = -1
    constant_logging: bool = False


class Schedule(Contract):
    """What a class of learning rates takes."""

    model_config = ConfigDict(strict=True)

    gamma: Rate | None = None
    milestones: Annotated[list[Epochs], Field(max_length=1000)] | None = None
    step_size: Annotated[Epochs, Field(gt=0)] | None = None
    lr_min: Annotated[float, Field(ge=0, le=1)] | None = None
    cycle_epochs: Annotated[Epochs, Field(gt=0)] | None = None


class LearningRateModifier(Modifier):
    start_epoch: OpenEpochs
    end_epoch: OpenEpochs = -1
    lr_class: Literal["StepLR", "MultiStepLR", "ExponentialLR", "CosineAnnealingWarmRestarts"]
    lr_kwargs: Schedule
    init_lr: Rate
    update_frequency: OpenEpochs = -1
    constant_logging: bool = False


class LearningRateFunctionModifier(Modifier):
    start_epoch: OpenEpochs
    end_epoch: Epochs
    lr_func: Literal["linear", "cosine", "cyclic_linear"]
    init_lr: Rate
    final_lr: Annotated[float, Field(ge=0, le=1)]
    cycle_epochs: Annotated[Epochs, Field(gt=0)] = 1
    param_groups: Groups | None = None
    update_frequency: OpenEpochs = -1


class MagnitudePruningModifier(Modifier):
    init_sparsity: Annotated[float, Field(ge=0, lt=1)] | Literal["__FROM_PARAM__"]
    final_sparsity: float | dict[float, Parameter | Parameters]
    start_epoch: OpenEpochs
    end_epoch: Epochs
    update_frequency: OpenEpochs
    params: Parameter | Parameters
    leave_enabled: bool = True
    mask_type: (
        Literal["unstructured", "block4", "tensorrt"]
        | Annotated[str, Field(pattern=r"^[1-9][0-9]?:[1-9][0-9]?$")]
        | Annotated[list[Size], Field(min_length=2, max_length=2)]
    ) = "unstructured"
    inter_func: Literal["linear", "cubic", "inverse_cubic"] = "cubic"


class GMPruningModifier(MagnitudePruningModifier):
    global_sparsity: Literal[False] = False
    phased: Literal[False] = False
    score_type: Literal["magnitude"] = "magnitude"


class ConstantPruningModifier(Modifier):
    params: Parameter | Parameters
    start_epoch: OpenEpochs = -1
    end_epoch: OpenEpochs = -1
    update_frequency: OpenEpochs = -1


MAGNITUDE = (GMPruningModifier, MagnitudePruningModifier)
PRUNING = (*MAGNITUDE, ConstantPruningModifier)
KNOWN: dict[str, type[Modifier]] = {
    kind.__name__: kind
    for kind in (
        EpochRangeModifier,
        SetLearningRateModifier,
        LearningRateModifier,
        LearningRateFunctionModifier,
        *PRUNING,
    )
}
"""Those whose state a checkpoint holds: their masks, and what follows from the number of steps alone."""


def modifier(name: str, fields: dict[Any, Any]) -> Modifier:
    """The modifier of this name.

    Raises:
        BadInput: there is none, or a field that it does not have, or whose value it cannot have.
    """
    if name not in KNOWN:
        raise BadInput(f"recipe: !{name[:80]} is not supported; known are {', '.join(KNOWN)}")
    kind = KNOWN[name]
    unknown = next((field for field in fields if field not in kind.model_fields), None)
    if unknown is not None:
        raise BadInput(
            f"recipe: {str(unknown)[:80]} is no field of !{name}; expected some of {', '.join(kind.model_fields)}"
        )
    try:
        return kind(**fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = str(first["loc"][0])
        if first["type"] == "missing" and len(first["loc"]) == 1:
            raise BadInput(f"recipe: !{name} has no {field}; expected it beside the others") from error
        where = f" ({first['loc'][1]})" if field == "lr_kwargs" and len(first["loc"]) > 1 else ""
        raise BadInput(
            f"recipe: {field}{where} of !{name} is {_shown(first['input'])}: {_lower(first['msg'])}"
        ) from error


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}… ({len(text)} characters)"


def _lower(message: str) -> str:
    return f"expected {message.removeprefix('Input should be ')}" if message.startswith("Input should be ") else message
