"""Policies as texts, and what they say of an access: AWS's evaluation within one account.

moto's own evaluation ignores conditions. What this one does not know is an error, never leave to go on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any


class PolicyError(Exception):
    """A policy that says something not known here: nobody can tell what it allows."""


@dataclass(frozen=True)
class Access:
    """One thing that a request wants.

    resource: an ARN; ``*`` for an action that knows no resources. context: condition keys in lower case; a key that
    the request does not have is not there.
    """

    action: str
    resource: str = "*"
    context: Mapping[str, str] = field(default_factory=dict)


KEYS = (
    "aws:requesttag/",
    "aws:securetransport",
    "ec2:createaction",
    "ec2:encrypted",
    "ec2:instancetype",
    "ec2:metadatahttptokens",
    "ec2:owner",
    "ec2:resourcetag/",
    "ec2:vpc",
    "iam:passedtoservice",
    "s3:prefix",
    "ssm:resourcetag/",
)
"""Condition keys that ``accesses`` fills in; those that end with a slash are followed by a tag's."""

_ELEMENTS = {"Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource", "Condition"}


def parse(policy: str | bytes | Mapping[str, Any]) -> list[Statement]:
    """
    Raises:
        PolicyError: an element, an operator, a condition key or a variable that is not known here.
    """
    document = policy if isinstance(policy, Mapping) else json.loads(policy)
    statements = document.get("Statement", [])
    return [Statement(statement) for statement in ([statements] if isinstance(statements, Mapping) else statements)]


def refusal(statements: Iterable[Statement], access: Access) -> str | None:
    """Why an access is refused, in AWS's words; None: it is allowed."""
    effects = {statement.effect for statement in statements if statement.applies(access)}
    if "Deny" in effects:
        return "with an explicit deny"
    return None if "Allow" in effects else f"because no policy allows the {access.action} action"


class Statement:
    def __init__(self, text: Mapping[str, Any]) -> None:
        if unknown := text.keys() - _ELEMENTS:
            raise PolicyError(f"the element {min(unknown)} is not known here")
        if text.get("Effect") not in ("Allow", "Deny"):
            raise PolicyError(f"Effect is {text.get('Effect')!r}; Allow and Deny are known")
        if "${" in json.dumps(text):
            raise PolicyError("policy variables are not known here")
        self._text = text
        self.effect: str = text["Effect"]
        self._conditions = [
            _condition(operator, key, _strings(values))
            for operator, keys in text.get("Condition", {}).items()
            for key, values in keys.items()
        ]

    def is_of(self, kind: str, names: Iterable[str]) -> bool:
        """Whether it is about a principal: of a kind (AWS, Service), by any of its names. An identity's is."""
        principal = self._text.get("Principal", "*")
        listed = ["*"] if principal == "*" else _strings(principal.get(kind, []))
        return bool({"*", *names} & set(listed))

    def applies(self, access: Access) -> bool:
        return (
            self._names("Action", access.action.lower(), str.lower)
            and self._names("Resource", access.resource, str)
            and all(holds(access.context) for holds in self._conditions)
        )

    def _names(self, element: str, value: str, fold: Callable[[str], str]) -> bool:
        """Whether an element (or its Not…) covers a value. A trust policy names no resource."""
        for name, wanted in ((element, True), (f"Not{element}", False)):
            if name in self._text:
                return any(_like(fold(pattern), value) for pattern in _strings(self._text[name])) is wanted
        return True


def _strings(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [str(item).lower() if isinstance(item, bool) else str(item) for item in values]


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


def _like(pattern: str, value: str) -> bool:
    return _pattern(pattern).fullmatch(value) is not None


def _arn_like(pattern: str, value: str) -> bool:
    """Part by part: an asterisk does not reach beyond a colon, but for those in the last part."""
    patterns, values = pattern.split(":", 5), value.split(":", 5)
    return len(patterns) == len(values) and all(map(_like, patterns, values))


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "ArnEquals": _arn_like,  # as on AWS, where both are the same
    "ArnLike": _arn_like,
    "Bool": lambda wanted, given: wanted.lower() == given.lower(),
    "StringEquals": lambda wanted, given: wanted == given,
    "StringLike": _like,
}


def _condition(operator: str, key: str, wanted: list[str]) -> Callable[[Mapping[str, str]], bool]:
    """Tells whether a request's context fulfils it."""
    base = operator.removesuffix("IfExists")
    if base not in _OPERATORS:
        raise PolicyError(f"the condition operator {operator} is not known here")
    if not any(key.lower().startswith(known) if known.endswith("/") else key.lower() == known for known in KEYS):
        raise PolicyError(f"the condition key {key} is not known here")
    compare, if_missing = _OPERATORS[base], operator != base

    def holds(context: Mapping[str, str]) -> bool:
        given = context.get(key.lower())
        return if_missing if given is None else any(compare(pattern, given) for pattern in wanted)

    return holds
