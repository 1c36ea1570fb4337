"""A file comes whole and with its digest, or not at all; and what is wrong is said in one sentence."""

from __future__ import annotations

import gzip
import logging
import os
import subprocess
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

import pytest
from tests.support import web

from sparsebench import webfile
from sparsebench.contracts import sha256
from sparsebench.download import check_keepable, fetch, parse, shown
from sparsebench.errors import BadInput, IntegrityError, SparsebenchError, StoreError
from sparsebench.store import Store
from sparsebench.webfile import DownloadFailed, is_public

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DATA = os.urandom(3 << 20)

FETCH = """
import sys
from pathlib import Path
from sparsebench.download import fetch, parse
from sparsebench.errors import SparsebenchError
from sparsebench.store import Store
for text in sys.argv[2:]:
    try:
        print(fetch(parse(text, "source"), Path(sys.argv[1]) / "file", Store(Path(sys.argv[1]).as_uri())))
    except SparsebenchError as error:
        print(type(error).__name__, error)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with web.files({"model.bin": DATA}) as address:
        yield address


@pytest.fixture(autouse=True)
def this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its servers may be asked: they stand for hosts of the internet."""
    monkeypatch.setenv("SPARSEBENCH_DOWNLOAD_PRIVATE_HOSTS", "127.0.0.1")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store((tmp_path / "store").as_uri())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def test_a_file_comes_from_each_place(server: str, store: Store, folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "with space.bin"
    file.write_bytes(DATA)
    store.write("weights/model.bin", DATA)

    for text in (str(file), file.as_uri(), "store:weights/model.bin", f"{server}/model.bin"):
        target = folder / "file"
        assert fetch(parse(f"{text}#sha256={sha256(DATA)}", "source"), target, store) == sha256(DATA)
        assert target.read_bytes() == DATA
        target.unlink()


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("nowhere", BadInput, "the server answered 404 Not Found"),
        ("half/model.bin", DownloadFailed, "it did not come"),
        ("broken/model.bin", DownloadFailed, "the server answered 503"),
        (f"model.bin#sha256={'0' * 64}", IntegrityError, f"it has sha256 {sha256(DATA)}; expected {'0' * 64}"),
    ],
)
def test_what_does_not_come_whole_leaves_nothing(
    server: str, store: Store, folder: Path, path: str, kind: type[SparsebenchError], message: str
) -> None:
    with pytest.raises(kind, match=message) as caught:
        fetch(parse(f"{server}/{path}", "source"), folder / "file", store)

    assert f"source is '{server}/{path.partition('#')[0]}'" in str(caught.value)
    assert list(folder.iterdir()) == []


def test_a_server_that_is_not_there_is_one_clear_error(store: Store, folder: Path) -> None:
    with pytest.raises(DownloadFailed, match=r"source is 'http://127\.0\.0\.1:1/x': it did not come"):
        fetch(parse("http://127.0.0.1:1/x", "source"), folder / "file", store)


def test_what_is_not_in_the_store_or_on_this_machine_is_named(store: Store, folder: Path) -> None:
    with pytest.raises(StoreError, match="has no weights/x"):
        fetch(parse("store:weights/x", "source"), folder / "file", store)
    with pytest.raises(BadInput, match=r"source is '/nowhere': there is no such file"):
        fetch(parse("/nowhere", "source"), folder / "file", store)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("environment", ["bench", "sparsify"])
