"""What `python -m chaos` reads of a sweep, it reads as the product does: in every format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from chaos.checks import _collection, _judge_report
from tests.golden import FOLDER

from sparsebench.contracts import Collection, HostFacts, Manifest, ModelCard, Trial
from sparsebench.contracts.formats import format_numbers
from sparsebench.store import Store


@pytest.mark.parametrize("number", sorted(format_numbers(Collection)))
def test_a_collection_of_every_format_is_read(tmp_path: Path, number: int) -> None:
    store = Store(tmp_path.as_uri())
    content = (FOLDER / "Collection" / f"{number}.json").read_bytes()
    store.write("nights/2026-11-24/collections/job.json", content)
    sweep: Any = SimpleNamespace(night="2026-11-24", job="job", lab=SimpleNamespace(store=store))
    assert _collection(sweep) == Collection.from_json(content)


@pytest.mark.parametrize("processes", [(6,), (6, 2)])
def test_a_report_that_is_right_is_found_right_however_often_its_instance_broke(
    tmp_path: Path,
    make_manifest: Callable[..., Manifest],
    make_card: Callable[..., ModelCard],
    make_host: Callable[..., HostFacts],
    make_trial: Callable[..., Trial],
    processes: tuple[int, ...],
) -> None:
    store, night = Store(tmp_path.as_uri()), "2026-11-24"
    store.freeze(make_manifest(models=(make_card("vgg19"),)))
    for number, count in enumerate(processes):
        instance_id = f"i-{number}"
        store.put_host(night, make_host("m5.xlarge", instance_id=instance_id))
        for generation in range(count):
            throughput = 50.0 + 10 * number + generation
            store.put_trial(
                make_trial(
                    throughput, engine="onnxruntime", generation=10 * number + generation, instance_id=instance_id
                )
            )
    assert _judge_report(store, night, "m5.xlarge") == (0, 0, [])
