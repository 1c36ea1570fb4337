"""The engines under test: one file each, found by being here.

A file of this folder defines one subclass of ``Engine``. Importing it must not import the engine's own
library (the control environment reads the names without having one): that happens in ``load``.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from sparsebench.bench.engines.base import Engine


def _discover() -> dict[str, Engine]:
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    engines = [engine() for engine in Engine.__subclasses__()]
    return {engine.name: engine for engine in sorted(engines, key=lambda engine: engine.rank)}


ENGINES: dict[str, Engine] = _discover()
"""All engines by name, in the order in which figures show them."""
