"""YAML that a person wrote, as plain data: strings, numbers, lists, dictionaries; an item may have a name (``!Name``).

It is made of the parser's events, so no constructor of YAML's ever sees the text, and what is large or deep is refused
before it takes time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from sparsebench.errors import BadInput

MAX_CHARACTERS = 500_000
"""A recipe that prunes 1,000 layers has a tenth of it."""
MAX_DEPTH = 8
MAX_NUMBER = 40
"""Characters of a number."""

_NUMBERS = {f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float")}


@dataclass(frozen=True)
class Named:
    """An item with a name, and its fields."""

    name: str
    fields: dict[Any, Any]


def read(text: str, field: str) -> Any:
    """The content of a YAML document.

    Args:
        field: that the text is of, for errors.

    Raises:
        BadInput: it is not YAML, is two documents, has tags, anchors or a key twice, or is too large or too deep.
    """
    if len(text) > MAX_CHARACTERS:
        raise BadInput(f"{field}: it has {len(text)} characters; expected {MAX_CHARACTERS} at most")
    try:
        return _Reader(field, yaml.parse(text, Loader=yaml.SafeLoader)).document()
    except yaml.YAMLError as error:
        raise BadInput(f"{field}: not YAML: {' '.join(str(error).split())[:200]}") from error
    except (ValueError, OverflowError) as error:  # of an escape that is no character
        raise BadInput(f"{field}: not YAML: {str(error)[:200]}") from error


class _Reader:
    def __init__(self, field: str, events: Iterator[yaml.Event]):
        self._field = field
        self._events = events
        self._resolver = yaml.SafeLoader("")

    def document(self) -> Any:
        content = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if content is not None:
                    raise self._error("a second document (---)", "one", event)
                content = [self._value(next(self._events), 0)]
        return content[0] if content else None

    def _value(self, event: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise self._error("lists in lists", f"{MAX_DEPTH} levels at most", event)
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise self._error("an anchor or an alias", "each value where it belongs", event)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            self._refuse_tag(event)
            return [self._value(item, depth + 1) for item in self._until(yaml.SequenceEndEvent)]
        fields: dict[Any, Any] = {}
        for start in self._until(yaml.MappingEndEvent):
            if not isinstance(start, yaml.ScalarEvent):
                raise self._error("a key that is no name", "a name or a number", start)
            key = self._value(start, depth + 1)
            if key in fields:
                raise self._error(f"{str(key)[:80]!r} twice", "each field once", start)
            fields[key] = self._value(next(self._events), depth + 1)
        if event.tag is None:
            return fields
        if not event.tag.startswith("!") or not event.tag[1:].isidentifier():
            self._refuse_tag(event)
        return Named(event.tag[1:], fields)

    def _until(self, end: type[yaml.Event]) -> Iterator[yaml.Event]:
        while not isinstance(event := next(self._events), end):
            yield event

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        text = event.value
        plain, _ = event.implicit
        if not plain:
            if event.tag is not None and event.tag != "!" and event.tag[1:].isidentifier() and not text:
                raise BadInput(f"{self._field}: not YAML: {event.tag} has no fields")
            self._refuse_tag(event)
            return text
        if len(text) > MAX_NUMBER:
            return text
        tag = self._resolver.resolve(yaml.ScalarNode, text, (True, False))
        if tag not in _NUMBERS:
            return text
        return self._resolver.construct_object(yaml.ScalarNode(tag, text))

    def _refuse_tag(self, event: Any) -> None:
        if event.tag is not None:
            raise self._error(f"the tag {event.tag[:80]!r}", "plain values", event)

    def _error(self, what: str, expected: str, event: Any) -> BadInput:
        return BadInput(f"{self._field}: line {event.start_mark.line + 1} has {what}; expected {expected}")
