"""When an engine's output counts as the network's."""

from __future__ import annotations

import numpy as np
import pytest

from sparsebench.bench.parity import compare
from sparsebench.errors import BadInput

REFERENCE = np.array([[1.0, 10.0, 2.0, 9.995]], dtype=np.float32)


def off_by(difference: float, at: int = 0) -> np.ndarray:
    output = REFERENCE.copy()
    output[0, at] += difference
    return output


def test_the_difference_is_relative_to_the_largest_logit():
    parity = compare(off_by(-0.005), REFERENCE, "f32")

    assert parity.max_abs == pytest.approx(5e-3, rel=1e-3)
    assert parity.relative == pytest.approx(5e-4, rel=1e-3)
    assert parity.agrees


@pytest.mark.parametrize(
    ("difference", "f32", "native"), [(0.009, True, True), (0.1, False, True), (0.6, False, False)]
)
def test_native_precision_may_differ_more_than_f32(difference, f32, native):
    output = off_by(difference)

    assert (compare(output, REFERENCE, "f32").agrees, compare(output, REFERENCE, "native").agrees) == (f32, native)


def test_two_logits_within_the_tolerance_may_change_places():
    assert compare(off_by(0.008, at=3), REFERENCE, "f32").same_top1


def test_a_top_class_that_is_not_near_the_top_in_onnx_runtime_is_another():
    parity = compare(off_by(9, at=2), REFERENCE, "native")

    assert not parity.same_top1
    assert not parity.agrees


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_output_that_is_not_finite_never_agrees(value):
    parity = compare(off_by(value), REFERENCE, "native")

    assert parity.relative is None
    assert not parity.agrees


@pytest.mark.parametrize("shape", [(4,), (1, 3), (1, 4, 1)])
def test_an_output_of_another_shape_is_refused(shape):
    with pytest.raises(BadInput, match="expected"):
        compare(np.ones(shape, dtype=np.float32), REFERENCE, "f32")
