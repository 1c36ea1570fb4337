"""A dataset in the store or on S3 is fetched once, goes on where it was interrupted, and is never half there."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import boto3
import pytest

from sparsebench.contracts import DIGITS, DatasetRef
from sparsebench.errors import BadInput, StoreError
from sparsebench.localcloud import LocalCloud
from sparsebench.sparsify.dataset_cache import local
from sparsebench.store import Store

IMAGES = {
    f"{part}/n0{number}/{index}.png": b"%d" % index
    for part in ("train", "val")
    for number in (1, 2)
    for index in range(3)
}


def fill(store: Store) -> None:
    for name, data in IMAGES.items():
        store.write(f"datasets/tiny/{name}", data)


def content(dataset: DatasetRef) -> dict[str, bytes]:
    """Of a folder of this machine, without the marker."""
    root = Path(unquote(urlsplit(dataset.uri).path))
    return {
        str(file.relative_to(root)): file.read_bytes()
        for file in root.rglob("*")
        if file.is_file() and not file.name.startswith(".")
    }


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store((tmp_path / "store").as_uri())


def test_a_dataset_of_the_store_becomes_a_folder(store: Store, tmp_path: Path) -> None:
    fill(store)

    folder = local(DatasetRef(name="tiny", uri="store:datasets/tiny"), store, tmp_path / "cache")

    assert folder.name == "tiny"
    assert folder.uri.startswith("file://")
    assert content(folder) == IMAGES


def test_a_dataset_on_s3_becomes_a_folder(localcloud: LocalCloud, store: Store, tmp_path: Path) -> None:
    boto3.client("s3").create_bucket(Bucket="images")
    fill(Store("s3://images"))

    folder = local(DatasetRef(name="tiny", uri="s3://images/datasets/tiny/"), store, tmp_path / "cache")

    assert content(folder) == IMAGES
    with pytest.raises(BadInput, match=r"dataset.uri is 's3://images/nothing': there is nothing; expected"):
        local(DatasetRef(name="tiny", uri="s3://images/nothing"), store, tmp_path / "cache")


def test_it_is_fetched_once(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store)
    dataset = DatasetRef(name="tiny", uri="store:datasets/tiny")
    first = local(dataset, store, tmp_path / "cache")
    monkeypatch.setattr(Store, "read", None)
    monkeypatch.setattr(Store, "paths", None)

    assert local(dataset, store, tmp_path / "cache") == first


def test_what_was_interrupted_goes_on_with_what_is_missing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store)
    dataset, cache, read, asked = DatasetRef(name="tiny", uri="store:datasets/tiny"), tmp_path / "cache", Store.read, []

    def failing(self: Store, path: str) -> bytes:
        if path.endswith("val/n02/2.png"):
            raise StoreError("gone")
        return read(self, path)

    monkeypatch.setattr(Store, "read", failing)
    with pytest.raises(StoreError, match="gone"):
        local(dataset, store, cache)
    assert list(cache.rglob(".*")) == []  # neither a marker nor a draft
    fetched = len([file for file in cache.rglob("*") if file.is_file()])

    def counting(self: Store, path: str) -> bytes:
        asked.append(path)
        return read(self, path)

    monkeypatch.setattr(Store, "read", counting)
    assert content(local(dataset, store, cache)) == IMAGES
    assert len(asked) == len(IMAGES) - fetched


def test_what_is_here_already_stays_where_it_is(store: Store, tmp_path: Path) -> None:
    for dataset in (DIGITS, DatasetRef(name="d", uri="/data"), DatasetRef(name="d", uri="file:///data")):
        assert local(dataset, store, tmp_path / "cache") == dataset
    assert not (tmp_path / "cache").exists()
