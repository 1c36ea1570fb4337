"""A sealed night is read from its columns, says the same, and loses nothing where they are damaged."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.golden import NIGHT, golden_store
from typer.testing import CliRunner

from sparsebench import report
from sparsebench.analysis import columns
from sparsebench.analysis.pooling import Night
from sparsebench.cli import app
from sparsebench.contracts import sha256
from sparsebench.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return golden_store(tmp_path)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that are read."""
    paths: list[str] = []
    original = Store.read

    def noted(self: Store, path: str) -> bytes:
        paths.append(path)
        return original(self, path)

    monkeypatch.setattr(Store, "read", noted)
    return paths


def one_by_one(read: list[str]) -> list[str]:
    return [path for path in read if "/trials/" in path]


def test_a_sealed_night_is_read_from_its_columns_and_reported_in_the_same_bytes(store: Store, read: list[str]) -> None:
    before = report.build(store, NIGHT)
    assert one_by_one(read)
    assert columns.seal(store, NIGHT) == len(store.trials(NIGHT))
    read.clear()
    assert report.build(store, NIGHT) == before
    assert not one_by_one(read)


def test_a_later_trial_becomes_a_further_part(store: Store) -> None:
    trial = store.trials(NIGHT)[0]
    columns.seal(store, NIGHT)
    (first,) = store.columns(NIGHT)
    kept = store.read(first)
    store.put_trial(trial.model_copy(update={"generation": 77}))
    assert columns.trials(store, NIGHT) == store.trials(NIGHT)
    assert columns.seal(store, NIGHT) == 1
    assert columns.seal(store, NIGHT) == 0
    assert len(store.columns(NIGHT)) == 2
    assert store.read(first) == kept
    assert columns.trials(store, NIGHT) == store.trials(NIGHT)


def test_many_trials_are_several_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "MOST", 10)
    trials = store.trials(NIGHT)
    assert columns.seal(store, NIGHT) == len(trials)
    assert len(store.columns(NIGHT)) == -(-len(trials) // 10) > 1
    assert columns.trials(store, NIGHT) == trials


def test_a_trial_whose_object_is_gone_does_not_count(store: Store) -> None:
    columns.seal(store, NIGHT)
    gone = store.trials(NIGHT)[0]
    (Path(store.uri.removeprefix("file://")) / store.trial_path(gone)).unlink()
    assert columns.trials(store, NIGHT) == store.trials(NIGHT)


def test_what_was_refused_as_damaged_stays_told(store: Store) -> None:
    path = store.trial_path(store.trials(NIGHT)[0])
    store.write(path, b"{")
    before = Night.read(store, NIGHT).unreadable
    assert [damaged.path for damaged in before] == [path]
    columns.seal(store, NIGHT)
    assert Night.read(store, NIGHT).unreadable == before


def flipped(part: bytes) -> bytes:
    middle = len(part) // 2
    return part[:middle] + bytes([part[middle] ^ 1]) + part[middle + 1 :]


@pytest.mark.parametrize("damage", [flipped, lambda part: part[:100], lambda part: b""])
def test_a_damaged_part_costs_a_line_and_is_written_again(
    store: Store, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    columns.seal(store, NIGHT)
    (path,) = store.columns(NIGHT)
    part = store.read(path)
    store.write(path, damage(part))
    with caplog.at_level(logging.WARNING):
        assert columns.trials(store, NIGHT) == store.trials(NIGHT)
    (line,) = [record.getMessage() for record in caplog.records]
    assert path in line
    assert "damaged" in line
    assert "\n" not in line
    assert columns.seal(store, NIGHT) == len(store.trials(NIGHT))
    assert store.read(path) == part


def of_another_format() -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"path": ["a"], "object": [b"{}"]}), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("part", [b"PK", b"PAR1", of_another_format()])
def test_a_part_of_another_kind_is_left_out(store: Store, part: bytes, caplog: pytest.LogCaptureFixture) -> None:
    store.write(store.columns_path(NIGHT, sha256(part)), part)
    assert columns.trials(store, NIGHT) == store.trials(NIGHT)
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    "columns_of_it",
    [{"path": pa.array(["a"]), "object": pa.array([1])}, {"path": pa.array([["a"]]), "object": pa.array([b"{}"])},
     {"path": pa.array(["a"]), "object": pa.array([None], pa.binary())}],
)  # fmt: skip
def test_a_part_with_other_columns_is_left_out(
    store: Store, columns_of_it: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns_of_it).replace_schema_metadata({"sparsebench.columns": "1"}), buffer)
    store.write(store.columns_path(NIGHT, sha256(buffer.getvalue())), buffer.getvalue())
    assert columns.trials(store, NIGHT) == store.trials(NIGHT)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("limit", ["LARGEST", "MOST"])
