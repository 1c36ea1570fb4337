"""What a network takes is read from its file's header, and what it is fed fits."""

from __future__ import annotations

import numpy as np
import pytest

from sparsebench.bench.images import as_bytes, fixed_images
from sparsebench.bench.inputs import THROUGHPUT_BATCH, feeds_of, inputs_of
from sparsebench.bench.onnx_header import OnnxHeader, TensorInfo
from sparsebench.errors import BadInput

LOGITS = TensorInfo("logits", "float32", ("batch", 10))


def header(*inputs: TensorInfo, outputs: tuple[TensorInfo, ...] = (LOGITS,)) -> OnnxHeader:
    return OnnxHeader(8, 13, inputs, outputs)


def image(kind: str = "float32", shape: tuple[int | str, ...] = ("batch", 3, 32, 48)) -> TensorInfo:
    return TensorInfo("images", kind, shape)


def test_a_classifier_of_images_is_fed_the_same_eight_images_as_ever() -> None:
    inputs = inputs_of(header(image()), "x")

    assert (inputs.batch, inputs.batch_is_free) == (1, True)
    assert (inputs.batch_in("latency"), inputs.batch_in("throughput")) == (1, THROUGHPUT_BATCH)
    assert np.array_equal(np.concatenate([fed for (fed,) in feeds_of(inputs)]), fixed_images((3, 32, 48)))


@pytest.mark.parametrize(("batch", "inferences"), [(2, 4), (3, 3), (8, 1), (12, 1)])
def test_of_a_fixed_batch_every_image_is_another(batch: int, inferences: int) -> None:
    inputs = inputs_of(header(image(shape=(batch, 3, 32, 48)), outputs=(TensorInfo("y", "float32", (batch, 10)),)), "x")
    feeds = feeds_of(inputs)

    assert inputs.batch == inputs.batch_in("throughput") == batch
    assert len(feeds) == inferences
    assert {fed.shape for (fed,) in feeds} == {(batch, 3, 32, 48)}
    assert len({image.tobytes() for (fed,) in feeds for image in fed}) == 8


def test_channels_last_in_bytes_are_the_same_photographs() -> None:
    inputs = inputs_of(header(image("uint8", ("batch", 32, 48, 3))), "x")
    (fed,), *_ = feeds_of(inputs)

    assert (fed.dtype, fed.shape, fed.flags.c_contiguous) == (np.dtype(np.uint8), (1, 32, 48, 3), True)
    assert np.array_equal(fed[0].transpose(2, 0, 1), as_bytes(fixed_images((3, 32, 48)))[0])
    assert fed.max() > 200


@pytest.mark.parametrize("kind", ["float16", "float64"])
def test_images_have_the_type_that_the_file_wants(kind: str) -> None:
    (fed,), *_ = feeds_of(inputs_of(header(image(kind)), "x"))

    assert fed.dtype == kind
    assert np.allclose(fed[0].astype(np.float32), fixed_images((3, 32, 48))[0], atol=1e-2)


def test_several_inputs_are_fed_by_type_and_within_the_range_of_the_graph() -> None:
    shape = ("batch", 16)
    inputs = inputs_of(
        header(
            TensorInfo("ids", "int64", shape, range=(0, 49)),
            TensorInfo("mask", "int64", shape),
            TensorInfo("rate", "int32", shape, range=(16000, 16000)),
            TensorInfo("sound", "float16", shape),
            TensorInfo("pixels", "uint8", shape),
            TensorInfo("padding", "bool", shape),
        ),
        "x",
    )
    feeds = feeds_of(inputs)

    assert len(feeds) == 8
    for ids, mask, rate, sound, pixels, padding in feeds:
        assert [array.dtype for array in (ids, mask, rate, sound, pixels, padding)] == [
            "int64", "int64", "int32", "float16", "uint8", "bool",
        ]  # fmt: skip
        assert ids.min() >= 0
        assert ids.max() <= 49
        assert mask.all()
        assert padding.all()
        assert (rate == 16000).all()
        assert len(set(sound.ravel())) > 8
    assert len({ids.tobytes() for ids, *_ in feeds}) == 8
    for before, after in zip(feeds, feeds_of(inputs), strict=True):
        assert all(np.array_equal(*pair) for pair in zip(before, after, strict=True))


def test_what_shares_no_first_axis_is_no_batch() -> None:
    """A state that is handed on has its batch elsewhere, and a rate has no axes."""
    inputs = inputs_of(
        header(
            TensorInfo("sound", "float32", (1, 512)),
            TensorInfo("state", "float32", (2, 1, 128)),
            TensorInfo("rate", "int64", ()),
            outputs=(TensorInfo("out", "float32", (1, 1)), TensorInfo("next", "float32", (2, 1, 128))),
        ),
        "x",
    )

    assert (inputs.batch, inputs.batch_is_free) == (1, False)
    assert [array.shape for array in feeds_of(inputs)[0]] == [(1, 512), (2, 1, 128), ()]


def test_what_gives_one_number_for_all_that_it_is_fed_has_no_free_batch() -> None:
    """Such as the mean of a score: nothing could be said of one of several sounds."""
    mean = TensorInfo("score", "float32", ())

    with pytest.raises(BadInput, match="--axis batch=SIZE"):
        inputs_of(header(image(), outputs=(mean,)), "x")
    assert inputs_of(header(image(shape=(2, 3, 32, 48)), outputs=(mean,)), "x").batch_in("throughput") == 2


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (TensorInfo("x", "float32", ("batch", 3, "?", "?")), "--axis x.2=SIZE --axis x.3=SIZE"),
        (TensorInfo("x", "float32", ("batch", "time")), "--axis time=SIZE"),
        (TensorInfo("x", "float32", ("samples",)), "--axis samples=SIZE"),
        (TensorInfo("x", "float32", None), "has no shape"),
        (TensorInfo("x", "bfloat16", (1, 4)), "input 'x' is bfloat16; expected float32"),
        (TensorInfo("x", "string", (1, 4)), "input 'x' is string; expected float32"),
        (TensorInfo("x", "", None), "'x' is a sequence or a map"),
        (TensorInfo("x", "float32", (1, 10**9)), "has 4,000,000,000 bytes"),
    ],
)
def test_what_cannot_be_fed_is_refused_with_what_to_do(tensor: TensorInfo, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        inputs_of(header(tensor), "x")


def test_an_output_that_is_no_tensor_is_refused() -> None:
    with pytest.raises(BadInput, match="'probabilities' is a sequence or a map; expected tensors"):
        inputs_of(header(image(), outputs=(TensorInfo("probabilities", "", None),)), "x")
