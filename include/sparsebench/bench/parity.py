"""Whether an engine computes what the network says: its outputs against ONNX Runtime's, before it is timed.

As a program (``python -m sparsebench.bench.parity``, a task on stdin) it writes the images and ONNX Runtime's outputs.
"""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sparsebench.bench.child import die_with_parent
from sparsebench.bench.engines import ENGINES
from sparsebench.bench.engines.base import Array
from sparsebench.contracts import Contract, Parity, Precision
from sparsebench.errors import BadInput

TOLERANCE: dict[Precision, float] = {
    # Engines add in another order. Seven networks, dense and pruned, stayed below 2e-4; a wrong one is above 1e-2.
    "f32": 1e-3,
    # bf16 keeps 8 bits of each number, so each step may be off by 4e-3. How far a whole network is off depends on the
    # network, so that this is only the least: see ROUNDING.
    "native": 5e-2,
}

ROUNDING = 3
"""In `native` an engine may be this many times as far off as ONNX Runtime is when its weights are rounded to bf16: an
engine rounds what lies between the layers too. OpenVINO's bf16 was 1.1 to 1.8 times as far off, on six networks with
random weights, dense and pruned, whose rounded weights alone change the output by 1e-2 to 1.7e-1."""

INT8_NEAR_TIE = 1e-3
"""Logits of the parent this close, relative to its largest, are equals: as close as engines have to be in fp32."""

INT8_LEAST_TOP1 = 0.875
"""One of eight images may differ. On a data set an INT8 network agrees with its parent on 0.99 of the images; then one
or more of eight differ by chance in 8 % of the comparisons, two or more in 0.3 %. Of fewer than eight, none may."""

IMAGES = 8
MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)
"""ImageNet's, of RGB in 0..1."""


class ReferenceTask(Contract):
    """Whose outputs are the reference: the file itself in fp32; for an INT8 network, its fp32 parent."""

    model: Path
    rounding: bool
    """Whether to try what rounded weights change, too."""
    input_shape: tuple[int, int, int]
    digits: bool
    """Whether it is a network of the built-in digits."""
    threads: int
    output: Path


def fixed_images(input_shape: tuple[int, int, int], digits: bool = False) -> Array:
    """The inputs of every comparison, float32 [images, channels, height, width]; the first is that of every timing.

    Four photographs, and the same mirrored: of noise a trained network says the same whatever the noise, and even
    where it was ruined by its quantisation. For a network of digits eight digits: what it says of anything else is
    chance, in which an INT8 network and its parent agree by chance only. Noise where an image is not of three channels.
    """
    if digits:
        return _handwritten(input_shape)
    if input_shape[0] != 3:
        return np.random.default_rng(0).standard_normal((IMAGES, *input_shape), dtype=np.float32)
    upright = photographs(input_shape)
    return np.concatenate([upright, upright[..., ::-1]])


def photographs(input_shape: tuple[int, int, int]) -> Array:
    """Four photographs (photographs.txt), stretched to height x width and normalised as ImageNet's: float32
    [4, 3, height, width]."""
    _, height, width = input_shape
    with files("sparsebench.bench").joinpath("photographs.npz").open("rb") as file:
        pictures = np.load(file)["photographs"]
    normalised = ((pictures / np.float32(255) - MEAN) / STD).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(_stretched(_stretched(normalised, height, axis=2), width, axis=3))


def _handwritten(input_shape: tuple[int, int, int]) -> Array:
    """Eight digits (digits.txt), as sparsebench.sparsify.data has them: float32 [8, channels, height, width]."""
    channels, height, width = input_shape
    with files("sparsebench.bench").joinpath("digits.npz").open("rb") as file:
        pictures = np.load(file)["digits"]
    normalised = (pictures.astype(np.float32) / 8 - 1)[:, None]
    stretched = _stretched(_stretched(normalised, height, axis=2), width, axis=3)
    return np.ascontiguousarray(np.repeat(stretched, channels, axis=1))


