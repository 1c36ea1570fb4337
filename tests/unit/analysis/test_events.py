"""Events: series that change together are one, with what differs around its first night, and each is told once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sparsebench.analysis.changes import Change
from sparsebench.analysis.events import _Changed, _over_types, _Part, _Subject, all_told, find, known, untold
from sparsebench.analysis.history import Watched, history
from sparsebench.contracts import Changes, HostFacts, Manifest, ModelCard, NightRatio, NightRatios, sha256
from sparsebench.statistics.pairs import Treatment
from sparsebench.store import Store

ENGINES = ("deepsparse", "onnxruntime", "openvino")
NETWORKS = ("mobilenetv1", "resnet50")
NIGHTS, AT = 24, 14
NOW, LATER = datetime(2026, 12, 1, tzinfo=UTC), datetime(2026, 12, 2, tzinfo=UTC)

Speeds = Mapping[tuple[str, str, str], float]
"""By how much a network's variant in an engine is faster than it was; others are as they were."""


def name(night: int) -> str:
    return (date(2026, 11, 1) + timedelta(days=night)).isoformat()


FIRST = name(AT)


@pytest.fixture
def build(
    tmp_path: Path,
    make_host: Callable[..., HostFacts],
    make_card: Callable[..., ModelCard],
    make_manifest: Callable[..., Manifest],
) -> Callable[..., Store]:
    """A store of nights, from the night AT on with other speeds, hosts, models or manifests."""

    def built(
        faster: Speeds,
        host: Mapping[str, Any] | None = None,
        models: Mapping[str, Any] | None = None,
        manifest: Mapping[str, Any] | None = None,
        instance_types: tuple[str, ...] = ("m5.xlarge",),
        nights: int = NIGHTS,
        changed_types: tuple[str, ...] = ("m5.xlarge",),
        faster_on: tuple[str, ...] = ("m5.xlarge",),
        engines: tuple[str, ...] = ENGINES,
        host_before: Mapping[str, Any] | None = None,
    ) -> Store:
        store, rng = Store(tmp_path.as_uri()), np.random.default_rng(3)
        treatments = [(n, v, e) for n in NETWORKS for v in ("base", "pruned") for e in engines]
        for night in range(nights):
            since = night >= AT
            artifacts = (models or {}) if since else {}
            cards = [
                make_card(n, v, artifact=artifacts.get(f"{n} {v}", sha256(n.encode())))
                for n in NETWORKS
                for v in ("base", "pruned")
            ]
            store.freeze(make_manifest(night=name(night), models=tuple(cards), **((manifest or {}) if since else {})))
            ratios: list[NightRatio] = []
            for instance_type in instance_types:
                changed = since and instance_type in changed_types
                facts = {**(host_before or {}), **((host or {}) if changed else {})}
                store.put_host(name(night), make_host(instance_type, **facts))
                logs = {
                    t: rng.normal(0, 0.004) + (log(faster.get(t, 1)) if since and instance_type in faster_on else 0)
                    for t in treatments
                }
                ratios += [
                    NightRatio(
                        instance_type=instance_type,
                        network=a[0],
                        precision="f32",
                        variant_a=a[1],  # type: ignore[arg-type]
                        engine_a=a[2],
                        variant_b=b[1],  # type: ignore[arg-type]
                        engine_b=b[2],
                        log_ratio=logs[a] - logs[b],
                        error=0.004,
                    )
                    for a in treatments
                    for b in treatments
                    if a[0] == b[0]
                    and ((a[1] == b[1] and a[2] < b[2]) or (a[2] == b[2] and (a[1], b[1]) == ("pruned", "base")))
                ]
            store.put_night_ratios(NightRatios(night=name(night), scenario="latency", ratios=tuple(ratios)))
        return store

    return built


def changes_of(store: Store) -> Changes:
    ratios = (store.night_ratios(night) for night in store.nights())
    return find(store, history(filter(None, ratios)))


def slower(engine: str) -> Speeds:
    return {(network, variant, engine): 0.9 for network in NETWORKS for variant in ("base", "pruned")}


