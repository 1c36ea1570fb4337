"""The reference that every engine's outputs are held to: ONNX Runtime's.

As a program (``python -m sparsebench.bench.reference``, a task on stdin) it writes what the network is fed and ONNX
Runtime's outputs, and answers whether that refused it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sparsebench.bench.child import die_with_parent, take_stdout
from sparsebench.bench.engines import ENGINES
from sparsebench.bench.engines.base import Session, UnsupportedNetwork
from sparsebench.bench.graphs import weights
from sparsebench.bench.inputs import Array, Feeds, Inputs, Outputs, feeds_of, first_of, repeated
from sparsebench.bench.parity import TOLERANCE, Reference, difference
from sparsebench.contracts import Contract
from sparsebench.errors import BadInput


class ReferenceTask(Contract):
    """Whose outputs are the reference: the file itself in fp32; for an INT8 network, its fp32 parent."""

    model: Path
    rounding: bool
    """Whether to try what rounded weights change, too."""
    inputs: Inputs
    digits: bool
    """Whether it is a network of the built-in digits."""
    threads: int
    output: Path
    copies: int = 1
    """Of what one inference is fed, that are to be tried as one batch."""


class Referred(Contract):
    """What the program answers.

    refusal: ONNX Runtime's, in its words; then there are no outputs. independent: whether a batch of copies can be fed,
    and gives of one what it gives of it alone.
    """

    refusal: str | None = None
    independent: bool = True


def read_reference(file: Path) -> Reference:
    with np.load(file) as kept:

        def arrays(kind: str) -> list[list[Array]]:
            keys = sorted(tuple(map(int, key.split("-")[1:])) for key in kept.files if key.startswith(kind))
            inferences: list[list[Array]] = [
                [] for _ in range(1 + max((inference for inference, _ in keys), default=-1))
            ]
            for inference, place in keys:
                inferences[inference].append(kept[f"{kind}-{inference}-{place}"])
            return inferences

        return Reference([tuple(each) for each in arrays("feed")], arrays("output"), float(kept["rounding"]))


def write_reference(file: Path, reference: Reference) -> None:
    arrays: dict[str, Array] = {"rounding": np.array(reference.rounding)}
    for kind, inferences in (("feed", reference.feeds), ("output", reference.outputs)):
        for number, tensors in enumerate(inferences):
            for place, array in enumerate(tensors):
                # Text comes as objects, which would be pickled.
                arrays[f"{kind}-{number}-{place}"] = array.astype(str) if array.dtype.kind == "O" else array
    np.savez(file, **arrays)  # type: ignore[arg-type]


def _round_weights(model: Path, target: Path) -> None:
    """The same network with its fp32 weights rounded to bf16: to the upper half of their bits."""
    import onnx
    from onnx import TensorProto, numpy_helper

    network = onnx.load(model)
    for weight in weights(network):
        if weight.data_type == TensorProto.FLOAT:
            values = numpy_helper.to_array(weight).copy()
            bits = values.reshape(-1).view(np.uint32)
            bits += np.uint32(0x8000)
            bits &= np.uint32(0xFFFF0000)
            weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    onnx.save(network, target)


TOO_NEW = re.compile(r"max supported IR version: (\d+)")


def _in_older_format(model: Path, target: Path, refusal: str) -> bool:
    """Write the network in the newest version of the file format that ONNX Runtime reads, where its own is too new for
    that: what operators compute depends on their opset, not on the file's version."""
    import onnx

    newest = TOO_NEW.search(refusal)
    if not newest:
        return False
    network = onnx.load(model)
    network.ir_version = int(newest[1])
    onnx.save(network, target)
    return True


def reference_of(task: ReferenceTask) -> tuple[Reference, bool]:
    """What the network is fed, and ONNX Runtime's outputs; and whether copies are independent in a batch.

    Raises:
        UnsupportedNetwork: ONNX Runtime refuses the network.
    """
    feeds = feeds_of(task.inputs, task.digits)

    def load(model: Path) -> Session:
        return ENGINES["onnxruntime"].load(model, task.inputs, task.threads, "f32", "latency")

    def outputs(model: Path) -> list[Outputs]:
        session = load(model)
        return [session.run(feed) for feed in feeds]

    other = task.output.with_suffix(".other.onnx")
    model = task.model
    try:
        try:
            references = outputs(model)
        except UnsupportedNetwork as refusal:
            if not _in_older_format(model, other, str(refusal)):
                raise
            model, references = other, outputs(other)
        independent = task.copies == 1 or _independent(load(model), feeds[0], task.copies, references[0])
        rounding = _rounding(outputs, model, other, references) if task.rounding else 0.0
    finally:
        other.unlink(missing_ok=True)
    return Reference(feeds, references, rounding), independent


def _independent(session: Session, feeds: Feeds, copies: int, alone: Outputs) -> bool:
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    try:
        together = session.run(repeated(feeds, copies))
    except (errors.Fail, errors.InvalidArgument, errors.RuntimeException):
        return False
    if [array.shape for array in together] != [(copies * len(one), *one.shape[1:]) for one in alone if one.ndim]:
        return False
    apart = difference([first_of(together, copies)], [alone])
    return apart is not None and apart.relative <= TOLERANCE["f32"]


def _rounding(outputs: Callable[[Path], list[Outputs]], model: Path, target: Path, references: list[Outputs]) -> float:
    """The relative difference that rounded weights make; 0 where that cannot be told (detected boxes come and go)."""
    _round_weights(model, target)
    try:
        apart = difference(outputs(target), references)
    except (BadInput, UnsupportedNetwork):
        return 0.0
    return apart.relative if apart else 0.0


def main() -> None:
    die_with_parent()
    channel = take_stdout()
    task = ReferenceTask.model_validate_json(sys.stdin.buffer.readline())
    try:
        reference, independent = reference_of(task)
        write_reference(task.output, reference)
        answer = Referred(independent=independent)
    except UnsupportedNetwork as refusal:
        answer = Referred(refusal=" ".join(str(refusal).replace(str(task.model), "the file").split()))
    channel.write(answer.model_dump_json().encode() + b"\n")


if __name__ == "__main__":
    main()
