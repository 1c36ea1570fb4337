"""Real objects of every stored kind, from each format, and each format's schema: see ``contracts/formats.py``.

``<kind>/<format>.json`` is an object as it was written; ``<kind>/<format>.schema.json`` is what that format may hold.
``store/`` is the store of a demo before formats had numbers, without its artifacts, and ``reader-1.zip`` has the
contracts of that time. To record the schemas of new formats: ``.venv/bin/python -m tests.golden.record``.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from sparsebench.store import Store

FOLDER = Path(__file__).parent
NIGHT = "2026-11-26"
"""The one night of the golden store: three networks, base and pruned, in four engines on one host."""


def golden_store(folder: Path) -> Store:
    """A copy of the golden store in a folder."""
    shutil.copytree(FOLDER / "store", folder / "store")
    return Store((folder / "store").as_uri())
