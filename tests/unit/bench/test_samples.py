"""Samples: an .npz is refused before anything of it is unpacked or executed, and what fits is what a network is fed."""

from __future__ import annotations

import contextlib
import io
import zipfile
from base64 import b64encode
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sparsebench.bench.inputs import feeds_of, inputs_of
from sparsebench.bench.onnx_header import OnnxHeader, TensorInfo, _shapes
from sparsebench.bench.samples import LARGEST, npz_file, read_samples, sizes_of
from sparsebench.errors import BadInput

OUTPUTS = (TensorInfo("states", "float32", ("batch", "sequence", 8)),)
TEXT = OnnxHeader(
    8,
    13,
    (TensorInfo("ids", "int64", ("batch", "sequence")), TensorInfo("mask", "int64", ("batch", "sequence"))),
    OUTPUTS,
)
PICTURE = OnnxHeader(8, 13, (TensorInfo("images", "float32", (1, 3, "height", 48)),), OUTPUTS)


def npz(**arrays: Any) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()


def ones(*shape: int) -> Any:
    return np.ones(shape, np.int64)


def test_what_was_saved_is_read() -> None:
    arrays = read_samples(npz(ids=ones(1, 4), mask=ones(1, 4)), "x")
    assert sorted(arrays) == ["ids", "mask"]
    assert sizes_of(arrays, TEXT, True, "x") == {"sequence": 4}


@pytest.mark.parametrize("kind", [">f4", "<f4", ">i8"])
def test_whatever_the_order_of_bytes_and_axes_it_is_read_as_engines_take_it(kind: str) -> None:
    saved = np.asfortranarray(np.arange(6, dtype=kind).reshape(2, 3))
    read = read_samples(npz(x=saved), "x")["x"]
    assert read.dtype.isnative
    assert read.flags.c_contiguous
    assert read.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_an_archive_that_any_other_compression_damages_is_refused() -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_LZMA) as archive:
        saved = io.BytesIO()
        np.save(saved, ones(50, 50))
        archive.writestr("x.npy", saved.getvalue())
    whole = content.getvalue()
    assert read_samples(whole, "x")["x"].shape == (50, 50)
    for place in range(40, len(whole) - 120, 7):
        damaged = whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
        with contextlib.suppress(BadInput):
            read_samples(damaged, "x")


def test_a_scalar_stays_one() -> None:
    assert read_samples(npz(rate=np.int64(16000)), "x")["rate"].shape == ()