def test_google_drive_gives_what_is_shared(folder: Path, tmp_path: Path, environment: str) -> None:
    content = {"shared-0123": DATA, "half-0123456": DATA}
    texts = ["gdrive:shared-0123", "gdrive:private-0123", "gdrive:half-0123456"]
    with web.google_drive(content, tmp_path) as variables:
        python = ROOT / ".envs" / environment / "bin" / "python"
        told = subprocess.check_output(
            [python, "-c", FETCH, folder, *texts],
            env=os.environ | variables | {"PYTHONPATH": str(ROOT / "include")},
            text=True,
        )

    whole, private, half = told.splitlines()
    assert whole == sha256(DATA)
    assert private.startswith("BadInput source is 'gdrive:private-0123': Google Drive does not give it")
    assert half.startswith("DownloadFailed source is 'gdrive:half-0123456': it did not come")
    assert [path.name for path in folder.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "text",
    [
        *("", "model.onnx", "../model.onnx", "hubb", "ftp://host/x", "s3://bucket/x", "file://host/x", "file:x"),
        *("store:", "store:/x", "store:../x", "store:a/../b", "store:a//b", "http://", "https:///x", "http://[x"),
        *("https://me:secret@host/x", "gdrive:", "gdrive:a/b", "gdrive:short"),
        *("https://u:secret@host/x?secret", "HTTPS:me:secret@host/x", "https:///x?X-Signature=secret"),
    ],
)
def test_a_string_that_names_no_file_is_refused(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse(text, "source")

    assert str(caught.value).startswith(f"source is {shown(text)!r}; expected an absolute path, file:///…, store:")
    assert "secret" not in str(caught.value)


def test_a_digest_has_64_digits() -> None:
    with pytest.raises(BadInput, match="the digest is 'abc'; expected 64 hexadecimal digits"):
        parse("/x#sha256=abc", "source")
    assert parse(f"/x#sha256={'A' * 64}", "source").sha256 == "a" * 64


def test_a_link_of_google_drive_is_its_id() -> None:
    for link in ("file/d/0123456789-_/view?usp=sharing", "uc?export=download&id=0123456789-_", "open?id=0123456789-_"):
        source = parse(f"https://drive.google.com/{link}", "source")
        assert (source.kind, source.place, source.origin) == ("gdrive", "0123456789-_", "gdrive:0123456789-_")


def test_the_origin_of_a_url_has_no_signature() -> None:
    assert parse("https://host/a/x.pt?X-Signature=secret", "source").origin == "https://host/a/x.pt"


@pytest.mark.parametrize(
    "query",
    [
        *("X-Amz-Algorithm=a&X-Amz-Signature=s", "X-Goog-Signature=s", "Expires=1&Signature=s&Key-Pair-Id=k"),
        *("sv=1&sig=s", "rlkey=s", "token=s", "access_token=", "api_key=s", "X-Amz-Security-Token=s"),
    ],
)
def test_what_lets_in_whoever_reads_it_is_not_kept(query: str) -> None:
    with pytest.raises(BadInput, match=r"source is 'https://host/x' with .* in its query, which lets in whoever reads"):
        check_keepable(source=f"https://host/x?{query}", parent=None)


@pytest.mark.parametrize(
    "text",
    [
        *("https://host/x", "https://host/x?download=1&raw=true&dl=0", "https://host/signature/token?ref=main"),
        *("/folder/x?token=1", "store:x", "gdrive:0123456789", "https://host/x#sha256=" + 64 * "0", "hub"),
        "https://drive.google.com/file/d/0123456789-_/view?usp=sharing&resourcekey=0-abc",
    ],
)
def test_any_other_address_is_kept(text: str) -> None:
    check_keepable(source=text)


def answering(answer: Callable[[BaseHTTPRequestHandler], None]) -> AbstractContextManager[str]:
    class Handler(web._Quiet):
        def do_GET(self) -> None:
            answer(self)

    return web.serve(Handler)


def redirecting(to: str) -> AbstractContextManager[str]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", to)
        handler.end_headers()

    return answering(answer)


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("http://127.0.0.2/x", "127.0.0.2 has the address 127.0.0.2, which is no public one"),
        ("http://localhost/x", "localhost has the address "),
        ("http://169.254.169.254/latest/meta-data/iam", "169.254.169.254 has the address 169.254.169.254"),
        ("http://10.0.0.1/", "which is no public one"),
        ("http://[::1]/", "which is no public one"),
        ("http://[::ffff:127.0.0.1]/", "which is no public one"),
        ("http://[64:ff9b::7f00:1]/", "which is no public one"),
        ("http://2130706433/", "which is no public one"),
        ("http://0x7f.1/", "which is no public one"),
        ("http://[fec0::1]/", "which is no public one"),
        ("http://0/", "which is no public one"),
        ("http://224.0.0.1/", "which is no public one"),
        ("file:///etc/passwd", "it redirects to something else than a web address ('file')"),
        ("ftp://host/x", "it redirects to something else than a web address ('ftp')"),
        ("http://me:secret@127.0.0.1/", "it redirects to something else than a web address"),
        ("/again", "it redirects more than 10 times"),
    ],
)
def test_each_hop_is_checked(store: Store, folder: Path, to: str, message: str) -> None:
    with redirecting(to) as address, pytest.raises(BadInput) as caught:
        fetch(parse(f"{address}/x?X-Signature=secret", "source"), folder / "file", store)

    assert str(caught.value).startswith(f"source is '{address}/x': ")
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)
    assert list(folder.iterdir()) == []