def test_an_engine_that_got_slower_is_one_event_whose_cause_names_its_version(build: Callable[..., Store]) -> None:
    versions = {"deepsparse": "1.9.0", "onnxruntime": "1.32.0", "openvino": "2026.5.0"}
    only = {**versions, "deepsparse": "1.8.0"}
    changes = changes_of(build(slower("openvino"), host={"versions": only}, instance_types=("m5.xlarge", "c5.xlarge")))
    (event,) = changes.events
    assert (event.instance_type, event.engine, event.network) == ("m5.xlarge", "openvino", None)
    assert (event.direction, event.first) == ("slower", FIRST)
    assert event.low < event.times < event.high < 1
    assert event.times == pytest.approx(0.9, abs=0.03)
    assert event.earliest <= FIRST <= event.latest < event.told
    assert {(series.network, series.variant_a, series.engine_a, series.engine_b) for series in event.series} == {
        (network, variant, other, "openvino")
        for network in NETWORKS
        for variant in ("base", "pruned")
        for other in ("deepsparse", "onnxruntime")
    }
    assert all(
        series.times == pytest.approx(1 / 0.9, abs=0.03) and series.low < series.times < series.high
        for series in event.series
    )
    assert event.chance < 1e-3
    (cause,) = event.differs
    assert (cause.night, cause.what) == (FIRST, "version of openvino")
    assert (cause.before, cause.after) == ("2026.4.1", "2026.5.0")
    assert (changes.nights, changes.series) == (NIGHTS, 2 * 2 * (2 * 3 + 3))


TYPES = ("m5.xlarge", "c5.xlarge", "m7i.xlarge")
VERSIONS = {"deepsparse": "1.9.0", "onnxruntime": "1.32.0", "openvino": "2026.5.0"}


def test_an_engine_that_was_renewed_on_several_types_is_one_event_that_lists_them(build: Callable[..., Store]) -> None:
    store = build(
        slower("openvino"), {"versions": VERSIONS}, instance_types=TYPES, changed_types=TYPES, faster_on=TYPES
    )
    changes = changes_of(store)
    (event,) = changes.events
    assert sorted(event.instance_types) == sorted(TYPES)
    assert event.instance_type == event.instance_types[0]
    assert (event.engine, event.direction, event.first) == ("openvino", "slower", FIRST)
    assert len(event.series) == 3 * len(NETWORKS) * 2 * 2
    assert {cause.what for cause in event.differs} == {"version of openvino", "version of deepsparse"}
    store.put_changes(changes)
    assert store.changes() == changes
    assert untold(known(changes, all_told(changes, NOW))) == []


def test_what_was_renewed_everywhere_is_one_event_with_the_causes_of_every_type(build: Callable[..., Store]) -> None:
    store = build(
        slower("openvino"), {"kernel": "6.12.1"}, instance_types=TYPES[:2], changed_types=TYPES[:2], faster_on=TYPES[:2]
    )
    (event,) = changes_of(store).events
    assert {cause.what for cause in event.differs} == {"kernel of m5.xlarge", "kernel of c5.xlarge"}


def test_two_changes_of_one_type_are_never_one_event() -> None:
    def part(instance_type: str, earliest: int, latest: int, p: float) -> _Part:
        a, b = Treatment("base", "openvino", "f32"), Treatment("base", "onnxruntime", "f32")
        change = Change(earliest, earliest, latest, latest + 3, -0.1, -0.12, -0.08, p)
        watched = Watched(instance_type, "latency", "resnet50", a, b)
        return _Part(
            "latency", _Subject("openvino"), [_Changed(watched, change, earliest, earliest, latest, latest)], ()
        )

    parts = [part("m7i.xlarge", 8, 14, 1e-12), part("m5.xlarge", 8, 9, 1e-10), part("m5.xlarge", 13, 14, 1e-9)]
    types = [[one_type.surest.watched.instance_type for one_type in event] for event in _over_types(parts)]
    assert types == [["m7i.xlarge", "m5.xlarge"], ["m5.xlarge"]]


def test_who_was_told_of_one_type_is_not_told_again_when_others_join_it(build: Callable[..., Store]) -> None:
    store = build(slower("openvino"), instance_types=TYPES[:2], changed_types=(), faster_on=TYPES[:2])
    (merged,) = changes_of(store).events
    (_, other) = merged.instance_types
    later = (date.fromisoformat(merged.latest) + timedelta(days=3)).isoformat()  # as the other type's own nights may be
    series = tuple(
        part.model_copy(update={"instance_type": None}) for part in merged.series if part.instance_type == other
    )
    alone = merged.model_copy(
        update={"instance_type": other, "series": series, "earliest": later, "latest": later, "told_at": NOW}
    )
    before = changes_of(store).model_copy(update={"events": (alone,)})
    (now,) = known(changes_of(store), before).events
    assert (now.told_at, now.stands) == (NOW, True)


