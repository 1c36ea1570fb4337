"""Images that are kept elsewhere, fetched once to this machine."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from sparsebench.contracts import DatasetRef, sha256
from sparsebench.errors import BadInput
from sparsebench.sparsify.source import DATASET_EXPECTED, check_dataset
from sparsebench.store import Store
from sparsebench.webfile import DownloadFailed

AT_ONCE = 16
"""Files that are fetched at a time: images are small, and most of the time goes into asking."""

COMPLETE = ".complete"


def local(dataset: DatasetRef, store: Store, cache: Path) -> DatasetRef:
    """The same dataset where it can be read: built in, in a folder of this machine, or fetched to one.

    A file is there whole or not at all, so that what was interrupted goes on with those that are missing. A dataset
    that was fetched whole is not looked at again: what changes under the same URI is not noticed.

    Args:
        store: of ``store:<path>``.
        cache: a folder for all datasets, which stays from run to run.

    Raises:
        BadInput: a URI of no kind that there is, or nothing under it.
        StoreError, DownloadFailed: a file cannot be read, or not be written here.
    """
    kind, place = check_dataset(dataset)
    if kind in ("builtin", "folder"):
        return dataset
    prefix = place
    if kind == "s3":
        above, _, prefix = place.rstrip("/").rpartition("/")
        store = Store(above)
    folder = cache / sha256(f"{store.uri}/{prefix}".encode())
    marker = folder / COMPLETE
    if not marker.exists():
        try:
            paths = list(store.paths(prefix))
        except OSError as error:
            raise BadInput(f"dataset.uri is {dataset.uri!r}: {error}; {DATASET_EXPECTED}") from error
        if not paths:
            raise BadInput(f"dataset.uri is {dataset.uri!r}: there is nothing; {DATASET_EXPECTED}")
        try:
            _fetch_all(store, {path: folder / path.removeprefix(f"{prefix}/") for path in paths})
            marker.touch()
        except OSError as error:
            raise DownloadFailed(f"dataset.uri is {dataset.uri!r}: it cannot be kept in {folder}: {error}") from error
    return dataset.model_copy(update={"uri": folder.absolute().as_uri()})


def _fetch_all(store: Store, targets: dict[str, Path]) -> None:
    missing = {path: target for path, target in targets.items() if not target.exists()}
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        list(pool.map(partial(_fetch, store), missing, missing.values()))
    finally:
        pool.shutdown(cancel_futures=True)  # after an error, a million others would still be fetched


def _fetch(store: Store, path: str, target: Path) -> None:
    data = store.read(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        draft.write_bytes(data)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
