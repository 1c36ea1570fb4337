"""What the store promises: whole objects, immutable ones, and nothing outside of it."""

from __future__ import annotations

from pathlib import Path

import boto3
import pytest

from sparsebench.contracts import sha256
from sparsebench.errors import IntegrityError, StoreError
from sparsebench.localcloud import LocalCloud
from sparsebench.store import Store, files


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


@pytest.mark.parametrize("kind", ["store", pytest.param("bucket", marks=pytest.mark.slow)])
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


@pytest.mark.parametrize("region", ["eu-central-1", "ap-east-1"])
def test_a_signed_url_names_the_host_of_its_region(region: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The global host redirects, which curl takes for success, or refuses."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    url = Store("s3://kept/store").url("locks/x.txt")
    assert url.startswith(f"https://kept.s3.{region}.amazonaws.com/store/locks/x.txt?")


def test_nights_of_a_bucket_are_one_request_however_much_they_hold(
    moto_bucket: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(moto_bucket)
    for night in ("2026-01-01", "2026-01-02"):
        for name in ("manifest.json", "jobs/a.json", "trials/m5.xlarge/cell/a-0.json"):
            store.write(f"nights/{night}/{name}", b"{}")
    caplog.clear()

    with caplog.at_level("INFO", "werkzeug"):
        assert store.nights() == ["2026-01-01", "2026-01-02"]

    assert len(caplog.records) == 1


def test_objects_of_a_bucket_come_in_their_order_whatever_they_are_called(
    moto_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that looks like a pattern is itself, not what the pattern matches."""
    monkeypatch.setattr(files, "AT_A_TIME", 4)
    store = Store(moto_bucket)
    names = [f"trials/{number}.json" for number in range(10, 0, -1)] + ["trials/[12].json", "trials/*.json"]
    for name in names:
        store.write(name, name.encode())

    assert list(store.read_all(names)) == [(name, name.encode()) for name in names]
    assert store.files(["trials/7.json", "trials/none.json", "trials/[12].json", "trials"]) == [
        b"trials/7.json", None, b"trials/[12].json", None,
    ]  # fmt: skip
    with pytest.raises(StoreError, match=r"has no trials/none\.json"):
        list(store.read_all(["trials/7.json", "trials/none.json"]))
