"""``sparsebench changes``: each event in a sentence that names its size, its first night and what differs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from sparsebench.cli import app
from sparsebench.contracts import (
    ChangedInput,
    ChangedSeries,
    Changes,
    Event,
    HostFacts,
    Manifest,
    ModelCard,
    Trial,
)
from sparsebench.report.changes import cause, look, remember, sentence, table
from sparsebench.store import Store

NIGHTS, AT = 16, 10
NOW = datetime(2026, 12, 1, tzinfo=UTC)
OLD, NEW = "2026.4.1", "2026.5.0"


@pytest.fixture
def store(
    tmp_path: Path,
    make_host: Callable[..., HostFacts],
    make_trial: Callable[..., Trial],
    make_card: Callable[..., ModelCard],
    make_manifest: Callable[..., Manifest],
) -> Store:
    """Nights of one network in two engines; from the eleventh on OpenVINO is another version, and 10 % slower."""
    store, card, rng = Store(tmp_path.as_uri()), make_card(), np.random.default_rng(1)
    for index in range(NIGHTS):
        night, slower = (date(2026, 11, 1) + timedelta(days=index)).isoformat(), index >= AT
        store.freeze(make_manifest(night=night, models=(card,)))
        store.put_host(night, make_host(versions={"deepsparse": "1.8.0", "openvino": NEW if slower else OLD}))
        for engine, speed in {"deepsparse": 20.0, "openvino": 9.0 if slower else 10.0}.items():
            for generation in range(6):
                measured = speed * np.exp(rng.normal(0, 0.005))
                trial = make_trial(measured, engine=engine, generation=generation, night=night, artifact=card.artifact)
                store.put_trial(trial)
    return store


def test_a_change_is_said_in_a_sentence_and_a_table(store: Store, tmp_path: Path) -> None:
    before = list(store.paths("nights"))
    file = tmp_path / "changes.json"
    out = tmp_path / "figures"
    shown = CliRunner().invoke(app, ["changes", "--store", store.uri, "--json", str(file), "--out", str(out)])
    assert shown.exit_code == 0, shown.stderr
    text = " ".join(shown.stdout.split())
    assert "• OpenVINO on m5.xlarge is " in text
    assert " % slower since 2026-11-11 (95 %: " in text
    assert f"What differs: version of openvino ({OLD}, from 2026-11-11 on {NEW})." in text
    assert "Ratios that changed" in text
    assert f"1 change in 1 ratio over {NIGHTS} nights." in text
    (event,) = Changes.from_json(file.read_bytes()).events
    assert abs(event.series[0].times - 1 / 0.9) < 0.02
    assert list(store.paths("nights")) == before
    assert store.changes() is None
    name = "2026-11-11-m5.xlarge-latency-openvino"
    assert sorted(path.name for path in out.iterdir()) == [f"{name}.csv", f"{name}.svg"]
    numbers = pd.read_csv(out / f"{name}.csv")
    of = ["VGG-19 base, DeepSparse over OpenVINO", "DeepSparse, base", "OpenVINO, base"]
    assert list(numbers["of"].unique()) == of
    of_ratio = numbers[numbers["unit"] == "times"].set_index("night")["value"]
    assert of_ratio["2026-11-11"] / of_ratio["2026-11-10"] == pytest.approx(event.series[0].times, rel=0.05)
    assert numbers.groupby("of").size().eq(NIGHTS).all()
    assert (numbers["low"] < numbers["value"]).all()
    assert (numbers["spread"] > 0).all()


def test_without_a_change_it_says_what_was_looked_at(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["changes", "--store", tmp_path.as_uri()])
    assert (shown.exit_code, shown.stdout.strip()) == (0, "0 changes in 0 ratios over 0 nights.")


def test_a_night_that_cannot_be_read_is_named(store: Store) -> None:
    store.write("nights/2026-11-03/manifest.json", b"{")
    shown = CliRunner().invoke(app, ["changes", "--store", store.uri])
    assert shown.exit_code == 0
    assert "left out: nights/2026-11-03: " in shown.stdout
    assert f"over {NIGHTS - 1} nights." in shown.stdout


def test_people_are_told_once_and_until_it_is_remembered(store: Store) -> None:
    assert len(look(store)) == 1
    assert len(look(store)) == 1  # nobody remembered
    remember(store, NOW)
    assert look(store) == []
    kept = store.changes()
    assert kept
    assert [event.told_at for event in kept.events] == [NOW]
    (figure,) = (path for path in store.paths("history") if path.endswith(".svg"))
    assert store.read(figure).startswith(b"<?xml")
    assert store.night_ratios("2026-11-01")  # which is not read trial by trial any more


def event(**changes: Any) -> Event:
    series = ChangedSeries(
        network="resnet50",
        precision="f32",
        variant_a="pruned",
        engine_a="deepsparse",
        variant_b="pruned",
        engine_b="openvino",
        first="2026-11-11",
        times=1.2,
        low=1.1,
        high=1.3,
        p=1e-9,
    )
    fields = {
        "instance_type": "m5.xlarge",
        "scenario": "latency",
        "engine": "openvino",
        "network": None,
        "variant": None,
        "direction": "slower",
        "times": 1 / 1.2,
        "low": 1 / 1.3,
        "high": 1 / 1.1,
        "first": "2026-11-11",
        "earliest": "2026-11-11",
        "latest": "2026-11-11",
        "told": "2026-11-14",
        "chance": 1e-5,
        "series": (series, series),
        "differs": (),
    }
    return Event(**{**fields, **changes})


FILE = {"engine": None, "network": "resnet50", "variant": "pruned", "direction": "faster", "times": 1.2}


def test_an_event_on_several_types_names_the_first_of_them() -> None:
    (series, _) = event().series
    types = [None, *(f"m{number}.xlarge" for number in range(10, 18))]
    several = event(series=tuple(series.model_copy(update={"instance_type": name}) for name in types))
    assert several.instance_types == ("m5.xlarge", *types[1:])
    assert sentence(several).startswith(
        "OpenVINO on m5.xlarge (and so on m10.xlarge, m11.xlarge, m12.xlarge, m13.xlarge, m14.xlarge, m15.xlarge and 2 "
        "more) is 16.7 % slower since 2026-11-11"
    )
    assert [row[1][0] for row in table(Changes(nights=1, series=9, events=(several,))).rows] == [
        "m5.xlarge",
        *types[1:],
    ]


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (
            event(),
            "OpenVINO on m5.xlarge is 16.7 % slower since 2026-11-11 (95 %: 9.1 to 23.1 %), ResNet-50 pruned against "
            "DeepSparse; so say 1 other ratio. Nothing that we know of differs.",
        ),
        (
            event(**FILE, low=1.1, high=1.3),
            "ResNet-50 pruned on m5.xlarge is 20.0 % faster since 2026-11-11 (95 %: 10.0 to 30.0 %), DeepSparse "
            "against OpenVINO; so say 1 other ratio. Nothing that we know of differs.",
        ),
        (
            event(**FILE, low=1.1, high=1.3, series=(event().series[0].model_copy(update={"variant_b": "base"}),)),
            "ResNet-50 pruned on m5.xlarge is 20.0 % faster since 2026-11-11 (95 %: 10.0 to 30.0 %), against base in "
            "DeepSparse. Nothing that we know of differs.",
        ),
        (
            event(stands=False, series=event().series[:1]),
            "OpenVINO on m5.xlarge is 16.7 % slower since 2026-11-11 (95 %: 9.1 to 23.1 %), ResNet-50 pruned against "
            "DeepSparse. Nothing that we know of differs. It is none any more, since nights were measured again.",
        ),
    ],
)
def test_the_sentence(event: Event, text: str) -> None:
    assert sentence(event) == text


def test_causes_that_are_many_are_counted_and_an_instance_is_none() -> None:
    instance = ChangedInput(night="2026-11-11", what="instance", before="i-1", after="i-2")
    assert cause(event(differs=(instance,))) == "Nothing that we know of differs but the instance."
    image = instance.model_copy(update={"what": "image", "before": "", "after": "ami-2"})
    assert cause(event(differs=(instance, image))) == "What differs: image (none, from 2026-11-11 on ami-2)."
    assert cause(event(differs=(image,) * 9)).endswith("and 3 more.")
