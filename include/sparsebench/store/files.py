"""Files behind a URI, ``file://…`` or ``s3://…``: read whole, written atomically."""

from __future__ import annotations

import os
import posixpath
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from glob import has_magic
from itertools import islice
from pathlib import Path
from typing import IO

import fsspec
from fsspec.implementations.local import LocalFileSystem

from sparsebench.errors import StoreError

_S3 = {
    # Other processes write while we read.
    "use_listings_cache": False,
    "skip_instance_cache": True,
    # botocore signs URLs by version 2 in some regions, which S3 refuses for buckets of after June 2020.
    # And it signs them for the global host, which refuses or redirects what is in most regions: virtual is regional.
    "config_kwargs": {"signature_version": "s3v4", "s3": {"addressing_style": "virtual"}},
}

AT_A_TIME = 256
"""Objects that are asked of S3 side by side."""


class Files:
    """A tree of files behind a URI. Every write is whole or not at all.

    Raises:
        StoreError: the URI has no known scheme, or the object cannot be read or written.
    """

    def __init__(self, uri: str):
        self.uri = uri.rstrip("/")
        scheme = uri.partition("://")[0] if "://" in uri else "file"
        if scheme not in ("file", "s3"):
            raise StoreError(
                f"store {uri!r}: {scheme}:// is not supported; expected file:///folder or s3://bucket/prefix"
            )
        try:
            self._fs, self._root = fsspec.core.url_to_fs(self.uri, **(_S3 if uri.startswith("s3://") else {}))
        except (ValueError, ImportError) as error:
            raise StoreError(f"store {uri!r}: {error}; expected file:///folder or s3://bucket/prefix") from error

    @property
    def is_local(self) -> bool:
        return isinstance(self._fs, LocalFileSystem)

    def _path(self, path: str) -> str:
        if path.startswith(("/", "..")) or posixpath.normpath(path) != path:
            raise StoreError(f"path {path!r} leaves the store")
        return f"{self._root}/{path}"

    def exists(self, path: str) -> bool:
        return self._fs.exists(self._path(path))

    def read(self, path: str) -> bytes:
        try:
            return self._fs.cat_file(self._path(path))
        except FileNotFoundError as error:
            raise StoreError(f"{self.uri} has no {path}") from error
        except Exception as error:  # botocore, aiohttp and the file system each have their own
            raise StoreError(f"{self.uri}: cannot read {path}: {error}") from error

    def read_all(self, paths: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Many objects, in this order; those of S3 are asked side by side.

        Raises:
            StoreError: one of them cannot be read.
        """
        remaining = iter(paths)
        while batch := list(islice(remaining, AT_A_TIME)):
            contents = self._side_by_side(batch)
            for path in batch:
                content = contents.get(path)
                yield path, content if isinstance(content, bytes) else self.read(path)

    def files(self, paths: Sequence[str]) -> list[bytes | None]:
        """What ``file`` says of each path; those of S3 are asked side by side.

        Raises:
            StoreError: one of them cannot be read.
        """
        contents = self._side_by_side(paths)
        absent = {path for path, content in contents.items() if isinstance(content, FileNotFoundError)}
        return [
            None if path in absent else content if isinstance(content := contents.get(path), bytes) else self.file(path)
            for path in paths
        ]

    def _side_by_side(self, paths: Sequence[str]) -> dict[str, bytes | Exception]:
        """What came of each object of S3. A path that looks like a pattern would be taken for one, and is not asked."""
        literal = [] if self.is_local else [path for path in paths if not has_magic(path)]
        if not literal:
            return {}
        contents = self._fs.cat([self._path(path) for path in literal], on_error="return")
        return {path: contents[self._path(path)] for path in literal}

    def file(self, path: str) -> bytes | None:
        """An object, or None where there is none: a folder of that name is none, and nor is what a symbolic link on the
        way leads to, which may be outside the store."""
        target = self._path(path)
        if self.is_local and Path(target).resolve() != Path(self._root).resolve() / path:
            return None
        return self.read(path) if self._fs.isfile(target) else None

    def write(self, path: str, data: bytes) -> None:
        """Write or replace an object, atomically."""
        self._write(path, data, exclusive=False)

    def write_file(self, path: str, file: Path) -> None:
        """Write or replace an object with what a file holds, atomically, and without having it all in memory."""
        target = self._path(path)
        try:
            if not self.is_local:
                self._fs.put_file(str(file), target)
                return
            with _draft(target) as draft, file.open("rb") as source:
                shutil.copyfileobj(source, draft)
        except Exception as error:
            raise StoreError(f"{self.uri}: cannot write {path}: {error}") from error

    def _write(self, path: str, data: bytes, exclusive: bool) -> None:
        """Write an object whole or not at all; where ``exclusive``, FileExistsError if it is there."""
        target = self._path(path)
        try:
            if not self.is_local:
                self._fs.pipe_file(target, data, mode="create" if exclusive else "overwrite")
                return
            with _draft(target, exclusive) as draft:
                draft.write(data)
        except Exception as error:
            if exclusive and isinstance(error, FileExistsError) and self.exists(path):
                raise  # not: a file stands where a folder should be
            raise StoreError(f"{self.uri}: cannot write {path}: {error}") from error

    def write_once(self, path: str, data: bytes) -> bool:
        """Write an object that never changes; whether it was new. Another content under its name is an error."""
        try:
            self._write(path, data, exclusive=True)  # of two writers at once, one is first
        except FileExistsError:
            if self.read(path) != data:
                raise StoreError(f"{self.uri}: {path} exists with another content; it is never replaced") from None
            return False
        return True

    def paths(self, prefix: str) -> Iterator[str]:
        """The paths of all objects below a folder, sorted."""
        base = self._path(prefix)
        for match in sorted(self._fs.find(base)):
            path = str(match)[len(self._root) + 1 :]
            if not posixpath.basename(path).startswith("."):
                yield path

    def folders(self, prefix: str) -> list[str]:
        """The names of the folders in a folder, sorted, by one listing that does not go into them."""
        try:
            entries = self._fs.ls(self._path(prefix), detail=True)
        except FileNotFoundError:
            return []
        return sorted(posixpath.basename(entry["name"]) for entry in entries if entry["type"] == "directory")

    def url(self, path: str, expires_s: int = 3600) -> str:
        """A URL that curl can GET: ``file://…``, or one that is signed for this object and this long."""
        if self.is_local:
            return Path(self._path(path)).as_uri()
        return self._fs.sign(self._path(path), expiration=expires_s)

    def check_writable(self) -> None:
        """Raises StoreError, naming the reason, when nothing could be written. Leaves nothing behind."""
        probe = f"progress/.probe-{uuid.uuid4().hex}"
        self.write(probe, b"")
        self._fs.rm_file(self._path(probe))


@contextmanager
def _draft(target: str, exclusive: bool = False) -> Iterator[IO[bytes]]:
    """A file that takes the target's place when it is whole; where ``exclusive``, FileExistsError if that is there."""
    folder = os.path.dirname(target)
    os.makedirs(folder, exist_ok=True)
    draft = f"{folder}/.{uuid.uuid4().hex}.tmp"
    try:
        with open(draft, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        (os.link if exclusive else os.replace)(draft, target)
    finally:
        Path(draft).unlink(missing_ok=True)