class Harmful:
    """What ends a process that unpickles it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (exit, (3,))


def zipped(**files: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("_npy", ".npy"), data)
    return content.getvalue()


def announced(shape: str) -> bytes:
    """An array whose header says how large it is, and nothing of it."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return zipped(a_npy=b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", "not an .npz file that can be read"),
        (b"\x93NUMPY", "not an .npz file that can be read"),
        (npz(ids=ones(1, 4))[:-30], "not an .npz file that can be read"),
        (npz(ids=np.array([Harmful()], dtype=object)), "'ids' is pickled; expected an array of numbers"),
        (zipped(notes=b"text"), "'notes' is no array; expected .npy files alone"),
        (zipped(a_npy=b"text"), "not an .npz file that can be read"),
        (npz(ids=np.zeros(LARGEST // 8 + 1)), f"its arrays have {LARGEST + 8:,} bytes; expected {LARGEST:,} at most"),
        (announced("(10000000000,)"), "'a' has shape [10000000000]; expected sizes from 0 to 16,777,216"),
        (announced("(16777216, 16777216)"), "its arrays have 2,251,799,813,685,248 bytes; expected"),
        (announced("(__import__('os').abort(),)"), "not an .npz file that can be read"),
        (announced("(-100000000,)"), "'a' has shape [-100000000]; expected sizes from 0"),
        (announced("(0, 10000000000000000000000000)"), "'a' has shape [0, 10000000000000000000000000]; expected"),
        (announced("(True, 2)"), "'a' has shape [True, 2]; expected"),
        (announced("((" + "-" * 100), "not an .npz file that can be read"),
        (zipped(a_npy=b"\x93NUMPY\x02\x00" + (2**29).to_bytes(4, "little") + b" " * 2**20), "not an .npz file"),
        (npz(**{f"a{number}": ones(1) for number in range(257)}), "it has 257 arrays; expected 256 at most"),
        (npz(sound=np.array([1.0, np.inf])), "'sound' has numbers that are not finite"),
        (npz(sound=np.array([np.nan], np.float16)), "'sound' has numbers that are not finite"),
    ],
    ids=range(18),
)
def test_what_is_no_file_of_arrays_is_refused(data: bytes, error: str) -> None:
    with pytest.raises(BadInput) as raised:
        read_samples(data, "x.npz")
    assert str(raised.value).startswith(f"x.npz: {error}")


@pytest.mark.parametrize(
    ("header", "arrays", "error"),
    [
        (TEXT, {"ids": ones(1, 4)}, "it has no array 'mask'; expected one for each of ids, mask"),
        (
            TEXT,
            {"ids": ones(1, 4), "mask": ones(1, 4), "types": ones(1, 4)},
            "the network has no input 'types'; expected arrays called ids, mask",
        ),
        (
            TEXT,
            {"ids": ones(1, 4).astype(np.int32), "mask": ones(1, 4)},
            "'ids' is int32 [1, 4]; expected int64 ['batch', 'sequence']",
        ),
        (TEXT, {"ids": ones(4), "mask": ones(1, 4)}, "'ids' is int64 [4]; expected int64 ['batch', 'sequence']"),
        (TEXT, {"ids": ones(1, 0), "mask": ones(1, 4)}, "'ids' is int64 [1, 0]; expected"),
        (TEXT, {"ids": ones(1, 4), "mask": ones(1, 5)}, "'mask' has 5 where another array has sequence=4"),
        (
            TEXT,
            {"ids": ones(2, 4), "mask": ones(3, 4)},
            "its arrays have different numbers of samples: 'ids' 2, 'mask' 3",
        ),
        (TEXT, {"ids": ones(1001, 1), "mask": ones(1001, 1)}, "it has 1,001 samples; expected 1,000 at most"),
        (
            PICTURE,
            {"images": np.ones((1, 3, 32, 32), np.float32)},
            "'images' is float32 [1, 3, 32, 32]; expected float32 [1, 3, 'height', 48]",
        ),
    ],
)
def test_what_does_not_fit_an_input_is_named_with_what_would(
    header: OnnxHeader, arrays: dict[str, Any], error: str
) -> None:
    with pytest.raises(BadInput) as raised:
        sizes_of(arrays, header, header is TEXT, "x.npz")
    assert str(raised.value).startswith(f"x.npz: {error}")


def test_each_sample_is_an_inference_of_its_own() -> None:
    ids, mask = np.arange(12).reshape(3, 4), ones(3, 4)
    each = tuple(TensorInfo(tensor.name, tensor.kind, ("batch", 4)) for tensor in TEXT.inputs)
    inputs = inputs_of(OnnxHeader(8, 13, each, OUTPUTS, b64encode(npz(mask=mask, ids=ids)).decode()), "x")
    feeds = feeds_of(inputs)
    assert [[array.tolist() for array in fed] for fed in feeds] == [[[row], [[1] * 4]] for row in ids.tolist()]


def test_a_file_that_brings_samples_that_are_not_for_it_is_refused() -> None:
    damaged = OnnxHeader(8, 13, PICTURE.inputs, OUTPUTS, "%")
    sized = (TensorInfo("images", "float32", (1, 3, 32, 48)),)
    other = OnnxHeader(8, 13, sized, OUTPUTS, b64encode(npz(sound=ones(1))).decode())
    for header, error in ((damaged, "free axes"), (other, "x, its samples: the network has no input 'sound'")):
        with pytest.raises(BadInput, match=error):
            inputs_of(header, "x")


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "large.npz"
    with file.open("wb") as content:
        content.truncate(3 * 10**9)
    with pytest.raises(BadInput, match=r"x: it has 3,000,000,000 bytes; expected an \.npz file"):
        npz_file(file, "x")
    with pytest.raises(BadInput, match=r"x: cannot read .*: No such file"):
        npz_file(tmp_path / "none.npz", "x")


@pytest.mark.parametrize("text", ["nonsense", "[1]", '{"x": 5}', '{"x": [-3, 4]}', '{"x": [2]}', '{"y": [2, 2]}'])
def test_shapes_in_a_files_metadata_that_are_none_are_refused(text: str) -> None:
    entry = SimpleNamespace(
        name="x", type=SimpleNamespace(tensor_type=SimpleNamespace(shape=SimpleNamespace(dim=[1, 2])))
    )

    def model(value: str) -> Any:
        props = [SimpleNamespace(key="sparsebench.shapes", value=value)]
        return SimpleNamespace(metadata_props=props, graph=SimpleNamespace(input=[entry]))

    assert _shapes(model('{"x": [2, 3]}'), "net.onnx") == {"x": [2, 3]}
    with pytest.raises(BadInput, match=r"net\.onnx: its metadata 'sparsebench\.shapes' is "):
        _shapes(model(text), "net.onnx")
