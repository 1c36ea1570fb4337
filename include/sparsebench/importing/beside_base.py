"""What a pruned or quantised file of one's own computes, beside its base on the same sample inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sparsebench.bench.host import host_facts
from sparsebench.bench.inputs import Outputs
from sparsebench.bench.parity import difference
from sparsebench.bench.reference import read_reference
from sparsebench.contracts import BesideBase
from sparsebench.errors import BadInput
from sparsebench.importing.engines import outputs_of
from sparsebench.importing.examine import Examined


def beside_base(file: Examined, base: Examined, tell: Callable[[str], None]) -> BesideBase | None:
    """How far the file's outputs are off its base's. None where that cannot be told: ONNX Runtime runs one of them
    not, their outputs have other shapes, or are not finite; why goes to ``tell``.

    Raises:
        Interrupted: by ``tell``.
    """
    tell("running it and its base in onnxruntime, to hold its outputs to the base's")
    host = host_facts()
    try:
        outputs, of_base = (read_reference(outputs_of(each, host)).outputs for each in (file, base))
        apart = difference(outputs, of_base, "its base")
    except BadInput as error:
        tell(f"its outputs cannot be held to its base's: {error}")
        return None
    if apart is None:
        tell("its outputs cannot be held to its base's: they are not finite")
        return None
    return BesideBase(samples=len(outputs), relative=apart.relative, same_largest=_same_largest(outputs, of_base))


def _same_largest(outputs: Sequence[Outputs], of_base: Sequence[Outputs]) -> float | None:
    same = [
        (output.argmax(axis=-1) == reference.argmax(axis=-1)).ravel()
        for pair in zip(outputs, of_base, strict=True)
        for output, reference in zip(*pair, strict=True)
        if reference.dtype.kind == "f" and reference.ndim and reference.shape[-1] > 1
    ]
    places = sum(map(len, same))
    return float(sum(each.sum() for each in same) / places) if places else None
