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
from sparsebench.bench.inputs import AXIS_OPTION, Inputs, batch_is_free, inputs_of, with_axes, with_shapes
from sparsebench.bench.onnx_header import read_header
from sparsebench.bench.reference import ReferenceTask, Referred
from sparsebench.bench.samples import npz_file, read_samples, sizes_of, with_samples
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


def read_network(file: Path, axes: Iterable[str], samples: Path | None = None) -> NetworkFile:
    """The network in a file. axes: NAME=SIZE, as a person gives them. samples: an .npz file of what it is fed.

    Raises:
        BadInput: it is no ONNX file, or takes something that cannot be given; says what it is, or what to do.
    """
    content = read_model(file, "file")
    given = Samples(npz_file(samples, str(samples)), str(samples)) if samples else None
    data, inputs, axes_stay_free = with_sizes(content, axes, AXIS_OPTION, str(file), given)
    return NetworkFile(network_name(file), data, inputs, _label(weight_sparsity(data)), axes_stay_free)


def network_name(file: Path) -> str:
    """What the network in a file is called where nobody says: the file's name, in characters that a name may have."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem).lstrip("._-")[:64] or "network"


class Samples(NamedTuple):
    """An .npz file of what a network is fed. origin: what an error calls it."""

    data: bytes
    origin: str


def with_sizes(
    original: bytes, axes: Iterable[str], field: str, origin: str, samples: Samples | None = None
) -> tuple[bytes, Inputs, bool]:
    """A file with the sizes of its free axes and its samples, what it takes, and whether its axes stay free all the
    same: where a size does not fit a branch, and ONNX Runtime refuses the file, it is only fed so.

    Args:
        axes: NAME=SIZE, as a person gives them. field: where, for errors. samples: their sizes are those of free axes.

    Raises:
        BadInput: an axis is no such, or has no size, or the file takes something that cannot be given; or a sample is
            of another kind or shape than the input that it is for.
    """
    header, sizes = read_header(original, origin), axis_sizes(axes, field)
    if samples:
        arrays = read_samples(samples.data, samples.origin)
        for axis, size in sizes_of(arrays, header, batch_is_free(header), samples.origin).items():
            if sizes.setdefault(axis, size) != size:
                raise BadInput(f"{field} {axis}={sizes[axis]}: {samples.origin} has {size} there")

    def fed(data: bytes) -> bytes:
        return with_samples(data, samples.data) if samples else data

    sized = with_axes(original, header, sizes, origin, field)
    data = fed(sized)
    inputs = inputs_of(read_header(data, origin), origin, field)
    if sized != original and has_branches(data) and not _runs(data, inputs):
        return fed(with_shapes(original, inputs)), inputs, True
    return data, inputs, False


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
        if sizes.setdefault(name, int(size)) != int(size):
            raise BadInput(f"{field} is {text!r}, and {name}={sizes[name]} too; expected one size for an axis")
    return sizes