def test_a_part_that_is_larger_than_any_is_left_out(
    store: Store, limit: str, monkeypatch: pytest.MonkeyPatch, read: list[str]
) -> None:
    columns.seal(store, NIGHT)
    monkeypatch.setattr(columns, limit, 10)
    assert columns.trials(store, NIGHT) == store.trials(NIGHT)
    read.clear()
    columns.trials(store, NIGHT)
    assert one_by_one(read)


def test_what_a_part_has_of_a_trial_counts_only_where_it_can_be_read(store: Store) -> None:
    trials = store.trials(NIGHT)
    buffer, path = io.BytesIO(), store.trial_path(trials[0])
    table = pa.table({"path": [path], "object": [b"garbage"]}).replace_schema_metadata({"sparsebench.columns": "1"})
    pq.write_table(table, buffer)
    store.write(store.columns_path(NIGHT, sha256(buffer.getvalue())), buffer.getvalue())
    assert columns.trials(store, NIGHT) == trials


def test_the_draft_of_a_seal_that_was_killed_is_no_part(store: Store) -> None:
    columns.seal(store, NIGHT)
    (path,) = store.columns(NIGHT)
    part = Path(store.uri.removeprefix("file://")) / path
    part.rename(part.with_name(".0123.tmp"))
    assert not store.columns(NIGHT)
    assert columns.trials(store, NIGHT) == store.trials(NIGHT)
    assert columns.seal(store, NIGHT) == len(store.trials(NIGHT))


def test_two_seals_at_once_lose_nothing(store: Store) -> None:
    seals = [threading.Thread(target=columns.seal, args=(store, NIGHT)) for _ in range(4)]
    for thread in seals:
        thread.start()
    for thread in seals:
        thread.join()
    assert columns.trials(store, NIGHT) == store.trials(NIGHT)
    assert columns.seal(store, NIGHT) == 0


def test_publishing_seals_and_so_does_the_command(store: Store) -> None:
    report.publish(store, NIGHT)
    assert columns.seal(store, NIGHT) == 0
    for path in store.columns(NIGHT):
        (Path(store.uri.removeprefix("file://")) / path).unlink()
    result = CliRunner().invoke(app, ["seal", "--store", store.uri])
    assert result.exit_code == 0
    assert f"{NIGHT}: {len(store.trials(NIGHT))} trials sealed" in result.stdout


def test_pandas_reads_a_part_as_it_stands(store: Store) -> None:
    columns.seal(store, NIGHT)
    (path,) = store.columns(NIGHT)
    frame = pd.read_parquet(f"{store.uri}/{path}")
    trials = {store.trial_path(trial): trial for trial in store.trials(NIGHT)}
    assert set(frame["path"]) == set(trials)
    for row in frame.to_dict("records"):
        trial = trials[row["path"]]
        assert (row["engine"], row["status"]) == (trial.cell.engine, trial.status)
        assert row["started_at"].to_pydatetime() == trial.started_at.astimezone(UTC)
        assert [list(block["latencies_ms"]) for block in row["blocks"]] == [
            list(block.latencies_ms) for block in trial.blocks
        ]
        assert json.loads(row["object"]) == json.loads(store.read(row["path"]))
    assert isinstance(frame["ended_at"].iloc[0].to_pydatetime(), datetime)