def _stretched(images: Array, size: int, axis: int) -> Array:
    """Linear interpolation along an axis. Element by element: BLAS would round differently on each host."""
    source = images.shape[axis]
    # The centres of the new pixels, where the old ones' are 0, 1, 2, …
    centres = np.clip((np.arange(size) + 0.5) * source / size - 0.5, 0, source - 1)
    before = centres.astype(int)
    after = np.minimum(before + 1, source - 1)
    weight = (centres - before).astype(np.float32).reshape([-1 if i == axis else 1 for i in range(images.ndim)])
    return images.take(before, axis) * (1 - weight) + images.take(after, axis) * weight


def compare(outputs: Array, references: Array, precision: Precision, int8: bool, rounding: float = 0.0) -> Parity:
    """An engine's logits against the reference's, both [images, classes].

    The difference is relative to the largest logit of the same image, and the worst image counts. An INT8 network is
    another function than its parent, so that only its top classes are held to it.

    The top class is the same when the reference's logit of it is within the tolerance of the reference's largest.
    Random weights give logits that lie close together, and which of two equals comes first says nothing.

    Args:
        rounding: the relative difference that weights rounded to bf16 make, for the lane native.

    Raises:
        BadInput: the output is not that of a classifier, or of another shape than the reference.
    """
    if references.ndim != 2 or not references.size or outputs.shape != references.shape:
        raise BadInput(
            f"outputs of shape {outputs.shape}, reference {references.shape}; expected [images, classes] of both"
        )
    images = len(references)
    tolerance = None if int8 else TOLERANCE[precision]
    if tolerance and precision == "native":
        tolerance = max(tolerance, ROUNDING * rounding)
    least_top1 = INT8_LEAST_TOP1 if int8 else 1.0
    max_abs = relative = None
    same_top1 = 0
    if np.isfinite(outputs).all() and np.isfinite(references).all():
        largest = _largest(references)
        max_abs, relative = float(np.abs(outputs - references).max()), _relative(outputs, references)
        short_of_top = references.max(axis=1) - references[np.arange(images), outputs.argmax(axis=1)]
        same_top1 = int((short_of_top <= (tolerance or INT8_NEAR_TIE) * largest).sum())
    return Parity(
        images=images,
        max_abs=max_abs,
        relative=relative,
        same_top1=same_top1,
        tolerance=tolerance,
        least_top1=least_top1,
    )


def _largest(logits: Array) -> Array:
    """Of each image, [images]."""
    largest = np.abs(logits).max(axis=1)
    largest[largest == 0] = 1
    return largest


def _relative(outputs: Array, references: Array) -> float:
    return float((np.abs(outputs - references).max(axis=1) / _largest(references)).max())


class Reference(NamedTuple):
    """images: that every engine is given. outputs: ONNX Runtime's, [images, classes]. rounding: the relative difference
    that rounded weights make."""

    images: Array
    outputs: Array
    rounding: float


def read_reference(file: Path) -> Reference:
    with np.load(file) as found:
        return Reference(found["images"], found["outputs"], float(found["rounding"]))


def _round_weights(model: Path, target: Path) -> None:
    """The same network with its fp32 weights rounded to bf16: to the upper half of their bits."""
    import onnx
    from onnx import TensorProto, numpy_helper

    network = onnx.load(model)
    for weight in network.graph.initializer:
        if weight.data_type == TensorProto.FLOAT:
            values = numpy_helper.to_array(weight).copy()
            bits = values.reshape(-1).view(np.uint32)
            bits += np.uint32(0x8000)
            bits &= np.uint32(0xFFFF0000)
            weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    onnx.save(network, target)


def main() -> None:
    die_with_parent()
    task = ReferenceTask.model_validate_json(sys.stdin.buffer.readline())
    images = fixed_images(task.input_shape, task.digits)

    def outputs(model: Path) -> Array:
        session = ENGINES["onnxruntime"].load(model, task.input_shape, task.threads, "f32", "latency")
        return np.concatenate([session.run(image[None]) for image in images])

    references, rounding = outputs(task.model), 0.0
    if task.rounding:
        rounded = task.output.with_suffix(".rounded.onnx")
        _round_weights(task.model, rounded)
        rounding = _relative(outputs(rounded), references)
        rounded.unlink()
    np.savez(task.output, images=images, outputs=references, rounding=rounding)


if __name__ == "__main__":
    main()
