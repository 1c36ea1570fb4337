"""A night against the one before: what differs, what is new, what is gone, and what moved further than chance."""

from __future__ import annotations

import pytest
from tests.unit.conftest import ENGINE_SPEEDS, AddNight

from sparsebench.analysis.history import night_ratios
from sparsebench.analysis.pooling import Night, pooled
from sparsebench.analysis.ratios import measure
from sparsebench.analysis.since import Since, since
from sparsebench.store import Store

BEFORE, NIGHT = "2026-11-23", "2026-11-24"
SLOWER = {**ENGINE_SPEEDS, "openvino": tuple(speed * 0.92 for speed in ENGINE_SPEEDS["openvino"])}
WITH_A_THIRD = {**ENGINE_SPEEDS, "onnxruntime": ENGINE_SPEEDS["openvino"]}


def ratios_of(store: Store, night: str) -> Night:
    """The night, whose ratios are in the store afterwards, as a report leaves them."""
    read = Night.read(store, night)
    results = pooled([read])
    store.put_night_ratios(night_ratios(read.manifest, measure(results), results))
    return read


def compared(store: Store) -> Since | None:
    ratios_of(store, BEFORE)
    night = ratios_of(store, NIGHT)
    ratios = store.night_ratios(NIGHT)
    assert ratios
    return since(store, night, ratios)


def test_two_nights_that_are_alike_differ_in_nothing(add_night: AddNight) -> None:
    add_night(BEFORE)
    difference = compared(add_night(NIGHT))
    assert difference
    assert (difference.before, difference.inputs, difference.new, difference.gone) == (BEFORE, (), (), ())
    assert len(difference.ratios) == 4
    assert difference.moved.empty
    assert difference.ratios["times"].tolist() == pytest.approx([1.0] * 4)
    assert ((difference.ratios["low"] <= 1) & (difference.ratios["high"] >= 1)).all()


def test_an_engine_that_is_slower_moves_the_ratios_that_it_is_in_and_no_others(add_night: AddNight) -> None:
    add_night(BEFORE)
    difference = compared(add_night(NIGHT, engines=SLOWER))
    assert difference
    moved = difference.moved
    assert {(row.variant_a, row.engine_a, row.engine_b) for row in moved.itertuples()} == {
        ("base", "deepsparse", "openvino"),
        ("pruned", "deepsparse", "openvino"),
    }
    assert moved["times"].tolist() == pytest.approx([1 / 0.92] * 2)
    assert (moved["low"] > 1).all()


def test_what_differs_is_named_and_what_only_one_night_has_is_no_difference(add_night: AddNight) -> None:
    add_night(BEFORE, cpu="Xeon", engines=WITH_A_THIRD)
    difference = compared(add_night(NIGHT, cpu="EPYC"))
    assert difference
    assert [(change.what, change.before, change.after) for change in difference.inputs] == [
        ("CPU of m5.xlarge", "Xeon", "EPYC")
    ]
    assert {(cell.variant, cell.engine) for cell in difference.gone} == {
        ("base", "onnxruntime"),
        ("pruned", "onnxruntime"),
    }
    assert difference.new == ()


def test_what_was_not_there_before_is_new(add_night: AddNight) -> None:
    add_night(BEFORE)
    difference = compared(add_night(NIGHT, engines=WITH_A_THIRD))
    assert difference
    assert {(cell.variant, cell.engine) for cell in difference.new} == {
        ("base", "onnxruntime"),
        ("pruned", "onnxruntime"),
    }
    assert difference.gone == ()


def test_the_night_before_is_the_last_that_has_a_ratio_in_common(add_night: AddNight) -> None:
    add_night(BEFORE)
    store = add_night("2026-11-23.2", protocol="throughput")
    ratios_of(store, "2026-11-23.2")
    difference = compared(add_night(NIGHT))
    assert difference
    assert difference.before == BEFORE


def test_the_first_night_has_none_before_it(add_night: AddNight) -> None:
    store = add_night(NIGHT)
    night = ratios_of(store, NIGHT)
    ratios = store.night_ratios(NIGHT)
    assert ratios
    assert since(store, night, ratios) is None


def test_a_night_whose_ratios_are_damaged_is_passed_over(add_night: AddNight) -> None:
    add_night("2026-11-22")
    add_night(BEFORE)
    store = add_night(NIGHT)
    ratios_of(store, "2026-11-22")
    night = ratios_of(store, NIGHT)
    ratios = store.night_ratios(NIGHT)
    assert ratios
    store.write(f"nights/{BEFORE}/ratios.json", b"{")
    difference = since(store, night, ratios)
    assert difference
    assert difference.before == "2026-11-22"
