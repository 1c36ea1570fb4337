"""Typed objects among the files: each is read whole, and checked against its place."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeVar

from sparsebench.contracts import Stored
from sparsebench.errors import IntegrityError
from sparsebench.store.files import Files

C = TypeVar("C", bound=Stored)

logger = logging.getLogger(__name__)


class Unreadable(NamedTuple):
    """An object that is not taken: it is damaged, or not what its place says."""

    path: str
    reason: str


AHEAD = timedelta(days=1)
"""Clocks differ; an object whose time lies further in the future is a false one."""


class Objects(Files):
    """Files that hold contracts as JSON."""

    def _load(self, model: type[C], path: str, place: Callable[[C], str] | None = None) -> C:
        """
        Args:
            place: where an object belongs, of a kind that says it.

        Raises:
            IntegrityError: it is damaged, or in another place than its own.
        """
        return self._parsed(model, path, self.read(path), place)

    def _parsed(self, model: type[C], path: str, data: bytes, place: Callable[[C], str] | None = None) -> C:
        """What an object's bytes say. Args, and raises, as ``_load``."""
        try:
            return _in_place(model.from_json(data), path, place)
        except ValueError as error:
            raise IntegrityError(f"{self.uri}: {path} is not a {model.__name__} that can be read: {error}") from error

    def _load_all(
        self,
        model: type[C],
        paths: Iterable[str],
        place: Callable[[C], str],
        unreadable: list[Unreadable] | None,
    ) -> list[C]:
        """Those that can be read and are in their place; the others are added to ``unreadable``, or else logged."""
        return self._parse_all(model, self.read_all(paths), place, unreadable)

    def _parse_all(
        self,
        model: type[C],
        contents: Iterable[tuple[str, bytes]],
        place: Callable[[C], str],
        unreadable: list[Unreadable] | None,
    ) -> list[C]:
        """The same of contents by their paths."""
        objects, latest = [], datetime.now(UTC) + AHEAD
        for path, content in contents:
            try:
                loaded = _in_place(model.from_json(content), path, place)
                for name in model.model_fields:
                    if isinstance(at := getattr(loaded, name), datetime) and at > latest:
                        raise ValueError(f"{name} is {at.isoformat()}, in the future")
            except ValueError as error:
                damaged = Unreadable(path, str(error))
                if unreadable is None:
                    logger.warning("%s: %s is left out: %s", self.uri, *damaged)
                else:
                    unreadable.append(damaged)
            else:
                objects.append(loaded)
        return objects

    def _json(self, prefix: str) -> Iterator[str]:
        return (path for path in self.paths(prefix) if path.endswith(".json"))


def _in_place(loaded: C, path: str, place: Callable[[C], str] | None) -> C:
    if place is not None and place(loaded) != path:
        raise ValueError(f"it is the {type(loaded).__name__} that belongs at {place(loaded)}")
    return loaded
