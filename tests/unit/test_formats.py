"""Stored objects outlive the code that wrote them: contracts/formats.py says how, tests/golden has the objects."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field
from tests.golden import FOLDER, NIGHT, golden_store, record

from sparsebench import report
from sparsebench.contracts import (
    BenchRequest,
    Contract,
    Manifest,
    Stored,
    Trial,
    newest_format,
    since,
    values_since,
)
from sparsebench.contracts.formats import format_numbers
from sparsebench.errors import BadInput, IntegrityError
from sparsebench.fleet.nights import Sweep
from sparsebench.fleet.plan import Run, plan_sweep
from sparsebench.report import terminal
from sparsebench.store import Store

NOW = datetime(2026, 12, 24, 12, tzinfo=UTC)

FORMATS = [(kind, number) for kind in record.KINDS for number in sorted(format_numbers(kind))]


def complaint(kind: type[Stored], number: int) -> str:
    """What is to be done about a format that is not what was recorded of it; empty where nothing is."""
    recorded, golden = record.schema_file(kind, number), record.object_file(kind, number)
    if not recorded.exists():
        return f"{kind.__name__} has a new format {number}: run .venv/bin/python -m tests.golden.record"
    if not golden.exists():
        return f"{kind.__name__} has a new format {number}: put a real object that uses it at {golden}"
    if recorded.read_text() != record.text(record.schema(kind, number)):
        return (
            f"{kind.__name__} is not what its format {number} was. Mark what is new with the number "
            f"{newest_format(kind) + 1} (json_schema_extra=since({newest_format(kind) + 1})), give it a default that "
            f"means what its absence meant, and leave everything else as it was; then run .venv/bin/python -m "
            f"tests.golden.record. (Where format {number} was never released: delete {recorded} and record it again.)"
        )
    return ""


@pytest.mark.parametrize(("kind", "number"), FORMATS)
def test_a_format_is_what_was_recorded_of_it(kind: type[Stored], number: int) -> None:
    assert complaint(kind, number) == ""


@pytest.mark.parametrize(("kind", "number"), FORMATS)
def test_an_object_of_every_format_is_read_and_written_again_as_it_was(kind: type[Stored], number: int) -> None:
    golden = record.object_file(kind, number).read_bytes()
    assert json.loads(golden).get("format", 1) == number
    assert kind.from_json(golden).to_json() == golden
    if number > 1:
        with pytest.raises(BadInput, match=f"came with format {number} of a {kind.__name__}"):
            kind.from_json(golden).to_json(number - 1)


@pytest.mark.parametrize("kind", record.KINDS)
def test_what_came_later_has_a_default(kind: type[Stored]) -> None:
    def marked(contract: Any) -> list[str]:
        schema = contract.model_json_schema()
        parts = [schema, *schema.get("$defs", {}).values()]
        return [
            name
            for part in parts
            for name, field in part.get("properties", {}).items()
            if "since" in field and name in part.get("required", [])
        ]

    assert marked(kind) == []


def test_a_field_without_a_number_is_complained_about() -> None:
    newest = newest_format(Trial)
    after = newest + 1

    class Longer(Trial):
        humidity: float | None = None

    Longer.__name__ = "Trial"
    assert f"Mark what is new with the number {after} (json_schema_extra=since({after}))" in complaint(Longer, newest)

    class Numbered(Trial):
        humidity: float | None = Field(default=None, json_schema_extra=since(after))

    Numbered.__name__ = "Trial"
    assert [complaint(Numbered, number) for number in sorted(format_numbers(Trial))] == [""] * len(
        format_numbers(Trial)
    )
    assert complaint(Numbered, after) == f"Trial has a new format {after}: run .venv/bin/python -m tests.golden.record"


class Part(Contract):
    name: str
    colour: str = Field(default="grey", json_schema_extra=since(2))


class Whole(Stored):
    parts: tuple[Part, ...] = ()
    by_name: dict[str, Part] = {}
    kinds: tuple[str, ...] = Field(default=("a",), json_schema_extra=values_since({"z": 4}))
    weight: float | None = Field(default=None, json_schema_extra=since(3))


@pytest.mark.parametrize(
    ("whole", "number", "path"),
    [
        (Whole(parts=(Part(name="a"),)), 1, ""),
        (Whole(parts=(Part(name="a"), Part(name="b", colour="red"))), 2, "parts.1.colour is 'red'"),
        (Whole(by_name={"a.b": Part(name="b", colour="red")}), 2, "by_name.a.b.colour is 'red'"),
        (Whole(parts=(Part(name="b", colour="red"),), weight=2.0), 3, "weight is 2.0"),
        (Whole(kinds=("a", "z")), 4, "kinds is 'z'"),
    ],
)
def test_an_object_is_written_in_the_lowest_format_that_holds_it(whole: Whole, number: int, path: str) -> None:
    written = json.loads(whole.to_json())
    assert written.get("format", 1) == number
    assert ("weight" in written) == (number >= 3 and whole.weight is not None)
    assert all(("colour" in part) == (part.get("colour") == "red") for part in written["parts"])
    assert Whole.from_json(whole.to_json()) == whole
    assert whole.to_json(number) == whole.to_json()
    if number > 1:
        with pytest.raises(BadInput, match=f"^{path}, which came with format {number} of a Whole; its reader knows "):
            whole.to_json(number - 1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            '{"format": 5}',
            "it has format 5, and this sparsebench reads formats up to 4 of a Whole: upgrade sparsebench",
        ),
        ('{"format": "2"}', "format is '2': expected a whole number"),
        ('{"format": 0}', "format is 0: expected a whole number"),
        ('{"weight": 1.0}', "weight is 1.0: format 1 of a Whole does not have it"),
        ('{"format": 2, "weight": 1.0}', "weight is 1.0: format 2 of a Whole does not have it"),
        ('{"colour": "red"}', "colour is 'red': Extra inputs are not permitted"),
        ('{"parts": [{"name": 5}]}', "parts.0.name is 5: Input should be a valid string"),
        ('{"format": 3, "weight": "2"}', "weight is '2': Input should be a valid number"),
        ('{"format": 3, "weight": NaN}', "it has a number that is not finite: NaN"),
        ('{"format": 3, "weight": 1e999}', "weight is inf"),
        ('{"format": 3, "weight": 1' + "0" * 400 + "}", "weight is "),
        ("[]", "it is a list, not an object"),
        ("[" * 100_000, "it is nested too deeply"),
        ('{"parts": [', "Expecting value"),
        ("", "Expecting value"),
    ],
)
def test_what_cannot_be_read_says_why_in_one_line(data: str, message: str) -> None:
    with pytest.raises(ValueError) as raised:
        Whole.from_json(data.encode())
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_what_is_not_text_cannot_be_read() -> None:
    with pytest.raises(ValueError, match="codec can't decode"):
        Whole.from_json(b"\x89PNG\xff")


# What the code of the time before formats had numbers reads, of what is written now.

READ = """
import sys
from sparsebench import contracts
getattr(contracts, sys.argv[1]).model_validate_json(sys.stdin.buffer.read())
"""


def read_by_format_1(kind: type[Stored], data: bytes) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | {"PYTHONPATH": str(FOLDER / "reader-1.zip")}
    return subprocess.run([sys.executable, "-c", READ, kind.__name__], input=data, env=environment, capture_output=True)


@pytest.mark.slow
def test_older_code_reads_what_does_not_use_a_later_field(make_trial: Callable[..., Trial]) -> None:
    assert read_by_format_1(Trial, make_trial().to_json()).returncode == 0
    refused = read_by_format_1(Trial, make_trial(variants=("base", "pruned")).to_json())
    assert refused.returncode == 1
    assert b"format" in refused.stderr


# The store of a demo before formats had numbers.


@pytest.fixture
def old(tmp_path: Path) -> Store:
    return golden_store(tmp_path)


@pytest.fixture
def artifacts_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The golden store has none: they are 100 MB."""
    monkeypatch.setattr(Store, "fetch_artifact", lambda *_: None)


