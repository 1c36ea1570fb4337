"""How far a training has come, as a file: tensors as safetensors, and the rest as JSON in its header."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sparsebench.contracts import Contract, Epoch
from sparsebench.errors import BadInput
from sparsebench.sparsify import tensors
from sparsebench.sparsify.torchfile import first_line

_HEADER = "training"


class Progress(Contract):
    """A training's state without its tensors."""

    key: str = Field(description="digest of the training's inputs")
    curve: tuple[Epoch, ...]
    groups: tuple[dict[str, Any], ...] = Field(description="the optimiser's, with the numbers of their parameters")
    scaler: dict[str, int | float]


def save(file: Path, progress: Progress, groups: dict[str, dict[str, Tensor]]) -> None:
    """Replace a checkpoint, atomically.

    Args:
        groups: tensors by the name of their group, without a slash, and their own.
    """
    # safetensors takes no tensors that share memory.
    packed = {
        f"{group}/{name}": tensor.detach().cpu().clone().contiguous()
        for group, named in groups.items()
        for name, tensor in named.items()
    }
    draft = file.with_name(f".{file.name}.tmp")
    save_file(packed, draft, {_HEADER: progress.to_json().decode()})
    os.replace(draft, file)


def load(file: Path) -> tuple[Progress, dict[str, dict[str, Tensor]]]:
    """What ``save`` was given, or what an earlier version kept with ``torch.save``.

    Raises:
        BadInput: it is damaged, or none.
    """
    try:
        return _load(file) if tensors.is_safetensors(file) else _load_earlier(tensors.read(file))
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(
            f"checkpoint is {file}: it is damaged: {first_line(error)}; expected one of this training, or none"
        ) from error


def _load(file: Path) -> tuple[Progress, dict[str, dict[str, Tensor]]]:
    groups: dict[str, dict[str, Tensor]] = {}
    with safe_open(file, framework="pt") as opened:
        progress = Progress.from_json(opened.metadata()[_HEADER].encode())
        for full in opened.keys():  # noqa: SIM118 - it is no dictionary
            group, _, name = full.partition("/")
            groups.setdefault(group, {})[name] = opened.get_tensor(full)
    return progress, groups


def _load_earlier(content: Any) -> tuple[Progress, dict[str, dict[str, Tensor]]]:
    optimizer = content["optimizer"]
    progress = Progress(
        key=content["key"],
        curve=tuple(Epoch.from_json(epoch.encode()) for epoch in content["curve"]),
        groups=tuple(optimizer["param_groups"]),
        scaler=content["scaler"],
    )
    masks = {f"{modifier}/{name}": mask for modifier, state in content["masks"].items() for name, mask in state.items()}
    return progress, {"model": content["model"], "masks": masks, "momenta": momenta(optimizer)}


def momenta(optimizer: Mapping[str, Any]) -> dict[str, Tensor]:
    """The momenta of the parameters by their number in the groups, from the state of an SGD; without momentum there are
    none."""
    buffers = {str(number): state["momentum_buffer"] for number, state in optimizer["state"].items()}
    return {number: buffer for number, buffer in buffers.items() if buffer is not None}