def test_what_has_another_cause_or_goes_the_other_way_on_another_type_is_another_event(
    build: Callable[..., Store],
) -> None:
    store = build(
        slower("openvino"), {"kernel": "6.12.1"}, instance_types=TYPES[:2], changed_types=TYPES[:1], faster_on=TYPES[:2]
    )
    events = changes_of(store).events
    assert [event.instance_types for event in events] == [("c5.xlarge",), ("m5.xlarge",)]
    assert [[cause.what for cause in event.differs] for event in events] == [[], ["kernel of m5.xlarge"]]


def test_a_file_that_got_faster_in_every_engine_is_the_files_event(build: Callable[..., Store]) -> None:
    faster = {("resnet50", "pruned", engine): 1.2 for engine in ENGINES}
    (event,) = changes_of(build(faster, models={"resnet50 pruned": sha256(b"sparser")})).events
    assert (event.engine, event.network, event.variant, event.direction) == (None, "resnet50", "pruned", "faster")
    assert len(event.series) == len(ENGINES)
    (cause,) = event.differs
    assert (cause.what, cause.after) == ("model resnet50 pruned", sha256(b"sparser")[:12])


def test_of_two_that_may_have_changed_it_is_the_one_that_differs(build: Callable[..., Store]) -> None:
    faster = {("resnet50", "base", engine): 1.2 for engine in ENGINES}
    (event,) = changes_of(build(faster, models={"resnet50 base": sha256(b"denser")})).events
    assert (event.network, event.variant, event.direction) == ("resnet50", "base", "faster")
    assert event.times > 1 > event.series[0].times


def test_what_another_engine_or_network_had_is_no_cause(build: Callable[..., Store]) -> None:
    faster = {("resnet50", "pruned", "openvino"): 1.2}
    versions = {"deepsparse": "1.9.0", "onnxruntime": "1.32.0", "openvino": "2026.4.1"}
    (event,) = changes_of(
        build(faster, host={"versions": versions}, models={"mobilenetv1 base": sha256(b"other")})
    ).events
    assert event.engine == "openvino"
    assert [cause.what for cause in event.differs] == ["version of deepsparse"]  # it is in one of the series
    (event,) = changes_of(
        build({("resnet50", "pruned", "openvino"): 1.2, ("resnet50", "base", "openvino"): 1.2})
    ).events
    assert event.differs == ()


def test_what_hosts_of_another_type_had_is_no_cause(build: Callable[..., Store]) -> None:
    types = ("m5.xlarge", "c5.xlarge")
    changes = changes_of(
        build(slower("openvino"), {"kernel": "6.12.1"}, instance_types=types, changed_types=("c5.xlarge",))
    )
    assert [(event.instance_type, event.differs) for event in changes.events] == [("m5.xlarge", ())]


def test_the_version_of_an_engine_that_is_in_none_of_the_ratios_is_no_cause(build: Callable[..., Store]) -> None:
    versions = {"deepsparse": "1.8.0", "onnxruntime": "1.33.0", "openvino": "2026.4.1"}
    changes = changes_of(build(slower("openvino"), {"versions": versions}, engines=("deepsparse", "openvino")))
    assert [(event.engine, event.differs) for event in changes.events] == [("openvino", ())]


def test_a_host_that_is_another_one_is_named_with_what_is_other_about_it(build: Callable[..., Store]) -> None:
    host = {"cpu_model": "AMD EPYC", "kernel": "6.12.1", "emulated": True, "instance_id": "i-2"}
    events = changes_of(build(slower("deepsparse"), host=host)).events
    assert {cause.what: cause.after for cause in events[0].differs} == {
        "CPU of m5.xlarge": "AMD EPYC",
        "emulation of m5.xlarge": "True",
        "kernel of m5.xlarge": "6.12.1",
        "instance": "i-2",
    }


