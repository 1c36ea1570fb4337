"""Tensors from files, read as data: nothing in a file is ever run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from sparsebench.errors import BadInput
from sparsebench.sparsify import torchfile
from sparsebench.sparsify.pickled import Unreadable

EXPECTED = "expected safetensors, or a file by torch.save that holds tensors and plain values only"


def read(file: Path) -> Any:
    """What ``torch.save`` wrote: tensors (on the CPU) and plain values.

    Raises:
        BadInput: no such file, a damaged one, or one with any other object in it.
    """
    if not file.is_file():
        raise BadInput(f"file: {file} is not there; {EXPECTED}")
    try:
        return torchfile.load(file)
    except (Unreadable, OSError) as error:
        raise BadInput(f"file: {file} cannot be read: {torchfile.first_line(error)}; {EXPECTED}") from error


def is_safetensors(file: Path) -> bool:
    """Whether a file begins as one: with the length of a JSON object, and that object."""
    with file.open("rb") as opened:
        return opened.read(9)[8:] == b"{"


def read_weights(file: Path) -> dict[str, Tensor]:
    """The tensors of a file, by name; of a checkpoint that holds more, those under ``state_dict``.

    Raises:
        BadInput: as ``read`` does.
    """
    if file.is_file() and is_safetensors(file):
        try:
            return load_file(file)
        except (SafetensorError, OSError) as error:
            raise BadInput(f"file: {file} cannot be read: {torchfile.first_line(error)}; {EXPECTED}") from error
    content = read(file)
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise BadInput(f"file: {file} holds a {type(content).__name__}: expected tensors by name")
    return {str(name): tensor for name, tensor in content.items()}


def load_weights(model: nn.Module, file: Path) -> None:
    """Give a network the weights of a file.

    Raises:
        BadInput: as ``read`` does; or weights of another network: names the first that is missing or does not fit.
    """
    weights, wanted = read_weights(file), model.state_dict()
    for name, tensor in wanted.items():
        if name not in weights or weights[name].shape != tensor.shape:
            has = tuple(weights[name].shape) if name in weights else "missing"
            raise BadInput(f"file: {file}: {name} is {has}: expected {tuple(tensor.shape)}")
    extra = sorted(set(weights) - set(wanted))
    if extra:
        raise BadInput(f"file: {file} has {extra[0]}, which the network has not: expected its {len(wanted)} tensors")
    model.load_state_dict(weights)
