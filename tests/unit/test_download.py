"""A file comes whole and with its digest, or not at all; and what is wrong is said in one sentence."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit import web

from sparsebench.contracts import sha256
from sparsebench.download import DownloadFailed, fetch, parse
from sparsebench.errors import BadInput, IntegrityError, SparsebenchError, StoreError
from sparsebench.store import Store

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
    ("path", "kind", "said"),
    [
        ("nowhere", BadInput, "the server answered 404 Not Found"),
        ("half/model.bin", DownloadFailed, "it did not come"),
        ("broken/model.bin", DownloadFailed, "the server answered 503"),
        (f"model.bin#sha256={'0' * 64}", IntegrityError, f"it has sha256 {sha256(DATA)}; expected {'0' * 64}"),
    ],
)
def test_what_does_not_come_whole_leaves_nothing(
    server: str, store: Store, folder: Path, path: str, kind: type[SparsebenchError], said: str
) -> None:
    with pytest.raises(kind, match=said) as caught:
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
    ],
)
def test_a_string_that_names_no_file_is_refused(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse(text, "source")

    assert str(caught.value).startswith(f"source is {text!r}; expected an absolute path, file:///…, store:")


def test_a_digest_has_64_digits() -> None:
    with pytest.raises(BadInput, match="the digest is 'abc'; expected 64 hexadecimal digits"):
        parse("/x#sha256=abc", "source")
    assert parse(f"/x#sha256={'A' * 64}", "source").sha256 == "a" * 64


def test_a_link_of_google_drive_is_its_id() -> None:
    for link in ("file/d/0123456789-_/view?usp=sharing", "uc?export=download&id=0123456789-_", "open?id=0123456789-_"):
        found = parse(f"https://drive.google.com/{link}", "source")
        assert (found.kind, found.place, found.origin) == ("gdrive", "0123456789-_", "gdrive:0123456789-_")


def test_the_origin_of_a_url_has_no_signature() -> None:
    assert parse("https://host/a/x.pt?X-Signature=secret", "source").origin == "https://host/a/x.pt"
