"""Content that is known by a digest: artifacts, payloads, locks, and the wheels of locks."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from sparsebench.contracts import sha256
from sparsebench.errors import IntegrityError, StoreError
from sparsebench.store.objects import Objects


class Blobs(Objects):
    """Files of bytes, beside the objects."""

    @staticmethod
    def artifact_path(digest: str) -> str:
        return f"artifacts/{digest}.onnx"

    @staticmethod
    def payload_path(digest: str) -> str:
        return f"payloads/{digest}.whl"

    @staticmethod
    def lock_path(digest: str) -> str:
        return f"locks/{digest}.txt"

    def put_artifact(self, data: bytes) -> str:
        return self._put(self.artifact_path, data)

    def put_payload(self, data: bytes) -> str:
        return self._put(self.payload_path, data)

    def put_lock(self, data: bytes) -> str:
        return self._put(self.lock_path, data)

    def _put(self, path_of: Callable[[str], str], data: bytes) -> str:
        digest = sha256(data)
        if not self.exists(path_of(digest)):
            self.write(path_of(digest), data)
        return digest

    def artifact(self, digest: str) -> bytes:
        """An artifact's bytes, checked against its digest."""
        path = self.artifact_path(digest)
        data = self.read(path)
        if sha256(data) != digest:
            raise IntegrityError(f"{self.uri}: {path} has digest {sha256(data)}: it was edited or damaged")
        return data

    def fetch_artifact(self, digest: str, target: Path | None = None) -> None:
        """Check an artifact against its digest, chunk by chunk, writing it to ``target`` on the way.

        Raises:
            StoreError: there is no such artifact.
            IntegrityError: it is another content; ``target`` is then removed.
        """
        path = self.artifact_path(digest)
        hasher = hashlib.sha256()
        try:
            with self._fs.open(self._path(path), "rb") as source, open(target or os.devnull, "wb") as sink:
                while chunk := source.read(1 << 22):
                    hasher.update(chunk)
                    sink.write(chunk)
        except FileNotFoundError as error:
            raise StoreError(f"{self.uri} has no {path}") from error
        if hasher.hexdigest() != digest:
            if target:
                target.unlink()
            raise IntegrityError(f"{self.uri}: {path} has digest {hasher.hexdigest()}: it was edited or damaged")

    @staticmethod
    def wheelhouse_path(lock: str, name: str) -> str:
        """Of the lock with this digest. It needs no digest of its own: the lock has that of every wheel."""
        return f"wheelhouses/{lock}/{name}.tar"
