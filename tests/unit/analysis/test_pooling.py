"""Nights are pooled when they measured the same; a host of another night is another host."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from sparsebench import catalog
from sparsebench.analysis.pooling import Night, pooled
from sparsebench.analysis.ratios import measure, ratios
from sparsebench.contracts import HostFacts, Manifest, Trial, sha256
from sparsebench.errors import BadInput

MakeNight = Callable[..., Night]


@pytest.fixture
def make_night(
    make_trial: Callable[..., Trial], make_host: Callable[..., HostFacts], make_manifest: Callable[..., Manifest]
) -> MakeNight:
    def made(day: int, speed: float = 20.0, target: float = 0.02, **changes: Any) -> Night:
        name = f"2026-11-{day}"
        protocol = catalog.protocols()["standard"].model_copy(update={"target": target})
        manifest = make_manifest(night=name, frozen_at=datetime(2026, 11, day, tzinfo=UTC), protocol=protocol)
        speeds = {"deepsparse": speed, "openvino": 10.0}
        trials = [make_trial(speed, engine=engine, night=name, **changes) for engine, speed in speeds.items()]
        return Night(manifest, trials, [make_host()])

    return made


def test_each_night_is_a_further_host_though_its_ids_are_the_same(make_night: MakeNight) -> None:
    nights = [make_night(day, 20.0 + day / 10) for day in range(10, 16)]
    results = pooled(nights)
    (row,) = ratios(measure(results)).to_dict("records")
    assert (row["hosts"], row["processes"], row["over"]) == (6, 6, "hosts")
    assert row["verdict"] == "faster"
    (cell,) = results.cells[results.cells["engine"] == "deepsparse"].to_dict("records")
    assert cell["processes"] == 6


def test_nights_of_another_protocol_are_refused(make_night: MakeNight) -> None:
    with pytest.raises(BadInput, match=r"target of the protocol is 0\.02 in 2026-11-10 and 0\.05 in 2026-11-11"):
        pooled([make_night(10), make_night(11, target=0.05)])


def test_nights_with_another_artifact_of_a_network_are_refused(make_night: MakeNight) -> None:
    other = make_night(11, artifact=sha256(b"another"))
    with pytest.raises(BadInput, match=r"vgg19 base is artifact \w{12} in 2026-11-10 and \w{12} in 2026-11-11"):
        pooled([make_night(10), other])
    assert pooled([make_night(10), make_night(11, artifact=sha256(b"another"), network="resnet50")]).lanes == ["f32"]
