"""The engines under test: one folder each, found by being here.

A folder's ``__init__.py`` defines a subclass of ``Engine``: how it is configured, loaded and run. Importing it must not
import the engine's own library (the control environment reads the names without having one): that happens in
``import_library``. Its ``profile.py`` reads from the engine how it really computes a network: it loads the network
afresh, by the same configuration, with the engine's profiler on. Since a profiler costs time, it gives shares only.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from inspect import isabstract
from pkgutil import iter_modules

from sparsebench.bench.engines.base import Engine


def _discover() -> dict[str, Engine]:
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    engines = [kind() for kind in _kinds(Engine) if not isabstract(kind)]  # type: ignore[type-abstract]
    return {engine.name: engine for engine in sorted(engines, key=lambda engine: engine.rank)}


def _kinds(kind: type[Engine]) -> Iterator[type[Engine]]:
    for below in kind.__subclasses__():
        yield below
        yield from _kinds(below)


ENGINES: dict[str, Engine] = _discover()
"""All engines by name, in the order in which figures show them."""

INTEGER_ENGINES = tuple(name for name, engine in ENGINES.items() if engine.integer_operators)
"""Those that get an INT8 network's file with integer operators; the others get the one in QDQ."""