def test_another_microcode_is_named_but_not_that_nobody_recorded_it_before(build: Callable[..., Store]) -> None:
    (event,) = changes_of(build(slower("openvino"), host={"microcode": "0x2b"})).events
    assert event.differs == ()
    (event,) = changes_of(build(slower("openvino"), {"microcode": "0x2b"}, host_before={"microcode": "0x2a"})).events
    assert [(cause.what, cause.before, cause.after) for cause in event.differs] == [
        ("microcode of m5.xlarge", "0x2a", "0x2b")
    ]


def test_inputs_that_differ_are_named(build: Callable[..., Store]) -> None:
    inputs = {"image": "ami-2", "payload": sha256(b"q"), "bench_lock": sha256(b"r"), "protocol": "study"}
    (event,) = changes_of(build(slower("openvino"), manifest={**inputs, "protocol": "standard"})).events
    what = {cause.what for cause in event.differs}
    assert {"image", "code (payload)", "packages (bench lock)", "protocol name", "protocol target"} <= what


def test_nothing_that_happened_is_no_event(build: Callable[..., Store]) -> None:
    assert changes_of(build({})).events == ()


def test_a_new_event_is_told_once(build: Callable[..., Store]) -> None:
    changes = known(changes_of(build(slower("openvino"), nights=NIGHTS - 2)), None)
    assert untold(changes) == list(changes.events)
    assert len(changes.events) == 1
    later = known(changes_of(build(slower("openvino"))), all_told(changes, NOW))
    assert untold(later) == []
    assert [event.told_at for event in all_told(later, LATER).events] == [NOW]


def test_what_nobody_was_told_of_yet_is_still_to_be_told(build: Callable[..., Store]) -> None:
    changes = changes_of(build(slower("openvino")))
    assert len(untold(known(changes, known(changes, None)))) == 1
    assert known(changes.model_copy(update={"events": ()}), changes).events == ()


def test_what_is_no_change_any_more_is_kept_and_not_told_when_it_comes_back(build: Callable[..., Store]) -> None:
    changes = changes_of(build(slower("openvino")))
    gone = known(changes.model_copy(update={"events": ()}), all_told(changes, NOW))
    assert [(event.stands, event.told_at) for event in gone.events] == [(False, NOW)]
    back = known(changes, gone)
    assert [(event.stands, event.told_at) for event in back.events] == [(True, NOW)]


def test_another_change_of_the_same_series_is_told(build: Callable[..., Store]) -> None:
    changes = changes_of(build(slower("openvino")))
    (event,) = changes.events
    nights = {"first": name(1), "earliest": name(1), "latest": name(2), "told": name(5)}
    earlier = changes.model_copy(update={"events": (event.model_copy(update=nights),)})
    assert [event.first for event in untold(known(changes, all_told(earlier, NOW)))] == [FIRST]


def test_a_change_whose_first_night_is_now_the_one_before_is_not_told_again(build: Callable[..., Store]) -> None:
    store = build(slower("openvino"))
    changes = changes_of(store)
    (event,) = changes.events
    nights = store.nights()
    at = nights.index(event.latest)
    for away, told in ((1, 0), (2, 1)):
        moved = dict.fromkeys(("first", "earliest", "latest"), nights[at + away])
        before = all_told(changes.model_copy(update={"events": (event.model_copy(update=moved),)}), NOW)
        assert len(untold(known(changes, before, nights))) == told
        moved = dict.fromkeys(("first", "earliest", "latest"), nights[nights.index(event.earliest) - away])
        before = all_told(changes.model_copy(update={"events": (event.model_copy(update=moved),)}), NOW)
        assert len(untold(known(changes, before, nights))) == told


def test_nights_of_a_day_are_in_the_order_of_their_numbers(build: Callable[..., Store]) -> None:
    """As text, 2026-11-24.10 stands before 2026-11-24.2, and the event would be told again."""
    changes = changes_of(build(slower("openvino")))
    (event,) = changes.events
    nights = {"earliest": "2026-11-24.2", "latest": "2026-11-24.10"}
    before = changes.model_copy(update={"events": (event.model_copy(update={**nights, "first": "2026-11-24.3"}),)})
    later = {"first": "2026-11-24.9", "earliest": "2026-11-24.9", "latest": "2026-11-24.11"}
    now = changes.model_copy(update={"events": (event.model_copy(update=later),)})
    assert untold(known(now, all_told(before, NOW))) == []