def test_an_old_store_is_read_whole(old: Store) -> None:
    assert old.nights() == [NIGHT]
    assert len(old.manifest(NIGHT).models) == len(old.model_cards()) == 6
    assert len(old.trials(NIGHT)) == 44
    assert len(old.hosts(NIGHT)) == 1
    (collection,) = old.collections(NIGHT)
    assert (collection.planned, collection.measured) == (24, 24)
    assert all(path.endswith(".json") for path in old.paths("launches"))
    assert all(old.launches(path.split("/")[1]) for path in old.paths("launches"))


@pytest.mark.slow
def test_an_old_night_is_reported_and_compared(old: Store) -> None:
    files = report.build(old, NIGHT)
    assert files["throughput.csv"].decode().count("mobilenetv1") >= 8
    compared = json.loads(terminal.to_json(report.compare(old, [NIGHT])))
    assert compared["counts"]["planned"] == 24
    assert report.summary(old, NIGHT)


@pytest.mark.slow
@pytest.mark.usefixtures("artifacts_are_there")
def test_an_old_night_is_backfilled_with_a_request_that_its_payload_reads(old: Store) -> None:
    manifest = old.manifest(NIGHT)
    run = Run("benchmark_sweep", "backfill", "ami-2")
    (job,) = plan_sweep(old, Sweep(("m5.xlarge",)), NIGHT, run, NOW, "standard").jobs
    assert (job.payload, job.lock, job.image) == (manifest.payload, manifest.bench_lock, manifest.image)
    assert read_by_format_1(BenchRequest, old.read(job.request)).stderr == b""
    request = old.bench_request(job.request)
    assert request.protocol == manifest.protocol
    assert request.manifest == manifest.digest
    assert request.engines == manifest.engines


