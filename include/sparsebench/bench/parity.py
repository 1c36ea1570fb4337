"""Whether an engine computes what the network says: its outputs against ONNX Runtime's, before it is timed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from sparsebench.bench.inputs import Array, Feeds, Outputs
from sparsebench.contracts import Parity, Precision
from sparsebench.errors import BadInput

Agreement = Literal["close", "same_class", "int8"]
"""close: within TOLERANCE. same_class: of an INT8 network and its fp32 parent, which is another function. int8: of an
INT8 network and itself, within INT8_ROUNDING."""

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

SMALL = 1e-3
"""Tensors that are smaller as a whole are compared as if this were their largest number: what follows from numbers
around 1 (a probability, by a sigmoid) is off by 1e-7 in fp32, however small it is."""

INT8_NEAR_TIE = 1e-3
"""Logits of the parent this close, relative to its largest, are equals: as close as engines have to be in fp32."""

INT8_ROUNDING = 0.25
"""How far an engine may be off what ONNX Runtime makes of the same INT8 file: each rounds to its steps at other places,
and so does ONNX Runtime itself, without its optimisations (0.06 off). Four networks by its quantiser, ResNet-50 and two
of text among them, fed with noise: OpenVINO was 0.02 to 0.19 off; what computes something else is 1 off."""

INT8_LEAST_TOP1 = 0.875
"""One of eight images may differ. On a data set an INT8 network agrees with its parent on 0.99 of the images; then one
or more of eight differ by chance in 8 % of the comparisons, two or more in 0.3 %. Of fewer than eight, none may."""


def agreement_of(quantised: bool, has_parent: bool) -> Agreement:
    """How near the outputs of a file have to be to their reference."""
    return "same_class" if has_parent else "int8" if quantised else "close"


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
    tolerance = None if int8 else _tolerance(precision, rounding)
    least_top1 = INT8_LEAST_TOP1 if int8 else 1.0
    max_abs = relative = None
    same_top1 = 0
    apart = _apart(outputs, references)
    if np.isfinite(apart).all():
        largest = _largest(references)
        max_abs, relative = float(apart.max()), float((apart.max(axis=1) / largest).max())
        short_of_top = _apart(references.max(axis=1), references[np.arange(images), outputs.argmax(axis=1)])
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
    """The largest of each image, [images]."""
    finite = np.where(np.isfinite(logits), np.abs(logits), 0)
    largest = finite.max(axis=1)
    largest[largest == 0] = 1
    return largest


def _apart(outputs: Array, references: Array) -> Array:
    """Absolute differences, element by element; equal infinities do not differ."""
    with np.errstate(invalid="ignore"):
        difference = np.abs(outputs.astype(np.float64) - references.astype(np.float64))
    return np.where(outputs == references, 0.0, difference)


class Difference(NamedTuple):
    """absolute, and relative to the largest number of the reference."""

    absolute: float
    relative: float

    def or_worse(self, absolute: float, scale: float) -> Difference:
        return Difference(max(self.absolute, absolute), max(self.relative, absolute / scale))


def difference(
    outputs: Sequence[Outputs], references: Sequence[Outputs], whose: str = "ONNX Runtime"
) -> Difference | None:
    """The difference of outputs of any number and shape, inference by inference: that of the worst tensor. None: not
    finite.

    A tensor's difference is relative to the largest finite number that its reference has in any inference (at least
    SMALL): a map of what was detected is all but zero where nothing was. Of whole numbers, truth values and text
    (labels) it is the share of elements that are not the same.

    Raises:
        BadInput: there are others, or they have other shapes.
    """
    for output, reference in zip(outputs, references, strict=True):
        if [array.shape for array in output] != [array.shape for array in reference]:
            raise BadInput(
                f"outputs of shapes {[array.shape for array in output]}; expected "
                f"{[array.shape for array in reference]}, as {whose}'s"
            )
    worst = Difference(0.0, 0.0)
    for place in range(len(references[0])):
        pairs = [(output[place], reference[place]) for output, reference in zip(outputs, references, strict=True)]
        apart = [_apart(*pair) if pair[1].dtype.kind == "f" else pair[0] != pair[1] for pair in pairs]
        every = np.concatenate([each.ravel() for each in apart])
        if not every.size:
            continue
        if every.dtype == bool:
            worst = worst.or_worse(float(every.mean()), 1.0)
            continue
        if not np.isfinite(every).all():
            return None
        worst = worst.or_worse(float(every.max()), _largest_of([reference for _, reference in pairs]))
    return worst


def _largest_of(tensors: Sequence[Array]) -> float:
    """The largest finite number, and not less than SMALL; 1 where all are zero."""
    numbers = np.concatenate([tensor.ravel().astype(np.float64) for tensor in tensors])
    largest = float(np.abs(numbers[np.isfinite(numbers)]).max(initial=0.0))
    return max(largest, SMALL) if largest else 1.0


class Reference(NamedTuple):
    """feeds: that every engine is given, inference by inference. outputs: ONNX Runtime's. rounding: the relative
    difference that rounded weights make."""

    feeds: list[Feeds]
    outputs: list[Outputs]
    rounding: float

    @property
    def logits(self) -> Array | None:
        """[images, classes], where images go in, and one tensor of such a shape comes out."""
        return logits_of(self.outputs) if len(self.feeds[0]) == 1 and self.feeds[0][0].ndim == 4 else None


def logits_of(outputs: Sequence[Outputs]) -> Array | None:
    """The logits of all inferences together, [images, classes]; None: they are something else."""
    if any(len(each) != 1 or each[0].ndim != 2 or each[0].dtype.kind != "f" for each in outputs):
        return None
    return np.concatenate([each[0] for each in outputs])


def judge(outputs: Sequence[Outputs], reference: Reference, precision: Precision, agreement: Agreement) -> Parity:
    """An engine's outputs against the reference's: a classifier's of images as ``compare`` does, others as tensors.

    Raises:
        BadInput: they have other shapes than the reference's.
    """
    if reference.logits is not None and agreement != "int8":
        logits = logits_of(outputs)
        if logits is None:
            shapes = [array.shape for array in outputs[0]]
            raise BadInput(f"outputs of shapes {shapes}; expected one, [images, classes]")
        return compare(logits, reference.logits, precision, agreement == "same_class", reference.rounding)
    apart = difference(outputs, reference.outputs)
    return Parity(
        images=len(reference.outputs),
        max_abs=apart.absolute if apart else None,
        relative=apart.relative if apart else None,
        same_top1=0,
        tolerance=INT8_ROUNDING if agreement == "int8" else _tolerance(precision, reference.rounding),
        least_top1=0,
    )


def _tolerance(precision: Precision, rounding: float) -> float:
    return max(TOLERANCE[precision], ROUNDING * rounding) if precision == "native" else TOLERANCE[precision]
