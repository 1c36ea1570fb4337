"""What a file is that was taken for an ONNX file: read from how it begins, before anything parses it."""

from __future__ import annotations

import stat
from pathlib import Path

from sparsebench.errors import BadInput

LARGEST = 2**31 - 1
"""Bytes of a message of protobuf's, which an ONNX file is."""

IR_VERSION_FIELD = 0x08
"""The first byte of what every exporter writes: the number and kind of the field ``ir_version``."""

BEGINNINGS: dict[bytes, str] = {
    b"version https://git-lfs.github.com/spec/": "it is a git-LFS pointer, which stands for the file; `git lfs pull` "
    "fetches the file itself",
    b"\x1f\x8b": "it is a gzip archive; unpack it first",
    b"BZh": "it is a bzip2 archive; unpack it first",
    b"\xfd7zXZ\x00": "it is an xz archive; unpack it first",
    b"\x28\xb5\x2f\xfd": "it is a zstandard archive; unpack it first",
    b"7z\xbc\xaf\x27\x1c": "it is a 7-zip archive; unpack it first",
    b"\x89HDF": "it is an HDF5 file, as Keras writes; expected an export to ONNX",
    b"\x80\x02": "it is a pickle, as PyTorch wrote checkpoints; expected an export to ONNX",
    b"%PDF": "it is a PDF",
}

AT_FOUR: dict[bytes, str] = {
    b"ORTM": "it is in ONNX Runtime's own format, .ort; expected the ONNX file that it was made from",
    b"TFL3": "it is a TensorFlow Lite file; expected an export to ONNX",
}
"""By the four bytes after the first four, where flatbuffers say what they are."""


def read_model(file: Path, origin: str) -> bytes:
    """The bytes of a file that may be ONNX. ``origin`` names it in an error.

    Raises:
        BadInput: it cannot be read, or is larger than an ONNX file can be.
    """
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BadInput(f"{origin}: cannot read {file}: it is not a file; expected an ONNX file")
        if status.st_size > LARGEST:
            raise BadInput(
                f"{origin}: it has {status.st_size / 1e9:.1f} GB; an ONNX file has 2 GB at most, and larger networks "
                "keep their weights in other files, which is not supported"
            )
        return file.read_bytes()
    except OSError as error:
        raise BadInput(f"{origin}: cannot read {file}: {error.strerror}") from error


def other_kind(data: bytes) -> str | None:
    """What the file is, in words that follow its name, where that is something else than ONNX; None: not known."""
    if not data:
        return "it is empty"
    for beginning, description in BEGINNINGS.items():
        if data.startswith(beginning):
            return description
    if data.startswith(b"PK\x03\x04"):
        if b"/data.pkl" in data[:4096]:
            return "it is a PyTorch checkpoint; expected an export to ONNX"
        return "it is a zip archive; unpack it first"
    if data[4:8] in AT_FOUR:
        return AT_FOUR[data[4:8]]
    if data[257:262] == b"ustar":
        return "it is a tar archive; unpack it first"
    text = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head")):
        return "it is a web page (HTML): what was downloaded is not the file itself"
    if text.startswith(b"<"):
        return "it is XML, as OpenVINO's own format is; expected an ONNX file"
    if text.startswith((b"{", b"[")):
        return "it is JSON"
    return None


def damage(data: bytes) -> str:
    """Why bytes that protobuf does not take are no ONNX file, in words that follow its name."""
    if data[0] != IR_VERSION_FIELD:
        return "it does not begin as an ONNX file does"
    if missing := _missing_bytes(data):
        return f"it is cut short: of what it says that it holds, {missing:,} bytes at least are missing"
    return "it begins as an ONNX file does, and is damaged"


def _missing_bytes(data: bytes) -> int:
    """How far the last of the file's outermost fields reaches beyond its end; 0: not at all."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        kind = key & 7
        if kind == 0:
            _, place = _varint(data, place)
        elif kind == 2:
            length, place = _varint(data, place)
            place += length
        elif kind in (1, 5):
            place += 8 if kind == 1 else 4
        else:
            return 0
    return place - len(data)


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number of protobuf's, seven bits a byte, and the place after it."""
    value = shift = 0
    while place < len(data) and shift < 70:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
    return value, place + 1  # it ends in the middle of the number
