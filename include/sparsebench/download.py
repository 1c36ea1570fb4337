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
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from sparsebench import webfile
from sparsebench.errors import BadInput, IntegrityError
from sparsebench.webfile import CHUNK_BYTES, DownloadFailed, LimitedSink, Limits

if TYPE_CHECKING:
    from sparsebench.store import Store

EXPECTED = "an absolute path, file:///…, store:<path in the store>, https://… or gdrive:<id>"
DIGEST_EXPECTED = "64 hexadecimal digits after #sha256="

_DIGEST = "#sha256="
_CREDENTIAL = re.compile(r"(?i)signature|token|secret|password|credential|(?<!resource)key$|^(?:sig|auth)$")
"""In the name of a query's field whose value lets in whoever has it: signed URLs of S3, Google, Azure and CloudFront,
links of Dropbox, keys of APIs."""

_DRIVE_LINK = re.compile(r"https://drive\.google\.com/(?:file/d/|(?:uc|open)\?(?:[^#]*&)?id=)([\w-]+)")


@dataclass(frozen=True)
class FileSource:
    """A file as a person named it."""

    field: str
    """Of the request, for errors."""
    text: str
    """As it was written, without the digest, and of a URL without the user and the query, which may be secrets: what
    may be shown and kept."""
    kind: Literal["file", "store", "http", "gdrive"]
    place: str
    """Path, path in the store, URL, or Google Drive's id."""
    sha256: str | None
    """That the file must have."""

    @property
    def origin(self) -> str:
        """The origin, for a card."""
        return f"gdrive:{self.place}" if self.kind == "gdrive" else self.text


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
        raise BadInput(f"{field} is {shown(text)!r}: the digest is {digest[:80]!r}; expected {DIGEST_EXPECTED}")
    kind_and_place = _kind_and_place(place)
    if kind_and_place is None:
        raise BadInput(f"{field} is {shown(text)!r}; expected {expected}")
    return FileSource(field, shown(place), *kind_and_place, sha256=digest.lower() or None)


def shown(text: str) -> str:
    """A text that may be a URL, without what nobody but its server should see."""
    scheme, mark, rest = text.partition(":")
    if not mark or not re.fullmatch(r"[A-Za-z][\w+.-]*", scheme) or scheme in ("store", "gdrive"):
        return text
    place = re.split(r"[?#]", rest, maxsplit=1)[0]
    authority, slash, path = place.removeprefix("//").partition("/")
    slashes = "//" if place.startswith("//") else ""
    return f"{scheme}:{slashes}{authority.rpartition('@')[2]}{slash}{path}"


def check_keepable(**fields: str | None) -> None:
    """Refuse URLs that may not be kept: a request stays in the store, where every retry reads it again.

    Args:
        fields: of a request, by name, that may name a file.

    Raises:
        BadInput: a query has what lets in whoever reads it. The message has the names of the query's fields alone.
    """
    for field, text in fields.items():
        query = urlsplit(text.partition("#")[0]).query if text and text.startswith(("http:", "https:")) else ""
        if found := [name for name, _ in parse_qsl(query, keep_blank_values=True) if _CREDENTIAL.search(name)]:
            raise BadInput(
                f"{field} is {shown(text or '')!r} with {', '.join(found)} in its query, which lets in whoever reads "
                "it, and requests are kept; expected a URL without, or a file that was put into the store: store:<path>"
            )


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
    limits = Limits.configured()
    with _named(source):
        webfile.get(source.place, LimitedSink(sink, limits), limits)


def _from_drive(source: FileSource, sink: BinaryIO, store: Store) -> None:
    import gdown
    import requests

    with _named(source):
        target = cast(BinaryIO, LimitedSink(sink, Limits.configured()))
        try:
            gdown.download(id=source.place, output=target, quiet=True, use_cookies=False, timeout=webfile.TIMEOUT_S)
        except gdown.exceptions.FileURLRetrievalError as error:
            raise BadInput(
                f"Google Drive does not give it: {' '.join(str(error).split())}; expected a file that everyone with "
                "the link may see"
            ) from error
        except (gdown.exceptions.DownloadError, requests.RequestException, KeyError) as error:
            raise DownloadFailed(f"it did not come: {error}") from error  # KeyError: it takes headers for granted


@contextmanager
def _named(source: FileSource) -> Iterator[None]:
    """Errors say which source they are of."""
    try:
        yield
    except (BadInput, DownloadFailed) as error:
        raise type(error)(f"{source.field} is {source.text!r}: {error}") from error.__cause__


_WRITERS = {"file": _from_file, "store": _from_store, "http": _from_web, "gdrive": _from_drive}
