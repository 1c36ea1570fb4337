"""Files from elsewhere: what a person may write for one, and how it is brought here whole or not at all."""

from __future__ import annotations

import hashlib
import posixpath
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal
from urllib.parse import unquote, urlsplit

from sparsebench.errors import BadInput, IntegrityError, SparsebenchError

if TYPE_CHECKING:
    from sparsebench.store import Store

EXPECTED = "an absolute path, file:///…, store:<path in the store>, https://… or gdrive:<id>"
DIGEST_EXPECTED = "64 hexadecimal digits after #sha256="

TIMEOUT_S = 30
"""To connect, and then between two pieces."""

CHUNK_BYTES = 1 << 20

_DIGEST = "#sha256="
_DRIVE_LINK = re.compile(r"https://drive\.google\.com/(?:file/d/|(?:uc|open)\?(?:[^#]*&)?id=)([\w-]+)")


class DownloadFailed(SparsebenchError):
    """A file did not come, or not whole: trying again may help."""


@dataclass(frozen=True)
class FileSource:
    """A file as a person named it."""

    field: str
    """Of the request, for errors."""
    text: str
    """As it was written, without the digest."""
    kind: Literal["file", "store", "http", "gdrive"]
    place: str
    """Path, path in the store, URL, or Google Drive's id."""
    sha256: str | None
    """That the file must have."""

    @property
    def origin(self) -> str:
        """For a card: a URL without its query, which may hold a signature."""
        match self.kind:
            case "http":
                return urlsplit(self.place)._replace(query="", fragment="").geturl()
            case "gdrive":
                return f"gdrive:{self.place}"
        return self.text


def parse(text: str, field: str, expected: str = EXPECTED) -> FileSource:
    """Where a file is, from a string that may end in ``#sha256=<hex>``.

    Args:
        field: of the request that holds the string, for errors.
        expected: what would be right there.

    Raises:
        BadInput: it names no file.
    """
    place, marker, digest = text.rpartition(_DIGEST) if _DIGEST in text else (text, "", "")
    if marker and not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
        raise BadInput(f"{field} is {text!r}: the digest is {digest!r}; expected {DIGEST_EXPECTED}")
    found = _kind_and_place(place)
    if found is None:
        raise BadInput(f"{field} is {text!r}; expected {expected}")
    return FileSource(field, place, *found, sha256=digest.lower() or None)


def _kind_and_place(text: str) -> tuple[Literal["file", "store", "http", "gdrive"], str] | None:
    try:
        parts = urlsplit(text)
    except ValueError:  # a bracket that looks like the start of an IPv6 address
        return None
    if text.startswith("/"):
        return "file", text
    if link := _DRIVE_LINK.match(text):
        return "gdrive", link[1]
    match parts.scheme:
        case "file" if parts.netloc in ("", "localhost") and parts.path.startswith("/"):
            return "file", unquote(parts.path)
        case "store" if is_store_path(text.removeprefix("store:")):
            return "store", text.removeprefix("store:")
        case "http" | "https" if parts.hostname and "@" not in parts.netloc:  # a password would be kept in the request
            return "http", text
        case "gdrive" if re.fullmatch(r"[\w-]{10,}", text.removeprefix("gdrive:"), re.ASCII):
            return "gdrive", text.removeprefix("gdrive:")
    return None


def is_store_path(path: str) -> bool:
    """Whether it is one that the store takes: within it, and in its normal form."""
    return bool(path) and path != "." and not path.startswith(("/", "..")) and posixpath.normpath(path) == path


def fetch(source: FileSource, target: Path, store: Store) -> str:
    """Bring a file to ``target``, whole and with the digest that it must have, or leave nothing. Returns its sha256.

    Raises:
        BadInput: there is no such file, or it is not for us.
        StoreError: the store does not have it.
        DownloadFailed: it did not come, or not whole.
        IntegrityError: it has another digest than it must have.
    """
    draft = target.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with draft.open("xb") as sink:
            _WRITERS[source.kind](source, sink, store)
        with draft.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if source.sha256 not in (None, digest):
            raise IntegrityError(
                f"{source.field} is {source.text!r}: it has sha256 {digest}; expected {source.sha256}, as was asked for"
            )
        draft.replace(target)
    except OSError as error:
        raise DownloadFailed(f"{source.field} is {source.text!r}: it cannot be copied to {target}: {error}") from error
    finally:
        draft.unlink(missing_ok=True)
    return digest


def _from_file(source: FileSource, sink: BinaryIO, store: Store) -> None:
    file = Path(source.place)
    if not file.is_file():
        raise BadInput(f"{source.field} is {source.text!r}: there is no such file on this machine")
    with file.open("rb") as opened:
        shutil.copyfileobj(opened, sink, CHUNK_BYTES)


def _from_store(source: FileSource, sink: BinaryIO, store: Store) -> None:
    sink.write(store.read(source.place))


def _from_web(source: FileSource, sink: BinaryIO, store: Store) -> None:
    import requests

    with _one_error(source), requests.get(source.place, stream=True, timeout=TIMEOUT_S) as answer:
        answer.raise_for_status()
        for chunk in answer.iter_content(CHUNK_BYTES):  # raises when fewer bytes come than were announced
            sink.write(chunk)


def _from_drive(source: FileSource, sink: BinaryIO, store: Store) -> None:
    import gdown

    with _one_error(source):
        try:
            gdown.download(id=source.place, output=sink, quiet=True, use_cookies=False, timeout=TIMEOUT_S)
        except gdown.exceptions.FileURLRetrievalError as error:
            raise BadInput(
                f"{source.field} is {source.text!r}: Google Drive does not give it: {' '.join(str(error).split())}; "
                "expected a file that everyone with the link may see"
            ) from error
        except (gdown.exceptions.DownloadError, KeyError) as error:  # it takes headers for granted
            raise DownloadFailed(f"{source.field} is {source.text!r}: it did not come: {error}") from error


@contextmanager
def _one_error(source: FileSource) -> Iterator[None]:
    import requests

    try:
        yield
    except requests.HTTPError as error:
        code, reason = error.response.status_code, error.response.reason  # type: ignore[union-attr]
        kind = BadInput if code < HTTPStatus.INTERNAL_SERVER_ERROR else DownloadFailed
        raise kind(
            f"{source.field} is {source.text!r}: the server answered {code} {reason}; expected a file that it gives "
            "without asking who wants it"
        ) from error
    except requests.RequestException as error:
        raise DownloadFailed(f"{source.field} is {source.text!r}: it did not come: {error}") from error


_WRITERS = {"file": _from_file, "store": _from_store, "http": _from_web, "gdrive": _from_drive}
