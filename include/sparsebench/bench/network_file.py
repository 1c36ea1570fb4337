"""A network from anywhere, that a person wants measured on this machine: what its file holds, and what it takes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from sparsebench.bench.filetype import read_model
from sparsebench.bench.graphs import weight_sparsity
from sparsebench.bench.inputs import AXIS_OPTION, Inputs, inputs_of, with_axes
from sparsebench.bench.onnx_header import read_header
from sparsebench.errors import BadInput

DENSE = 0.01
"""A network with a smaller share of zeros was not pruned: some weights are zero by chance."""

LARGEST_AXIS = 10**7


class NetworkFile(NamedTuple):
    """data: the file, with the sizes of its axes written into it. label: what is said of it in place of a variant."""

    name: str
    data: bytes
    inputs: Inputs
    label: str


def read_network(file: Path, axes: Iterable[str]) -> NetworkFile:
    """The network in a file. axes: NAME=SIZE, as a person gives them.

    Raises:
        BadInput: it is no ONNX file, or takes something that cannot be given; says what it is, or what to do.
    """
    sizes = axis_sizes(axes, AXIS_OPTION)
    data = read_model(file, "file")
    data = with_axes(data, read_header(data, str(file)), sizes, str(file))
    inputs = inputs_of(read_header(data, str(file)), str(file))
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem).lstrip("._-")[:64] or "network"
    return NetworkFile(name, data, inputs, _label(weight_sparsity(data)))


def _label(sparsity: float | None) -> str:
    """The label says how sparse it is; a file without weights of its own is just a file."""
    if sparsity is None:
        return "file"
    return f"{sparsity:.0%} sparse" if sparsity >= DENSE else "dense"


def axis_sizes(axes: Iterable[str], field: str) -> dict[str, int]:
    """The sizes of axes, by name. axes: NAME=SIZE, as a person gives them. field: where, for errors.

    Raises:
        BadInput: names the text that is something else.
    """
    sizes: dict[str, int] = {}
    for text in axes:
        name, _, size = text.rpartition("=")
        if not name or not re.fullmatch(r"[0-9]{1,8}", size) or not 1 <= int(size) <= LARGEST_AXIS:
            raise BadInput(f"{field} is {text!r}; expected NAME=SIZE, a size from 1 to {LARGEST_AXIS}")
        sizes[name] = int(size)
    return sizes
