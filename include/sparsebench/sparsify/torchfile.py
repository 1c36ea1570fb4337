"""What ``torch.save`` wrote, read without torch's reader or Python's unpickler: tensors (on the CPU) and plain values.

A file has one reader from its first byte to its last. What it has beside tensors and plain values is refused.
"""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from sparsebench.sparsify.pickled import Storage, TensorView, Unreadable, read

MAGIC: Final = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
"""The pickle that a file of before 2020 begins with."""

ZIP: Final = b"PK\x03\x04"
_ENCRYPTED: Final = 1
_PROTOCOL: Final = 1001

_MEMBER = re.compile(
    r"data\.pkl|version|byteorder|\.format_version|\.storage_alignment|\.data/serialization_id|data/\w+"
)
"""Of a file of tensors. TorchScript has code and constants beside them."""

_TYPES: Final = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


def load(file: Path) -> Any:
    """The content of a file by ``torch.save``, of today's format or that of before 2020.

    Raises:
        Unreadable: it is damaged, of another kind, or holds anything but tensors and plain values.
        OSError: it cannot be read.
    """
    with file.open("rb") as opened:
        begin = opened.read(len(MAGIC))
    if begin.startswith(ZIP):
        return _load_zip(file)
    if begin == MAGIC:
        return _load_stream(file)
    raise Unreadable("it is of another kind")


class _Storages:
    """The numbers of a file, by key, as torch knows them."""

    def __init__(self, numbers: Callable[[Storage], Tensor], size: int):
        self._numbers = numbers
        self._left = size  # of the file: two storages may not share bytes, or little there would be much in memory
        self.known: dict[str, tuple[Storage, Tensor]] = {}

    def tensor(self, view: TensorView) -> Tensor:
        storage, size, stride = view.storage, view.size, view.stride
        last = view.offset + sum((count - 1) * step for count, step in zip(size, stride, strict=True))
        if math.prod(size) and last >= storage.count:
            raise Unreadable(f"a tensor has more numbers than there are in {storage.key!r}")
        if storage.key not in self.known:
            self._left -= _bytes(storage)
            if self._left < 0:
                raise Unreadable("its tensors are larger than itself")
            self.known[storage.key] = storage, self._numbers(storage)
        before, numbers = self.known[storage.key]
        if before != storage:
            raise Unreadable(f"the numbers {storage.key!r} are of two types")
        return numbers.as_strided(size, stride, view.offset)


def _load_zip(file: Path) -> Any:
    try:
        with zipfile.ZipFile(file) as archive:
            members = _members(archive)
            if "byteorder" in members and archive.read(members["byteorder"]) != b"little":
                raise Unreadable("its numbers are not little-endian")

            def numbers(storage: Storage) -> Tensor:
                member = members.get(f"data/{storage.key}")
                if member is None or member.file_size != _bytes(storage):
                    raise Unreadable(f"the numbers {storage.key!r} are missing, too few or too many")
                content = archive.read(member)
                return torch.frombuffer(bytearray(content), dtype=_TYPES[storage.type]) if content else _empty(storage)

            return read(BytesIO(archive.read(members["data.pkl"])), _Storages(numbers, file.stat().st_size).tensor)
    # zipfile's NotImplementedError says that the archive wants a version, or an encryption, that it does not have.
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise Unreadable(f"its archive is damaged: {first_line(error)}") from error


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The archive's files, by name without the folder that they are in."""
    entries = archive.infolist()
    folders = {entry.filename.partition("/")[0] for entry in entries}
    members = {entry.filename.partition("/")[2]: entry for entry in entries}
    if len(folders) != 1 or len(members) != len(entries) or "data.pkl" not in members:
        raise Unreadable("it is an archive of another kind")
    for name, entry in members.items():
        if not _MEMBER.fullmatch(name):
            raise Unreadable(f"it is an archive of another kind, with {name[:80]!r} in it")
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & _ENCRYPTED:
            raise Unreadable(f"{name[:80]!r} in it is compressed or encrypted")
    return members


def _load_stream(file: Path) -> Any:
    """Pickles one after another: the magic, the protocol, the system, the content, and the keys of the storages in the
    order in which they follow, each with the count of its numbers before them."""
    storages = _Storages(_empty, file.stat().st_size)
    with file.open("rb") as stream:
        _, protocol, system = (read(stream, storages.tensor) for _ in range(3))
        if protocol != _PROTOCOL or not isinstance(system, dict) or system.get("little_endian") is not True:
            raise Unreadable("it is of a format that is not known")
        content, keys = (read(stream, storages.tensor) for _ in range(2))
        names = isinstance(keys, list) and all(isinstance(key, str) for key in keys)  # not lists in lists without end
        if not names or sorted(keys) != sorted(storages.known):
            raise Unreadable("its numbers are not those of its tensors")
        for key in keys:
            storage, target = storages.known[key]
            if int.from_bytes(stream.read(8), "little") != storage.count:
                raise Unreadable(f"the numbers {key!r} are too few or too many")
            data = stream.read(_bytes(storage))
            if len(data) != _bytes(storage):
                raise Unreadable("it is cut")
            if data:
                target.copy_(torch.frombuffer(bytearray(data), dtype=target.dtype))
        if stream.read(1):
            raise Unreadable("it has something behind its end")
    return content


def _bytes(storage: Storage) -> int:
    return storage.count * _TYPES[storage.type].itemsize


def _empty(storage: Storage) -> Tensor:
    return torch.empty(storage.count, dtype=_TYPES[storage.type])


def first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
