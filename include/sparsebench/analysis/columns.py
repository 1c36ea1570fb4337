"""A sealed night: its trials as Parquet beside their objects, so that many are read at once.

The objects stay the truth: a trial counts where its object is listed, and its object is read where no part that can be
read has it. A part is named by its digest and holds its trials' objects, byte for byte, beside typed columns for those
who query it (docs/columns.md). A later run's trials become a further part.
"""

from __future__ import annotations

import io
import logging
import posixpath
from collections.abc import Iterable
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sparsebench.contracts import Trial, sha256
from sparsebench.errors import StoreError
from sparsebench.store import Store, Unreadable

FORMAT = 1
"""Of the columns; it is in the schema's metadata."""

MOST = 1000
"""Trials of a part: so many are in memory as rows at a time."""

LARGEST = 2**29
"""Bytes of a part's rows."""

_METADATA = {b"sparsebench.columns": str(FORMAT).encode()}
_BLOCK = pa.struct(
    {
        "round": pa.int64(),
        "position": pa.int64(),
        "started_at": pa.timestamp("us", tz="UTC"),
        "images": pa.int64(),
        "seconds": pa.float64(),
        "latencies_ms": pa.list_(pa.float64()),
        "tolerated": pa.bool_(),
    }
)
_CELL = ("instance_type", "network", "variant", "engine", "precision")
_TYPES: dict[str, Any] = {
    **dict.fromkeys(_CELL, pa.string()),
    "night": pa.string(),
    "job": pa.string(),
    "generation": pa.int64(),
    "instance_id": pa.string(),
    "artifact": pa.string(),
    "threads": pa.int64(),
    "batch": pa.int64(),
    "status": pa.string(),
    "started_at": pa.timestamp("us", tz="UTC"),
    "ended_at": pa.timestamp("us", tz="UTC"),
    "peak_memory_bytes": pa.int64(),
    "blocks": pa.list_(_BLOCK),
    "path": pa.string(),
    "object": pa.binary(),
}
SCHEMA = pa.schema(_TYPES, metadata=_METADATA)

logger = logging.getLogger(__name__)


def trials(store: Store, night: str, unreadable: list[Unreadable] | None = None) -> list[Trial]:
    """A night's trials as ``Store.trials`` has them, in the same order, from its columns where they are.

    Raises:
        StoreError: the store cannot be read.
    """
    sealed = _sealed(store, night)
    if not sealed:
        return store.trials(night, unreadable=unreadable)
    listed = store.trial_paths(night)
    contents = sealed | dict(store.read_all(path for path in listed if path not in sealed))
    damaged: list[Unreadable] = []
    loaded = store.trials_in(((path, contents[path]) for path in listed), damaged)
    if not damaged:
        return loaded
    # What a part has of them is damaged, or what it was made of is: the objects say which.
    contents |= dict(store.read_all(each.path for each in damaged if each.path in sealed))
    return store.trials_in(((path, contents[path]) for path in listed), unreadable)


def seal(store: Store, night: str) -> int:
    """Write the trials that no part has yet as further parts; how many these were.

    Two at once write parts that may share trials, which does no harm: a trial is taken once.

    Raises:
        StoreError: the store cannot be read or written.
    """
    sealed, count = _sealed(store, night), 0
    remaining = (path for path in store.trial_paths(night) if path not in sealed)
    while batch := list(islice(remaining, MOST)):
        contents = dict(store.read_all(batch))
        if readable := store.trials_in(contents.items(), []):
            part = _part(store, readable, contents)
            store.write(store.columns_path(night, sha256(part)), part)
            count += len(readable)
    return count


def _part(store: Store, readable: Iterable[Trial], contents: dict[str, bytes]) -> bytes:
    rows = []
    for trial in readable:
        path = store.trial_path(trial)
        values = trial.model_dump(include=set(_TYPES)) | trial.cell.model_dump()
        values["blocks"] = [block.model_dump(include=set(_BLOCK.names)) for block in trial.blocks]
        rows.append({**values, "path": path, "object": contents[path]})
    rows.sort(key=lambda row: [*(row[name] for name in _CELL), row["job"], row["generation"]])
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), buffer, compression="zstd")
    return buffer.getvalue()


def _sealed(store: Store, night: str) -> dict[str, bytes]:
    """The objects that a night's parts hold, by path. A part that cannot be read is told in a line, and left out."""
    contents: dict[str, bytes] = {}
    for path in store.columns(night):
        try:
            contents |= _objects(path, store.read(path))
        except (ValueError, KeyError, OSError, pa.ArrowException, StoreError) as error:
            reason = " ".join(str(error).split())
            logger.warning("%s: %s is left out, its trials are read one by one: %s", store.uri, path, reason)
    return contents


def _objects(path: str, part: bytes) -> dict[str, bytes]:
    if posixpath.basename(path) != f"{sha256(part)}.parquet":
        raise ValueError(f"it has digest {sha256(part)}: it was edited or damaged")
    file = pq.ParquetFile(io.BytesIO(part))
    kept = (file.schema_arrow.metadata or {}).get(b"sparsebench.columns")
    if kept != str(FORMAT).encode():
        raise ValueError(f"its format is {kept!r}: expected {FORMAT}")
    if file.schema_arrow.field("path").type != pa.string() or file.schema_arrow.field("object").type != pa.binary():
        raise ValueError("its columns path and object are not those of its format")
    size = sum(file.metadata.row_group(group).total_byte_size for group in range(file.num_row_groups))
    if file.metadata.num_rows > MOST or size > LARGEST:
        raise ValueError(f"it has {file.metadata.num_rows:,} rows of {size:,} bytes: no night's part is as large")
    table = file.read(columns=["path", "object"])
    if table["path"].null_count or table["object"].null_count:
        raise ValueError("a path or an object is missing in it")
    return dict(zip(table["path"].to_pylist(), table["object"].to_pylist(), strict=True))