@pytest.mark.usefixtures("artifacts_are_there")
def test_a_wish_that_an_old_night_cannot_honour_is_named_before_anything_is_launched(
    old: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = list(old.paths("."))
    monkeypatch.setattr("sparsebench.fleet.plan.BenchRequest", AskingMore)
    with pytest.raises(BadInput) as raised:
        plan_sweep(old, Sweep(("m5.xlarge",)), NIGHT, Run("benchmark_sweep", "r", "ami-2"), NOW, "quick")
    assert str(raised.value) == (
        f"the night {NIGHT} was frozen with code that cannot do this: hurry is True, which came with format 99 of a "
        "AskingMore; its reader knows formats up to 1"
    )
    assert list(old.paths(".")) == before


class AskingMore(BenchRequest):
    """A request of a later version, whose every wish is for hurry."""

    hurry: bool = Field(default=False, json_schema_extra=since(99))

    def __init__(self, **fields: Any) -> None:
        super().__init__(**(fields | {"hurry": True}))


@pytest.mark.usefixtures("artifacts_are_there")
def test_an_engine_that_an_old_night_does_not_have_is_named(old: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparsebench.fleet.nights.catalog.engines", lambda: ("onnxruntime", "tvm"))
    sweep = Sweep(("m5.xlarge",), engines=("tvm",))
    with pytest.raises(BadInput, match=f"engines: 'tvm', but the code that the night {NIGHT} was frozen with has onnx"):
        plan_sweep(old, sweep, NIGHT, Run("benchmark_sweep", "r", "ami-2"), NOW, "quick")


def test_a_manifest_is_not_edited_because_the_contract_has_grown(old: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    class Grown(Manifest):
        weather: str = Field(default="fair", json_schema_extra=since(99))
        place: str = "a field whose author forgot its number"

    monkeypatch.setattr("sparsebench.store.Manifest", Grown)
    assert old.manifest(NIGHT).place.startswith("a field")  # type: ignore[attr-defined]


def test_a_newer_manifest_is_named_with_what_to_do(old: Store) -> None:
    path = f"nights/{NIGHT}/manifest.json"
    content = json.loads(old.read(path)) | {"format": 77, "weather": "fair"}
    old.write(path, json.dumps(content).encode())
    with pytest.raises(IntegrityError, match=rf"{path} .* has format 77, .* reads formats up to \d+ .*: upgrade"):
        old.manifest(NIGHT)
