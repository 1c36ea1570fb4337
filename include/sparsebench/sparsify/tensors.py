"""Tensors from files, read as data: nothing in a file is ever run."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from sparsebench.errors import BadInput

EXPECTED = "expected safetensors, or a file by torch.save that holds tensors and plain values only"


def read(file: Path) -> Any:
    """What ``torch.save`` wrote: tensors (on the CPU) and plain values.

    Raises:
        BadInput: no such file, a damaged one, or one with any other object in it.
    """
    if not file.is_file():
        raise BadInput(f"file: {file} is not there; {EXPECTED}")
    # torch.load would also take TorchScript, and a format older than 2020, whose reader is not safe with any option.
    if not zipfile.is_zipfile(file) or _is_script(file):
        raise BadInput(f"file: {file} is damaged, or of another kind; {EXPECTED}")
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, KeyError, ValueError) as error:
        raise BadInput(f"file: {file} cannot be read: {_first_line(error)}; {EXPECTED}") from error


def _is_script(file: Path) -> bool:
    with zipfile.ZipFile(file) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def read_weights(file: Path) -> dict[str, Tensor]:
    """The tensors of a file, by name; of a checkpoint that holds more, those under ``state_dict``.

    Raises:
        BadInput: as ``read`` does.
    """
    if file.suffix == ".safetensors":
        try:
            return load_file(file)
        except (SafetensorError, OSError) as error:
            raise BadInput(f"file: {file} cannot be read: {_first_line(error)}; {EXPECTED}") from error
    found = read(file)
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise BadInput(f"file: {file} holds a {type(found).__name__}: expected tensors by name")
    return dict(found)


def load_weights(model: nn.Module, file: Path) -> None:
    """Give a network the weights of a file.

    Raises:
        BadInput: as ``read`` does; or weights of another network: names the first that is missing or does not fit.
    """
    found, wanted = read_weights(file), model.state_dict()
    for name, tensor in wanted.items():
        if name not in found or found[name].shape != tensor.shape:
            has = tuple(found[name].shape) if name in found else "missing"
            raise BadInput(f"file: {file}: {name} is {has}: expected {tuple(tensor.shape)}")
    extra = sorted(set(found) - set(wanted))
    if extra:
        raise BadInput(f"file: {file} has {extra[0]}, which the network has not: expected its {len(wanted)} tensors")
    model.load_state_dict(found)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
