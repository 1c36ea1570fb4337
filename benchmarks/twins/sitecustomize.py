"""Python imports this in every process that has the folder on its path: each engine a second time, under another name.

A pair of twins is the same engine twice, so whatever is found to be different between them is an error of the
measurement.
"""

from __future__ import annotations

from sparsebench.bench.engines import ENGINES

SUFFIX = ".twin"

for engine in list(ENGINES.values()):
    twin = type(f"{type(engine).__name__}Twin", (type(engine),), {"name": engine.name + SUFFIX})
    ENGINES[engine.name + SUFFIX] = twin()
