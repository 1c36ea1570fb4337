"""``sparsebench diff``: what changed between two nights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sparsebench.cli import app
from sparsebench.contracts import HostFacts, Manifest, ModelCard, Trial, sha256
from sparsebench.report import diff
from sparsebench.store import Store

SPEEDS = {"deepsparse": (20.0, 20.1, 19.9, 20.0, 20.1, 20.0), "openvino": (10.0, 10.1, 10.0, 9.9, 10.0, 10.1)}


@pytest.fixture
def add_night(
    tmp_path: Path,
    make_host: Callable[..., HostFacts],
    make_trial: Callable[..., Trial],
    make_card: Callable[..., ModelCard],
    make_manifest: Callable[..., Manifest],
) -> Callable[..., Store]:
    """Put a night of one network and two engines into the store; DeepSparse is so much faster than usual."""
    store = Store(tmp_path.as_uri())

    def add(night: str, faster: float = 1.0, cpu: str = "Intel Xeon 8175M", payload: bytes = b"p") -> Store:
        card = make_card("vgg19", "base", 1000)
        manifest = make_manifest("standard", night=night, models=(card,), payload=sha256(payload))
        store.freeze(manifest)
        store.put_host(night, make_host(cpu_model=cpu))
        for engine, speeds in SPEEDS.items():
            factor = faster if engine == "deepsparse" else 1.0
            for index, speed in enumerate(speeds):
                store.put_trial(
                    make_trial(speed * factor, engine=engine, generation=index, night=night, artifact=card.artifact)
                )
        return store

    return add


def test_nights_on_the_same_inputs_with_the_same_numbers_do_not_differ(add_night: Callable[..., Store]) -> None:
    add_night("2026-11-23")
    changed = diff(add_night("2026-11-24"), "2026-11-23", "2026-11-24")
    assert (changed.inputs, changed.moved, changed.compared) == ((), (), 1)


def test_a_ratio_that_moved_further_than_its_intervals_is_named(add_night: Callable[..., Store]) -> None:
    add_night("2026-11-23")
    changed = diff(add_night("2026-11-24", faster=1.2), "2026-11-23", "2026-11-24")
    (moved,) = changed.moved
    assert (moved.compared.network, {moved.compared.a, moved.compared.b}) == (
        "vgg19",
        {"deepsparse f32", "openvino f32"},
    )
    assert max(moved.after[0] / moved.before[0], moved.before[0] / moved.after[0]) == pytest.approx(1.2, rel=0.01)


def test_inputs_that_differ_are_listed_and_another_cpu_is_not_compared(add_night: Callable[..., Store]) -> None:
    add_night("2026-11-23")
    store = add_night("2026-11-24", faster=1.2, cpu="AMD EPYC", payload=b"q")
    shown = CliRunner().invoke(app, ["diff", "2026-11-23", "2026-11-24", "--store", store.uri])
    assert shown.exit_code == 0
    changed = {change.what: (change.before, change.after) for change in diff(store, "2026-11-23", "2026-11-24").inputs}
    assert changed == {
        "code (payload)": (sha256(b"p")[:12], sha256(b"q")[:12]),
        "CPU of m5.xlarge": ("Intel Xeon 8175M", "AMD EPYC"),
    }
    assert "AMD EPYC" in shown.stdout
    assert "0 of 0 ratios with an interval in both nights moved further than that." in shown.stdout


def test_a_night_that_is_not_there_is_one_line(add_night: Callable[..., Store]) -> None:
    store = add_night("2026-11-23")
    shown = CliRunner().invoke(app, ["diff", "2026-11-23", "2026-11-24", "--store", store.uri])
    assert (shown.exit_code, shown.stderr.count("\n")) == (2, 1)
