"""What a network takes, as its file says: names, types, shapes; and inputs that fit, always the same ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsebench.bench.images import IMAGES, as_bytes, fixed_images
from sparsebench.bench.onnx_header import ELEMENTS, SHAPES, OnnxHeader, axis_name
from sparsebench.bench.samples import from_text, sizes_of
from sparsebench.contracts import Contract, Scenario
from sparsebench.errors import BadInput

Array = NDArray[Any]
Feeds = tuple[Array, ...]
"""What one inference is fed: an array for each input, in the order of the file."""
Outputs = list[Array]
"""What comes out of one inference, in the order of the file."""

AXIS_OPTION = "--axis"

THROUGHPUT_BATCH = 16
"""Images an inference in the throughput scenario, of engines that recommend a batch but no size of it: enough to
share the reading of the weights, and small enough for the memory of an xlarge."""

LARGEST_FEED = 2**28
"""Bytes of what one inference may be fed."""

CHANNELS = (1, 3, 4)
PICTURE_KINDS = ("float32", "float16", "float64", "uint8")


class Input(Contract):
    """One input: its shape is that of one inference at the least batch that the file takes."""

    name: str
    kind: str
    """Of its elements, as numpy calls it."""
    shape: tuple[int, ...]
    range: tuple[int, int] | None = None
    """The smallest and the largest whole number that it may have, where the graph says so."""


class Picture(NamedTuple):
    """channels, height, width of an input that is images; whether channels come first or last."""

    shape: tuple[int, int, int]
    channels: Literal["first", "last"]


class Inputs(Contract):
    """All inputs of a network.

    ``batch``: images (or whatever it takes) of one inference in these shapes. ``batch_is_free``: whether the first axis
    of every input may have any size, which then is the batch. ``independent``: whether the network says of each in a
    batch what it says of it alone, which its file does not tell; else it is fed no larger batch. ``samples``: what it
    is fed, as of bench.samples; None: what is made up here.
    """

    each: tuple[Input, ...]
    batch: int = 1
    batch_is_free: bool = False
    independent: bool = True
    samples: str | None = None

    def batch_in(self, scenario: Scenario) -> int:
        """Images an inference, of an engine that takes batches in the throughput scenario."""
        larger = self.batch_is_free and self.independent and scenario == "throughput"
        return THROUGHPUT_BATCH if larger else self.batch

    @property
    def picture(self) -> Picture | None:
        """What it takes, where that is images and nothing else."""
        if len(self.each) != 1 or self.each[0].kind not in PICTURE_KINDS or len(self.each[0].shape) != 4:
            return None
        _, first, second, last = self.each[0].shape
        if last in CHANNELS and first not in CHANNELS:
            return Picture((last, first, second), "last")
        return Picture((first, second, last), "first")

    def __str__(self) -> str:
        return ", ".join(f"{entry.name} {entry.kind} {list(entry.shape)}" for entry in self.each)


def inputs_of(header: OnnxHeader, origin: str, field: str = AXIS_OPTION) -> Inputs:
    """What a network takes. The batch, where it is free, is 1. ``origin`` names the file in an error, and
    ``field`` is where a person gives the sizes of axes.

    Raises:
        BadInput: an axis is free that is not the batch, or an input or output is of a kind that cannot be fed or
            compared.
    """
    if not header.inputs:
        raise BadInput(f"{origin}: the network has no inputs")
    for tensor in (*header.inputs, *header.outputs):
        if not tensor.kind:
            raise BadInput(f"{origin}: {tensor.name!r} is a sequence or a map; expected tensors only")
    for tensor in header.inputs:
        if tensor.kind not in ELEMENTS.values():
            raise BadInput(f"{origin}: input {tensor.name!r} is {tensor.kind}; expected {', '.join(ELEMENTS.values())}")
    free_batch = batch_is_free(header)
    if free := _free(header, free_batch, origin):
        sizes = " ".join(f"{field} {axis}=SIZE" for axis in free)
        raise BadInput(f"{origin}: its inputs have free axes ({_shown(header)}); say how large they are: {sizes}")
    shapes = [tuple(d if isinstance(d, int) else 1 for d in tensor.shape or ()) for tensor in header.inputs]
    for tensor, shape in zip(header.inputs, shapes, strict=True):
        if (size := prod(shape) * np.dtype(tensor.kind).itemsize) > LARGEST_FEED:
            raise BadInput(f"{origin}: input {tensor.name!r} has {size:,} bytes; expected {LARGEST_FEED:,} at most")
    each = tuple(
        Input(name=tensor.name, kind=tensor.kind, shape=shape, range=tensor.range)
        for tensor, shape in zip(header.inputs, shapes, strict=True)
    )
    if header.samples is not None:
        sizes_of(from_text(header.samples, origin), header, free_batch, f"{origin}, its samples")
    batch = 1 if free_batch else _fixed_batch(header)
    return Inputs(each=each, batch=batch, batch_is_free=free_batch, samples=header.samples)


def _shown(header: OnnxHeader) -> str:
    return ", ".join(
        f"{tensor.name!r} of unknown shape" if tensor.shape is None else f"{tensor.name!r} {list(tensor.shape)}"
        for tensor in header.inputs
    )


def batch_is_free(header: OnnxHeader) -> bool:
    """Whether any number may be fed at a time: all first axes of inputs are free, those of outputs follow."""
    names = {tensor.shape[0] if tensor.shape else None for tensor in header.inputs}
    named = {name for name in names if name != "?"}
    others = [axis for tensor in header.inputs for axis in (tensor.shape or ())[1:]]
    return (
        all(isinstance(name, str) for name in names)
        and len(named) <= 1
        and not named & set(others)
        and any(len(tensor.shape or ()) > 1 for tensor in header.inputs)
        and all(
            tensor.shape is None or (tensor.shape and (isinstance(tensor.shape[0], str) or tensor.shape[0] == 1))
            for tensor in header.outputs
        )
    )


def _free(header: OnnxHeader, batch_is_free: bool, origin: str) -> list[str]:
    """The names of the axes that have to be given a size."""
    names: dict[str, None] = {}
    for tensor in header.inputs:
        if tensor.shape is None:
            raise BadInput(f"{origin}: input {tensor.name!r} has no shape; expected one, if only of free axes")
        for place, size in enumerate(tensor.shape):
            if isinstance(size, str) and not (batch_is_free and place == 0):
                names[axis_name(tensor, place)] = None
    return list(names)


def _fixed_batch(header: OnnxHeader) -> int:
    """The first dimension that all inputs and outputs share, leaving out numbers without dimensions; 1: none."""
    inputs = {tensor.shape[0] for tensor in header.inputs if tensor.shape}
    outputs = {size for tensor in header.outputs if tensor.shape and isinstance(size := tensor.shape[0], int)}
    sizes = [size for size in inputs if isinstance(size, int)]
    return sizes[0] if len(inputs) == len(sizes) == 1 and outputs <= {sizes[0]} else 1


def feeds_of(inputs: Inputs, digits: bool = False) -> list[Feeds]:
    """What the network is fed in comparisons, inference by inference; the first is that of every timing.

    A person's samples where there are some. Else photographs where it takes images, or seeded noise, whole numbers
    within the range that the graph tells, and masks that mask nothing. Of a batch that is fixed at several images each
    inference has others.

    Args:
        digits: whether it is a network of the built-in digits.
    """
    if inputs.samples is not None:
        return _sampled(inputs, inputs.samples)
    inferences = -(-IMAGES // inputs.batch)
    if picture := inputs.picture:
        images = _pictures(picture, inputs.each[0].kind, digits)
        wanted = np.arange(inferences * inputs.batch).reshape(inferences, -1) % IMAGES
        return [(np.ascontiguousarray(images[chosen]),) for chosen in wanted]
    random = np.random.default_rng(0)
    return [tuple(_drawn(entry, random) for entry in inputs.each) for _ in range(inferences)]


def _sampled(inputs: Inputs, samples: str) -> list[Feeds]:
    arrays = from_text(samples, "the network")
    each = [arrays[entry.name] for entry in inputs.each]
    if not inputs.batch_is_free:
        return [tuple(each)]
    return [tuple(np.ascontiguousarray(array[place : place + 1]) for array in each) for place in range(len(each[0]))]


def repeated(feeds: Feeds, copies: int) -> Feeds:
    """The same images so many times, as one batch."""
    return feeds if copies == 1 else tuple(np.repeat(array, copies, 0) for array in feeds)


def first_of(outputs: Outputs, copies: int) -> Outputs:
    """What was said of the first of these copies."""
    return outputs if copies == 1 else [array[: len(array) // copies] for array in outputs]


def _pictures(picture: Picture, kind: str, digits: bool) -> Array:
    images: Array = fixed_images(picture.shape, digits)
    if kind == "uint8":
        images = as_bytes(images) if picture.shape[0] == 3 else (images * 64 + 128).clip(0, 255)
    if picture.channels == "last":
        images = images.transpose(0, 2, 3, 1)
    return images.astype(kind)


def _drawn(entry: Input, random: np.random.Generator) -> Array:
    kind = np.dtype(entry.kind)
    if kind.kind == "f":
        return np.asarray(random.standard_normal(entry.shape), dtype=kind)
    if kind.kind == "b":
        return np.ones(entry.shape, dtype=kind)
    if entry.range:
        low, high = entry.range
    elif kind.itemsize == 1:
        low, high = int(np.iinfo(kind).min), int(np.iinfo(kind).max)
    else:
        # A mask, a type, a length, a position: 1 is each of these.
        return np.ones(entry.shape, dtype=kind)
    return np.asarray(random.integers(low, high, entry.shape, endpoint=True), dtype=kind)


def with_axes(data: bytes, header: OnnxHeader, axes: Mapping[str, int], origin: str, field: str = AXIS_OPTION) -> bytes:
    """The file with these sizes of free axes, by name, written into it, so that it says itself what it takes; and with
    a batch of 1 where some axes but not all follow it.

    Raises:
        BadInput: an axis that no input has, or that is not free.
    """
    import onnx

    known = {axis_name(tensor, place) for tensor in header.inputs for place in range(len(tensor.shape or ()))}
    by_place = {f"{tensor.name}.{place}" for tensor in header.inputs for place in range(len(tensor.shape or ()))}
    for axis in axes:
        if axis not in known | by_place:
            free = _free(header, batch_is_free=False, origin=origin)
            raise BadInput(f"{field}: no input of {origin} has a free axis {axis!r}; free: {', '.join(free) or 'none'}")
    sizes = dict(axes)
    if not batch_is_free(header):
        for tensor in header.inputs:
            if len(tensor.shape or ()) > 1 and isinstance((tensor.shape or ())[0], str):
                sizes.setdefault(axis_name(tensor, 0), 1)
    if not sizes:
        return data
    model = onnx.load_model_from_string(data)
    shapes = {tensor.name: tensor for tensor in header.inputs}
    for entry in model.graph.input:
        if entry.name not in shapes:  # a weight
            continue
        tensor = shapes[entry.name]
        for place, dimension in enumerate(entry.type.tensor_type.shape.dim):
            size = sizes.get(f"{tensor.name}.{place}", sizes.get(axis_name(tensor, place)))
            fixed = (tensor.shape or ())[place]
            if size is None or size == fixed:
                continue
            if isinstance(fixed, int):
                raise BadInput(f"{field} {tensor.name}.{place}={size}: {origin} has it fixed at {fixed}")
            dimension.dim_value = size
    for entry in (*model.graph.output, *model.graph.value_info):
        for dimension in entry.type.tensor_type.shape.dim:
            if dimension.dim_param in sizes:
                dimension.dim_value = sizes[dimension.dim_param]
    return model.SerializeToString()


def with_shapes(data: bytes, inputs: Inputs) -> bytes:
    """The file with its axes as free as they are, which says beside them in what shapes it is fed.

    For what a size cannot be written into: of a graph with branches for several sizes, the one for another size would
    not fit any more, and an engine that checks branches which never run would refuse the file.
    """
    import onnx

    model = onnx.load_model_from_string(data)
    model.metadata_props.add(key=SHAPES, value=json.dumps({entry.name: entry.shape for entry in inputs.each}))
    return model.SerializeToString()
