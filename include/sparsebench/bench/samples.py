"""Samples: what a person wants a network to be fed, as arrays by the names of its inputs, from an .npz file.

They go into the ONNX file's metadata, so that the file says itself what it is fed wherever it is measured.
"""

from __future__ import annotations

import zipfile
from base64 import b64decode, b64encode
from collections.abc import Mapping
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from sparsebench.bench.onnx_header import SAMPLES, OnnxHeader, TensorInfo, axis_name
from sparsebench.errors import BadInput

Array = NDArray[Any]

LARGEST = 2**24
"""Bytes of all arrays: they travel with every process that measures."""

MOST_ARRAYS, MOST_SAMPLES = 256, 1000

_HEADER_BYTES = 10_000
"""Of an array's header, which numpy writes in a hundred or two."""

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def npz_file(file: Path, origin: str) -> bytes:
    """The bytes of a file that may be an .npz.

    Raises:
        BadInput: it cannot be read, or is larger than samples may be.
    """
    try:
        if (size := file.stat().st_size) > 2 * LARGEST:
            raise BadInput(f"{origin}: it has {size:,} bytes; expected an .npz file of at most {2 * LARGEST:,}")
        return file.read_bytes()
    except OSError as error:
        raise BadInput(f"{origin}: cannot read {file}: {error.strerror}") from error


def read_samples(data: bytes, origin: str) -> dict[str, Array]:
    """The arrays of an .npz file. Nothing in it is executed, and nothing is unpacked before its size is known.

    Raises:
        BadInput: it is no .npz, or damaged; an array is pickled, or they are too large. ``origin`` names the file.
    """
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > MOST_ARRAYS:
                raise BadInput(f"{origin}: it has {len(entries):,} arrays; expected {MOST_ARRAYS} at most")
            size = sum(_size(archive, entry, origin) for entry in entries)
        if size > LARGEST:
            raise BadInput(f"{origin}: its arrays have {size:,} bytes; expected {LARGEST:,} at most")
        with np.load(BytesIO(data), allow_pickle=False) as arrays:
            return {name: _as_fed(arrays[name], name, origin) for name in arrays.files}
    except BadInput:
        raise
    except Exception as error:  # zipfile, three decompressors and numpy's parser of headers each have their own
        raise BadInput(f"{origin}: not an .npz file that can be read, as numpy.savez writes them: {error}") from error


def _as_fed(array: Array, name: str, origin: str) -> Array:
    """The array in this machine's order of bytes, and row after row: engines take its memory as it is.

    Raises:
        BadInput: it has numbers of which no output can be compared.
    """
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise BadInput(f"{origin}: {name!r} has numbers that are not finite")
    return array.astype(array.dtype.newbyteorder("="), order="C", copy=False)


def _size(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, origin: str) -> int:
    """Bytes of an array, as its header says, of which reading it takes no more."""
    name = entry.filename.removesuffix(".npy")
    if name == entry.filename:
        raise BadInput(f"{origin}: {name!r} is no array; expected .npy files alone, as numpy.savez writes them")
    with archive.open(entry) as file:
        beginning = BytesIO(file.read(_HEADER_BYTES))
    version = npy.read_magic(beginning)
    if version not in _HEADERS:
        raise BadInput(f"{origin}: {name!r} is in version {version} of .npy; expected 1.0 or 2.0")
    shape, _, kind = _HEADERS[version](beginning)
    if kind.hasobject:
        raise BadInput(f"{origin}: {name!r} is pickled; expected an array of numbers")
    if not all(type(size) is int and 0 <= size <= LARGEST for size in shape):
        raise BadInput(f"{origin}: {name!r} has shape {list(shape)}; expected sizes from 0 to {LARGEST:,}")
    return prod(shape) * kind.itemsize


def sizes_of(arrays: Mapping[str, Array], header: OnnxHeader, batch_is_free: bool, origin: str) -> dict[str, int]:
    """The sizes of free axes that samples have, by the names of the axes; the batch, where that is free, is none.

    Raises:
        BadInput: names the array that is missing, or that no input is like, what it is, and what would be right.
    """
    names = [tensor.name for tensor in header.inputs]
    for name in arrays:
        if name not in names:
            raise BadInput(f"{origin}: the network has no input {name!r}; expected arrays called {', '.join(names)}")
    sizes: dict[str, int] = {}
    for tensor in header.inputs:
        if tensor.name not in arrays:
            raise BadInput(f"{origin}: it has no array {tensor.name!r}; expected one for each of {', '.join(names)}")
        for axis, size in _sizes(arrays[tensor.name], tensor, batch_is_free, origin):
            if sizes.setdefault(axis, size) != size:
                raise BadInput(f"{origin}: {tensor.name!r} has {size} where another array has {axis}={sizes[axis]}")
    most = max((len(array) for array in arrays.values() if array.ndim), default=0) if batch_is_free else 0
    if most > MOST_SAMPLES:
        raise BadInput(f"{origin}: it has {most:,} samples; expected {MOST_SAMPLES:,} at most")
    if batch_is_free and len({len(array) for array in arrays.values()}) > 1:
        counts = ", ".join(f"{name!r} {len(array)}" for name, array in arrays.items())
        raise BadInput(f"{origin}: its arrays have different numbers of samples: {counts}")
    return sizes


def _sizes(array: Array, tensor: TensorInfo, batch_is_free: bool, origin: str) -> list[tuple[str, int]]:
    shape = tensor.shape or ()
    expected = f"{tensor.kind} {list(shape)}"
    fits = len(shape) == array.ndim and all(
        size == axis or isinstance(axis, str) for size, axis in zip(array.shape, shape, strict=True)
    )
    if array.dtype.name != tensor.kind or not fits or 0 in array.shape:
        raise BadInput(f"{origin}: {tensor.name!r} is {array.dtype.name} {list(array.shape)}; expected {expected}")
    return [
        (axis_name(tensor, place), size)
        for place, (size, axis) in enumerate(zip(array.shape, shape, strict=True))
        if isinstance(axis, str) and not (batch_is_free and place == 0)
    ]


def with_samples(data: bytes, samples: bytes) -> bytes:
    """The ONNX file with an .npz in its metadata."""
    import onnx

    model = onnx.load_model_from_string(without_samples(data))
    model.metadata_props.add(key=SAMPLES, value=b64encode(samples).decode())
    return model.SerializeToString()


def without_samples(data: bytes) -> bytes:
    """The ONNX file as it is without them: how large it is does not depend on what it is fed."""
    import onnx

    model = onnx.load_model_from_string(data)
    kept = [entry for entry in model.metadata_props if entry.key != SAMPLES]
    if len(kept) == len(model.metadata_props):
        return data
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    return model.SerializeToString()


def from_text(text: str, origin: str) -> dict[str, Array]:
    """Those in a file's metadata.

    Raises:
        BadInput: they are damaged.
    """
    try:
        data = b64decode(text, validate=True)
    except ValueError as error:
        raise BadInput(f"{origin}: its samples are not base64: {error}") from error
    return read_samples(data, f"{origin}, its samples")
