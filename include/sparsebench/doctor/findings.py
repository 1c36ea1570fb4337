"""What an examination finds, and whom it asks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from sparsebench.errors import SparsebenchError
from sparsebench.settings import Settings

NOT_ALLOWED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403")


class Client(Protocol):
    def __call__(self, service: str, region: str | None = None) -> Any: ...


class Finding(NamedTuple):
    """state: ``unknown`` where who asks may not look. todo: what mends it."""

    what: str
    state: Literal["right", "wrong", "unknown"]
    told: str
    todo: str = ""


@dataclass
class Patient:
    settings: Settings
    client: Client
    region: str
    now: datetime
    caller: str = field(default="")
    """ARN of who asks."""

    @property
    def bucket(self) -> tuple[str, str] | None:
        """The store's bucket and prefix; None: it is a folder."""
        store = re.fullmatch(r"s3://([^/]+)/?(.*?)/?", self.settings.store)
        return (store[1], store[2]) if store else None


Found = Iterator[Finding]


def ask(what: str, look: Callable[[], Finding], todo: str) -> Finding:
    """What a look finds, or why it could not be had.

    Args:
        todo: where what is looked for is not there.
    """
    try:
        return look()
    except ClientError as error:
        code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
        if code in NOT_ALLOWED:
            advice = "update the stack (docs/aws.md), or run the doctor as somebody who may look"
            return Finding(what, "unknown", f"{error.operation_name}: {code}", advice)
        return Finding(what, "wrong", f"{code}: {message}", todo)
    except (BotoCoreError, SparsebenchError) as error:
        return Finding(what, "wrong", str(error), todo)


@contextmanager
def dry() -> Iterator[None]:
    """A call of EC2 with DryRun that ends as it should where it is allowed."""
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] != "DryRunOperation":
            raise