def test_a_private_host_is_refused_unless_it_is_configured(
    server: str, store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPARSEBENCH_DOWNLOAD_PRIVATE_HOSTS")

    with pytest.raises(BadInput, match=r"127\.0\.0\.1 has the address 127\.0\.0\.1, which is no public one"):
        fetch(parse(f"{server}/model.bin", "source"), folder / "file", store)


def test_a_redirect_within_what_may_be_asked_is_followed(server: str, store: Store, folder: Path) -> None:
    with redirecting(f"{server}/model.bin") as address:
        assert fetch(parse(f"{address}/x", "source"), folder / "file", store) == sha256(DATA)


def test_https_never_becomes_http() -> None:
    with pytest.raises(BadInput, match="it redirects from https to http; expected https all the way"):
        webfile._next("https://host/a", "http://host/a")
    assert webfile._next("https://host/a/b", "../c?d") == "https://host/c?d"


@pytest.mark.parametrize("endless", ["stream", "drip", "header"])
def test_a_download_ends_in_time(store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch, endless: str) -> None:
    monkeypatch.setenv("SPARSEBENCH_DOWNLOAD_MAX_SECONDS", "1")
    left = Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.0 200 OK\r\n" + (b"X: " if endless == "header" else b"\r\n"))
        with suppress(OSError):
            while not left.wait(0 if endless == "stream" else 0.05):
                handler.wfile.write(b"x" * (10_000 if endless == "stream" else 1))

    with (
        answering(answer) as address,
        pytest.raises(DownloadFailed, match="takes longer than SPARSEBENCH_DOWNLOAD_MAX"),
    ):
        fetch(parse(f"{address}/x", "source"), folder / "file", store)
    left.set()

    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("announced", [True, False])
def test_a_file_that_is_too_large_is_refused(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch, announced: bool
) -> None:
    monkeypatch.setenv("SPARSEBENCH_DOWNLOAD_MAX_MB", "1")
    sent = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        length = b"Content-Length: 1000000000\r\n" if announced else b""
        handler.wfile.write(b"HTTP/1.0 200 OK\r\n" + length + b"\r\n")
        with suppress(OSError):
            while True:
                sent.append(handler.wfile.write(b"x" * 100_000))

    with answering(answer) as address, pytest.raises(BadInput, match="it is larger than SPARSEBENCH_DOWNLOAD_MAX_MB"):
        fetch(parse(f"{address}/x", "source"), folder / "file", store)

    assert sum(sent) < 50_000_000
    assert list(folder.iterdir()) == []


def test_what_a_server_compresses_is_not_unpacked(store: Store, folder: Path) -> None:
    bomb = gzip.compress(bytes(30_000_000))

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.answer(200, bomb, Content_Encoding="gzip")  # type: ignore[attr-defined]

    with answering(answer) as address, pytest.raises(BadInput, match=r"the server compresses it \('gzip'\)"):
        fetch(parse(f"{address}/x", "source"), folder / "file", store)


def test_what_connects_when_the_time_is_over_is_ended(server: str) -> None:
    guard = webfile._Guard(["127.0.0.1"])
    guard.expire()
    with pytest.raises(OSError, match="too late"):
        guard.connect("127.0.0.1", urlsplit(server).port or 0, checked=True)


def test_a_signature_is_in_no_log(store: Store, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nno header\r\n\r\nfile")

    with caplog.at_level(logging.DEBUG), answering(answer) as address:
        fetch(parse(f"{address}/x?X-Amz-Signature=secret", "source"), folder / "file", store)
    assert "secret" not in caplog.text


@pytest.mark.parametrize("code", [403, 404, 500])
def test_a_signature_is_in_no_message(store: Store, folder: Path, code: int) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.answer(code)  # type: ignore[attr-defined]

    with answering(answer) as address:
        texts = (f"{address}/x?X-Amz-Signature=secret", "http://127.0.0.1:1/x?X-Amz-Signature=secret")
        for text in texts:
            with pytest.raises(SparsebenchError) as caught:
                fetch(parse(f"{text}#sha256={'0' * 64}", "source"), folder / "file", store)
            assert "secret" not in "".join(traceback.format_exception(caught.value))


def test_addresses_of_the_internet_are_public() -> None:
    assert all(map(is_public, ("1.1.1.1", "2606:4700::1111", "142.250.74.78", "2a00:1450:4001::200e")))


def test_limits_are_whole_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("0", "-1", "1e3", "x", "9" * 5000, "١"):
        monkeypatch.setenv("SPARSEBENCH_DOWNLOAD_MAX_MB", text)
        with pytest.raises(BadInput, match="expected a whole number above 0"):
            webfile.Limits.configured()
