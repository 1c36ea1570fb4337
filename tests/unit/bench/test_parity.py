"""When an engine's outputs count as the network's, and on which images that is asked."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from tests.support.values import there

from sparsebench.bench.images import MEAN, STD, fixed_images
from sparsebench.bench.inputs import Array, Feeds, Outputs
from sparsebench.bench.parity import Agreement, Reference, compare, difference, judge
from sparsebench.contracts import Parity
from sparsebench.errors import BadInput
from sparsebench.fleet.payload import wheel

LOGITS = [1.0, 10.0, 2.0, 9.995]
REFERENCES = np.array([LOGITS] * 8, dtype=np.float32)


def off_by(difference: float, at: int = 0, images: slice = slice(2, 3)) -> Array:
    outputs = REFERENCES.copy()
    outputs[images, at] += difference
    return outputs


def test_the_difference_is_relative_to_the_largest_logit() -> None:
    parity = compare(off_by(-0.005), REFERENCES, "f32", int8=False)

    assert parity.images == 8
    assert parity.max_abs == pytest.approx(5e-3, rel=1e-3)
    assert parity.relative == pytest.approx(5e-4, rel=1e-3)
    assert parity.agrees


def test_each_image_is_held_to_its_own_logits() -> None:
    references = REFERENCES * np.array([[1]] * 7 + [[0.01]], dtype=np.float32)
    outputs = references.copy()
    outputs[7, 0] += 0.005  # nothing beside 10, much beside 0.1

    parity = compare(outputs, references, "f32", int8=False)

    assert parity.relative == pytest.approx(5e-2, rel=1e-3)
    assert not parity.agrees


@pytest.mark.parametrize(
    ("difference", "f32", "native"), [(0.009, True, True), (0.1, False, True), (0.6, False, False)]
)
def test_native_precision_may_differ_more_than_f32(difference: float, f32: bool, native: bool) -> None:
    outputs = off_by(difference)

    agrees = tuple(compare(outputs, REFERENCES, precision, int8=False).agrees for precision in ("f32", "native"))
    assert agrees == (f32, native)


@pytest.mark.parametrize("int8", [False, True])
def test_two_logits_within_the_tolerance_may_change_places(int8: bool) -> None:
    assert compare(off_by(0.008, at=3, images=slice(None)), REFERENCES, "f32", int8).same_top1 == 8


def test_one_image_of_many_with_another_top_class_does_not_agree() -> None:
    references, outputs = REFERENCES.copy(), REFERENCES.copy()
    references[5] = [1.0, 10.0, 9.2, 2.0]
    outputs[5] = [1.0, 9.59, 9.61, 2.0]  # each logit within the tolerance of 0.5, but not the order

    parity = compare(outputs, references, "native", int8=False)

    assert there(parity.relative) < there(parity.tolerance)
    assert parity.same_top1 == 7
    assert not parity.agrees


@pytest.mark.parametrize(("images", "agrees"), [(1, True), (2, False)])
def test_an_int8_network_may_differ_from_its_parent_in_the_top_class_of_one_image_of_eight(
    images: int, agrees: bool
) -> None:
    outputs = off_by(9, at=2, images=slice(0, images))

    parity = compare(outputs, REFERENCES, "native", int8=True)

    assert parity.same_top1 == 8 - images
    assert parity.agrees == agrees


@pytest.mark.parametrize(("gap", "agrees"), [(0.0005, True), (0.002, False)])
def test_what_lies_between_two_classes_an_int8_network_may_put_into_either(gap: float, agrees: bool) -> None:
    references, outputs = REFERENCES.copy(), REFERENCES.copy()
    references[:2] = [1.0, 10.0, 10.0 * (1 - gap), 2.0]
    outputs[:2] = [1.0, 9.0, 9.5, 2.0]

    assert compare(outputs, references, "f32", int8=True).agrees == agrees


def test_an_int8_network_is_held_to_no_tolerance() -> None:
    parity = compare(REFERENCES * 1.5, REFERENCES, "f32", int8=True)

    assert parity.relative == pytest.approx(0.5)
    assert parity.tolerance is None
    assert parity.agrees


def test_of_fewer_than_eight_images_no_top_class_of_an_int8_network_may_differ() -> None:
    assert not compare(off_by(9, at=2)[:4], REFERENCES[:4], "native", int8=True).agrees


def test_a_reference_of_zeros_is_compared_absolutely() -> None:
    zeros = np.zeros((8, 4), dtype=np.float32)

    assert compare(zeros, zeros, "f32", int8=False).agrees
    assert compare(zeros + 0.5, zeros, "f32", int8=False).relative == 0.5


@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_output_that_is_not_finite_on_one_image_never_agrees(value: float, int8: bool) -> None:
    parity = compare(off_by(value), REFERENCES, "native", int8)

    assert (parity.max_abs, parity.relative, parity.same_top1) == (None, None, 0)
    assert not parity.agrees


@pytest.mark.parametrize("shape", [(4,), (1, 4), (8, 3), (8, 4, 1)])
def test_an_output_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadInput, match="expected"):
        compare(np.ones(shape, dtype=np.float32), REFERENCES, "f32", int8=False)


@pytest.mark.parametrize("shape", [(), (4,), (0, 4), (1, 4, 1, 1)])
def test_a_reference_that_is_not_a_classifiers_is_refused(shape: tuple[int, ...]) -> None:
    outputs = np.ones(shape, dtype=np.float32)

    with pytest.raises(BadInput, match="expected"):
        compare(outputs, outputs, "f32", int8=False)


@pytest.mark.parametrize("size", [(37, 53), (160, 160), (300, 300)])
def test_four_photographs_and_their_mirror_images_always_the_same(size: tuple[int, int]) -> None:
    images = fixed_images((3, *size))

    assert images.shape == (8, 3, *size)
    assert images.dtype == np.float32
    assert images.flags.c_contiguous
    assert np.array_equal(images, fixed_images((3, *size)))
    assert len({image.tobytes() for image in images}) == 8
    assert np.array_equal(images[4:], images[:4, :, :, ::-1])


@pytest.mark.parametrize("size", [32, 48, 75])
def test_a_network_of_digits_is_shown_digits(size: int) -> None:
    images = fixed_images((3, size, size), digits=True)

    assert images.shape == (8, 3, size, size)
    assert images.dtype == np.float32
    assert images.flags.c_contiguous
    assert np.array_equal(images, fixed_images((3, size, size), digits=True))
    assert (images.min(), images.max()) == (-1, pytest.approx(1, abs=0.1))
    zero, first = images[:2, 0]
    middle = size // 2
    assert zero[middle, middle] < -0.5  # white, in its hole
    assert first[middle, middle] > 0.5


def test_what_has_not_three_channels_is_shown_noise() -> None:
    images = fixed_images((1, 28, 28))

    assert images.shape == (8, 1, 28, 28)
    assert abs(images.mean()) < 0.1


def test_photographs_are_normalised_as_imagenets() -> None:
    photographs = fixed_images((3, 224, 224))

    assert abs(photographs.mean()) < 1
    assert 0.5 < photographs.std() < 2
    colours = photographs * STD[:, None, None] + MEAN[:, None, None]
    assert colours.min() == pytest.approx(0, abs=0.02)
    assert colours.max() == pytest.approx(1, abs=0.02)


def test_photographs_are_upright_and_in_rgb() -> None:
    rocket = fixed_images((3, 90, 120))[3] * STD[:, None, None] + MEAN[:, None, None]
    red, _, blue = rocket[:, :20].mean(axis=(1, 2))

    assert blue > 2 * red  # the evening sky is above
    assert rocket[0, -20:].mean() > 2 * red  # and the lights below


def test_the_photographs_and_their_origin_travel_in_the_wheel() -> None:
    names = zipfile.ZipFile(io.BytesIO(wheel())).namelist()

    assert {"sparsebench/bench/photographs.npz", "sparsebench/bench/photographs.txt"} <= set(names)


def test_in_native_an_engine_may_be_as_far_off_as_rounded_weights_make_a_network() -> None:
    outputs = off_by(2)  # a fifth of the largest logit

    assert not compare(outputs, REFERENCES, "native", int8=False, rounding=0.01).agrees
    assert compare(outputs, REFERENCES, "native", int8=False, rounding=0.1).agrees
    assert not compare(outputs, REFERENCES, "f32", int8=False, rounding=0.1).agrees


# Outputs that are no logits.

IMAGE = (np.zeros((1, 3, 8, 8), np.float32),)
BOXES = np.array([[[640.0, 320.0], [0.5, 0.25]]], np.float32)


def judged(outputs: Outputs, reference: Outputs, fed: Feeds = IMAGE, agreement: Agreement = "close") -> Parity:
    return judge([outputs], Reference([fed], [reference], 0.0), "f32", agreement)


@pytest.mark.parametrize(("apart", "agrees"), [(0.0, True), (0.2, True), (0.3, False), (np.nan, False)])
def test_an_int8_network_that_is_held_to_itself_may_be_off_by_steps_of_its_size(apart: float, agrees: bool) -> None:
    logits = np.array([[1.0, 0.99, 0.5]], np.float32)  # of a classifier of images, whose nearest class noise may choose
    parity = judged([logits + np.array([[0, apart, 0]], np.float32)], [logits], agreement="int8")
    assert parity.agrees == agrees
    assert judged([logits], [logits], agreement="same_class").tolerance is None


def test_outputs_of_any_shape_and_number_are_held_to_the_largest_number_of_each() -> None:
    difference = judged(
        [BOXES + 0.32, np.array([[1.0, 2.004]], np.float32)], [BOXES, np.array([[1.0, 2.0]], np.float32)]
    )

    assert difference.relative == pytest.approx(2e-3, rel=1e-2)
    assert difference.max_abs == pytest.approx(0.32, rel=1e-3)
    assert not difference.agrees
    assert judged([BOXES + 0.32], [BOXES]).agrees
    assert judged([BOXES + 0.32], [BOXES]).least_top1 == 0


def test_a_map_of_what_was_detected_is_held_to_the_largest_number_of_all_inferences() -> None:
    """It is all but zero where nothing was, and differs by rounding."""
    empty, full = np.full((1, 1, 4, 4), 1e-7, np.float32), np.full((1, 1, 4, 4), 1.0, np.float32)

    apart = difference([[empty + 1e-7], [full]], [[empty], [full]])

    assert there(apart).relative == pytest.approx(1e-7, rel=0.1)
    assert judged([empty + 1e-7], [empty]).agrees
    assert not judged([empty + 1e-5], [empty]).agrees


def test_of_labels_the_share_that_differs_counts() -> None:
    labels = np.arange(4000)
    other = labels.copy()
    other[:5] += 1

    assert there(difference([[other]], [[labels]])).relative == pytest.approx(5 / 4000)
    assert there(difference([[labels]], [[labels]])).relative == 0
    assert there(difference([[np.array(["cat"])]], [[np.array(["dog"])]])).relative == 1


def test_equal_infinities_agree_and_others_do_not() -> None:
    masked = np.array([[1.0, -np.inf, 3.0]] * 8, np.float32)
    unmasked = np.where(np.isinf(masked), -1e9, masked).astype(np.float32)

    assert compare(masked, masked, "f32", int8=False).agrees
    assert compare(masked, masked, "f32", int8=False).same_top1 == 8
    assert not compare(unmasked, masked, "f32", int8=False).agrees
    assert not compare(-masked, masked, "f32", int8=False).agrees
    assert judged([masked[..., None]], [masked[..., None]]).agrees
    assert judged([unmasked[..., None]], [masked[..., None]]).relative is None


def test_what_is_not_a_number_never_agrees() -> None:
    nan = np.full((1, 2, 2), np.nan, np.float32)

    assert not judged([nan], [nan]).agrees


def test_half_precision_is_compared_without_overflow() -> None:
    large = np.full((1, 4, 1), 6e4, np.float16)

    assert judged([-large], [large]).max_abs == pytest.approx(1.2e5, rel=1e-2)


def test_a_tensor_of_nothing_agrees_with_another_and_another_number_of_outputs_is_refused() -> None:
    nothing = np.zeros((0, 6), np.float32)

    assert judged([nothing], [nothing], (np.zeros((1, 5), np.float32),)).agrees
    with pytest.raises(BadInput, match="outputs of shapes"):
        judged([BOXES, BOXES], [BOXES])


def test_embeddings_are_held_to_the_tolerance_only() -> None:
    """What comes of two numbers is no top class."""
    numbers = (np.zeros((1, 20), np.float32),)
    embedding = np.array([[0.5, 0.4999]], np.float32)

    assert judged([embedding[:, ::-1]], [embedding], numbers).agrees
    assert judged([embedding], [embedding]).least_top1 == 1
