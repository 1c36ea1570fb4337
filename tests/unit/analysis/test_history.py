"""Ratios over nights: each night is read once, and from its ratios where it has them."""

from __future__ import annotations

from math import exp, log

import pytest
from tests.unit.conftest import AddNight

from sparsebench import report
from sparsebench.analysis.history import History, history, read
from sparsebench.store import Store, Unreadable


def of_store(store: Store) -> History:
    unreadable: list[Unreadable] = []
    series_of_nights = history(read(store, unreadable))
    assert not unreadable
    return series_of_nights


def test_engines_on_a_file_and_files_in_an_engine_are_watched_over_nights(add_night: AddNight) -> None:
    add_night("2026-11-23")
    series_of_nights = of_store(add_night("2026-11-24"))
    assert series_of_nights.nights == ("2026-11-23", "2026-11-24")
    watched = {
        (pair.a.variant, pair.a.engine, pair.b.variant, pair.b.engine): series
        for pair, series in series_of_nights.series.items()
    }
    assert set(watched) == {
        ("base", "deepsparse", "base", "openvino"),
        ("pruned", "deepsparse", "pruned", "openvino"),
        ("pruned", "deepsparse", "base", "deepsparse"),
        ("pruned", "openvino", "base", "openvino"),
    }
    engines = watched["base", "deepsparse", "base", "openvino"]
    assert list(engines.nights) == [0, 1]
    assert engines.logs[0] == engines.logs[1] == pytest.approx(log(2), abs=0.01)
    assert 0 < engines.errors[0] < 0.01
    assert exp(watched["pruned", "openvino", "base", "openvino"].logs[0]) == pytest.approx(1.5)


def test_another_cpu_goes_on_with_the_series_and_another_scenario_does_not(add_night: AddNight) -> None:
    add_night("2026-11-23")
    add_night("2026-11-24", cpu="EPYC")
    series_of_nights = of_store(add_night("2026-11-24.2", protocol="throughput"))
    assert {(pair.scenario, tuple(series.nights)) for pair, series in series_of_nights.series.items()} == {
        ("latency", (0, 1)),
        ("throughput", (2,)),
    }


def test_what_has_no_interval_or_was_timed_at_another_time_is_not_watched(add_night: AddNight) -> None:
    assert not of_store(add_night("2026-11-23", processes=1)).series
    apart = of_store(add_night("2026-11-24", together=False)).series
    assert apart
    assert all(pair.a.variant == pair.b.variant for pair in apart)


def test_a_night_that_has_a_report_is_not_read_trial_by_trial(
    add_night: AddNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_night("2026-11-23")
    store = add_night("2026-11-24")
    before = of_store(store)
    report.publish(store, "2026-11-23")
    monkeypatch.setattr(store, "trials", lambda night, **_: pytest.fail(f"the trials of {night} are read"))
    with pytest.raises(pytest.fail.Exception, match="the trials of 2026-11-24 are read"):
        of_store(store)
    monkeypatch.undo()
    assert of_store(store) == before


def test_what_was_computed_is_kept_only_where_that_is_wanted(add_night: AddNight) -> None:
    store = add_night("2026-11-23")
    of_store(store)
    assert store.night_ratios("2026-11-23") is None
    (ratios,) = read(store, [], keep=True)
    assert store.night_ratios("2026-11-23") == ratios


def test_a_night_that_cannot_be_read_is_left_out_and_named(add_night: AddNight) -> None:
    add_night("2026-11-23")
    store = add_night("2026-11-24")
    store.write("nights/2026-11-23/manifest.json", b"{")
    unreadable: list[Unreadable] = []
    assert history(read(store, unreadable)).nights == ("2026-11-24",)
    assert [left_out.path for left_out in unreadable] == ["nights/2026-11-23"]


def test_ratios_that_are_damaged_are_named_left_as_they_are_and_computed_from_the_trials(add_night: AddNight) -> None:
    store = add_night("2026-11-23")
    before = of_store(store)
    path = store.night_ratios_path("2026-11-23")
    store.write(path, b"{")
    unreadable: list[Unreadable] = []
    assert history(read(store, unreadable, keep=True)) == before
    assert [left_out.path for left_out in unreadable] == [path]
    assert store.read(path) == b"{"
