"""What the store promises: whole objects, immutable ones, and nothing outside of it."""

from __future__ import annotations

from pathlib import Path

import boto3
import pytest

from sparsebench.contracts import sha256
from sparsebench.errors import IntegrityError, StoreError
from sparsebench.localcloud import LocalCloud
from sparsebench.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path.as_uri())


@pytest.fixture
def bucket(localcloud: LocalCloud) -> Store:
    boto3.client("s3").create_bucket(Bucket="kept")
    return Store("s3://kept/store")


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "nights/../../x", "a//b", "./a"])
def test_a_path_never_leaves_the_store(store: Store, path: str) -> None:
    with pytest.raises(StoreError, match="leaves the store"):
        store.write(path, b"")


@pytest.mark.parametrize("kind", ["store", "bucket"])
def test_an_object_that_never_changes_is_not_replaced(kind: str, request: pytest.FixtureRequest) -> None:
    store: Store = request.getfixturevalue(kind)
    assert store.write_once("nights/x", b"one")
    assert not store.write_once("nights/x", b"one")
    with pytest.raises(StoreError, match="never replaced"):
        store.write_once("nights/x", b"two")
    assert store.read("nights/x") == b"one"


def test_a_write_leaves_no_draft_behind(store: Store, tmp_path: Path) -> None:
    store.write("a/b", b"x")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["b"]


def test_a_damaged_artifact_is_recognised_and_not_handed_out(store: Store, tmp_path: Path) -> None:
    digest = store.put_artifact(b"a network")
    store.write(store.artifact_path(digest), b"another")
    with pytest.raises(IntegrityError):
        store.artifact(digest)
    with pytest.raises(IntegrityError):
        store.fetch_artifact(digest, tmp_path / "copy.onnx")
    assert not (tmp_path / "copy.onnx").exists()


def test_an_artifact_is_named_by_its_content(store: Store, tmp_path: Path) -> None:
    digest = store.put_artifact(b"a network")
    assert digest == sha256(b"a network")
    store.fetch_artifact(digest, tmp_path / "copy.onnx")
    assert (tmp_path / "copy.onnx").read_bytes() == b"a network"


def test_a_uri_without_a_known_scheme_is_refused() -> None:
    with pytest.raises(StoreError, match="expected file:///folder or s3://bucket/prefix"):
        Store("ftpx://somewhere")


def test_a_check_for_writing_leaves_nothing(store: Store) -> None:
    store.check_writable()
    assert list(store.paths("progress")) == []


def test_nights_are_in_order_of_their_opening(store: Store) -> None:
    for night in ("2026-01-02.10", "2026-01-02", "2026-01-02.2", "2026-01-01"):
        store.write(f"nights/{night}/manifest.json", b"{}")
    assert store.nights() == ["2026-01-01", "2026-01-02", "2026-01-02.2", "2026-01-02.10"]
