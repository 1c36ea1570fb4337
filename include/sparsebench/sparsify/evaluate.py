"""How many labelled images a network classifies correctly: in training, and as the ONNX file that is shipped."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import onnxruntime
import torch
from torch import Tensor, nn

from sparsebench.bench.parity import compare
from sparsebench.contracts import Parity, Score
from sparsebench.errors import BadInput

Batch = tuple[Tensor, Tensor]
"""Images, float32 [images, channels, height, width], and their classes [images]."""


@torch.no_grad()
def of_model(model: nn.Module, batches: Iterable[Batch]) -> Score:
    """The score of a network in torch, in fp32, wherever it is. It is in eval mode afterwards."""
    model.eval()
    device = next(model.parameters()).device
    return _score(lambda images: model(images.to(device)).cpu(), batches)


def of_onnx(data: bytes, batches: Iterable[Batch]) -> Score:
    """The score of an exported file, in ONNX Runtime on the CPU.

    Raises:
        BadInput: bytes that are no ONNX model, or a model that does not take the images, or has not all their classes.
    """
    return _score(_logits_of(data), batches)


def same_top1(parent: bytes, child: bytes, batches: Iterable[Batch]) -> float:
    """The fraction of images whose top class is the same in two exported files, in ONNX Runtime on the CPU.

    Args:
        parent: the fp32 network.
        child: what was made of it, in INT8 with QDQ.
        batches: the images; their classes do not matter.

    Raises:
        BadInput: as ``of_onnx``, and where an output has another shape than the other's.
    """
    of_parent, of_child = _logits_of(parent), _logits_of(child)
    images = same = 0
    for inputs, _ in batches:
        expected, computed = of_parent(inputs), of_child(inputs)
        if expected.shape != computed.shape:
            raise BadInput(
                f"onnx: outputs of shape {list(computed.shape)}: expected the parent's {list(expected.shape)}"
            )
        finite = expected.isfinite().all(1) & computed.isfinite().all(1)
        images += len(inputs)
        same += int((finite & (expected.argmax(1) == computed.argmax(1))).sum())
    if not images:
        raise BadInput("dataset: no images: expected one at least")
    return same / images


@torch.no_grad()
def parity(model: nn.Module, data: bytes, images: Tensor) -> Parity:
    """An exported fp32 file's logits in ONNX Runtime against those of its network in torch, in eval mode afterwards."""
    model.eval()
    expected = model(images.to(next(model.parameters()).device)).cpu()
    return compare(_logits_of(data)(images).numpy(), expected.numpy(), "f32", int8=False)


def _logits_of(data: bytes) -> Callable[[Tensor], Tensor]:
    try:
        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no base of their own
        raise BadInput(f"onnx: {len(data)} bytes that ONNX Runtime cannot load: {error}") from error
    (image,), (output,) = session.get_inputs(), session.get_outputs()

    def logits(images: Tensor) -> Tensor:
        if list(images.shape[1:]) != image.shape[1:]:
            raise BadInput(
                f"onnx: its input is {image.shape[1:]}: expected {list(images.shape[1:])}, as the images are"
            )
        return torch.from_numpy(session.run([output.name], {image.name: images.numpy()})[0])

    return logits


def _score(logits: Callable[[Tensor], Tensor], batches: Iterable[Batch]) -> Score:
    images = top1 = top5 = classes = 0
    for inputs, labels in batches:
        outputs = logits(inputs)
        classes = outputs.shape[1]
        if int(labels.max()) >= classes:
            raise BadInput(
                f"network: it has {classes} classes: expected more than the images' class {int(labels.max())}"
            )
        best = outputs.topk(min(5, classes)).indices == labels[:, None]
        best &= outputs.isfinite().all(1, keepdim=True)  # an output that is no number is never correct
        images += len(labels)
        top1 += int(best[:, 0].sum())
        top5 += int(best.any(1).sum())
    if not images:
        raise BadInput("dataset: no images: expected one at least")
    return Score(images=images, top1=top1, top5=top5 if classes > 5 else None)
