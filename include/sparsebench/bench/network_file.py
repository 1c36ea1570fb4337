"""A network from anywhere, that a person wants measured on this machine: what its file holds, and what it takes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from sparsebench.bench.child import Child, ChildFailed
from sparsebench.bench.filetype import read_model
from sparsebench.bench.graphs import has_branches, weight_sparsity
from sparsebench.bench.inputs import AXIS_OPTION, Inputs, inputs_of, with_axes, with_shapes
from sparsebench.bench.onnx_header import read_header
from sparsebench.bench.reference import ReferenceTask, Referred
from sparsebench.errors import BadInput

DENSE = 0.01
"""A network with a smaller share of zeros was not pruned: some weights are zero by chance."""

LARGEST_AXIS = 10**7

TRY_S = 300
"""For ONNX Runtime to load a network and run it on what it is fed in comparisons."""


class NetworkFile(NamedTuple):
    """data: the file, with the sizes of its axes in it. label: what is said of it in place of a variant.
    axes_stay_free: these sizes do not fit all of its branches, so that they are only fed.
    """

    name: str
    data: bytes
    inputs: Inputs
    label: str
    axes_stay_free: bool


def read_network(file: Path, axes: Iterable[str]) -> NetworkFile:
    """The network in a file. axes: NAME=SIZE, as a person gives them.

    Raises:
        BadInput: it is no ONNX file, or takes something that cannot be given; says what it is, or what to do.
    """
    sizes = _sizes(axes)
    original = read_model(file, "file")
    data = with_axes(original, read_header(original, str(file)), sizes, str(file))
    inputs = inputs_of(read_header(data, str(file)), str(file))
    axes_stay_free = data != original and has_branches(data) and not _runs(data, inputs)
    if axes_stay_free:
        data = with_shapes(original, inputs)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem).lstrip("._-")[:64] or "network"
    return NetworkFile(name, data, inputs, _label(weight_sparsity(data)), axes_stay_free)


def _runs(data: bytes, inputs: Inputs) -> bool:
    """Whether ONNX Runtime takes a file and runs it."""
    with TemporaryDirectory(prefix="sparsebench-") as folder:
        model = Path(folder) / "model.onnx"
        model.write_bytes(data)
        task = ReferenceTask(
            model=model, rounding=False, inputs=inputs, digits=False, threads=1, output=model.with_suffix(".npz")
        )
        try:
            with Child("sparsebench.bench.reference", task, model.with_suffix(".log"), TRY_S) as child:
                return Referred.model_validate_json(child.reply()).refusal is None
        except ChildFailed:
            return False


def _label(sparsity: float | None) -> str:
    """By how sparse it is; a file without weights of its own is just a file."""
    if sparsity is None:
        return "file"
    return f"{sparsity:.0%} sparse" if sparsity >= DENSE else "dense"


def _sizes(axes: Iterable[str]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for text in axes:
        name, _, size = text.rpartition("=")
        if not name or not re.fullmatch(r"[0-9]{1,8}", size) or not 1 <= int(size) <= LARGEST_AXIS:
            raise BadInput(f"{AXIS_OPTION} is {text!r}; expected NAME=SIZE, a size from 1 to {LARGEST_AXIS}")
        sizes[name] = int(size)
    return sizes
