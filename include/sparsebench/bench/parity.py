"""Whether an engine computes what the network says: its output against ONNX Runtime's, before it is timed.

As a program (``python -m sparsebench.bench.parity``, a task on stdin) it writes ONNX Runtime's output.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from sparsebench.bench.child import die_with_parent
from sparsebench.bench.engines import ENGINES
from sparsebench.bench.engines.base import Array
from sparsebench.contracts import Contract, Parity, Precision
from sparsebench.errors import BadInput

TOLERANCE: dict[Precision, float] = {
    # Engines add in another order. Seven networks, dense and pruned, stayed below 2e-4; a wrong one is above 1e-2.
    "f32": 1e-3,
    # bf16 keeps 8 bits of each number, so each step may be off by 4e-3; over whole networks 1e-2 was seen.
    "native": 5e-2,
}


class ReferenceTask(Contract):
    model: Path
    input_shape: tuple[int, int, int]
    threads: int
    output: Path


def fixed_images(input_shape: tuple[int, int, int]) -> Array:
    """The one input of every comparison and every timing: standard normal, float32 [1, channels, height, width]."""
    return np.random.default_rng(0).standard_normal((1, *input_shape), dtype=np.float32)


def compare(output: Array, reference: Array, precision: Precision) -> Parity:
    """An engine's logits against ONNX Runtime's, both [1, classes].

    The top class is the same when ONNX Runtime's logit of it is within the tolerance of ONNX Runtime's largest.
    Random weights give logits that lie close together, and which of two equals comes first says nothing.

    Raises:
        BadInput: the output is not that of a classifier, or of another shape than the reference.
    """
    if reference.ndim != 2 or len(reference) != 1 or output.shape != reference.shape:
        raise BadInput(f"output of shape {output.shape}, in ONNX Runtime {reference.shape}; expected [1, classes]")
    tolerance = TOLERANCE[precision]
    if not (np.isfinite(output).all() and np.isfinite(reference).all()):
        return Parity(max_abs=None, relative=None, same_top1=False, tolerance=tolerance)
    largest = float(np.abs(reference).max()) or 1.0
    max_abs = float(np.abs(output - reference).max())
    short_of_top = float(reference.max() - reference[0, output.argmax()])
    return Parity(
        max_abs=max_abs,
        relative=max_abs / largest,
        same_top1=short_of_top <= tolerance * largest,
        tolerance=tolerance,
    )


def main() -> None:
    die_with_parent()
    task = ReferenceTask.model_validate_json(sys.stdin.buffer.read())
    session = ENGINES["onnxruntime"].load(task.model, task.input_shape, task.threads, "f32")
    np.save(task.output, session.run(fixed_images(task.input_shape)))


if __name__ == "__main__":
    main()
