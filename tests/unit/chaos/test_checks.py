"""What `python -m chaos` reads of a sweep, it reads as the product does: in every format."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from chaos.checks import _collection
from tests.golden import FOLDER

from sparsebench.contracts import Collection
from sparsebench.contracts.formats import format_numbers
from sparsebench.store import Store


@pytest.mark.parametrize("number", sorted(format_numbers(Collection)))
def test_a_collection_of_every_format_is_read(tmp_path: Path, number: int) -> None:
    store = Store(tmp_path.as_uri())
    content = (FOLDER / "Collection" / f"{number}.json").read_bytes()
    store.write("nights/2026-11-24/collections/job.json", content)
    sweep: Any = SimpleNamespace(night="2026-11-24", job="job", lab=SimpleNamespace(store=store))
    assert _collection(sweep) == Collection.from_json(content)
