"""Faults on demand: which calls fail, which instances die and which commands are lost, and how often."""

from __future__ import annotations

import math
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Annotated, Any, Generic, Literal, NoReturn, TypeVar
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment
from xml.sax.saxutils import escape

from botocore.model import OperationModel
from botocore.session import get_session
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, TypeAdapter, model_validator
from werkzeug import Request, Response

Market = Literal["on-demand", "spot"]

_STATUS = {
    "AccessDenied": 403,
    "InsufficientInstanceCapacity": 500,
    "InternalError": 500,
    "InternalServerError": 500,
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "RequestLimitExceeded": 503,
    "ServiceUnavailable": 503,
    "SlowDown": 503,
    "Unavailable": 503,
}
"""Server errors, which an SDK repeats by itself, and S3's own. Every other code is the caller's, 400."""

_MAX_S = 366 * 86_400


@dataclass(frozen=True)
class Target:
    """What a fault may strike: a call, an instance, or a command on one. What it does not name is None or empty."""

    instance_type: str | None = None
    availability_zone: str | None = None
    market: Market | None = None
    service: str = ""
    action: str = ""
    key: str = ""
    comment: str = ""


# --------------------------------------------------------------------------------------- kinds of faults


class _Fault(BaseModel):
    """Strikes what matches all of its fields, as often as it was asked to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    times: int | None = Field(default=None, ge=1, description="how often it strikes; None: until it is cleared")
    probability: float = Field(default=1, gt=0, le=1, description="that it strikes what it matches")
    seed: int | None = Field(default=None, description="of the draws: the same seed gives the same; None: any")
    for_s: float | None = Field(
        default=None, gt=0, le=_MAX_S, description="seconds that it is in force; None: no limit"
    )
    instance_type: str | None = None
    availability_zone: str | None = Field(default=None, description="that a launch names, itself or by its subnet")
    market: Market | None = None

    def matches(self, target: Target) -> bool:
        return (
            self.instance_type in (None, target.instance_type)
            and self.availability_zone in (None, target.availability_zone)
            and self.market in (None, target.market)
        )


class _OfCalls(_Fault):
    service: str | None = Field(default=None, description="by its name in signatures, such as ec2, ssm or s3")
    action: str = Field(description="such as RunInstances, SendCommand or PutObject; may have wildcards: Describe*")
    key: str | None = Field(default=None, description="text in the bucket/key that a call of S3 is about")
    per_request: bool = Field(
        default=False,
        description="strike single requests, so that an SDK's own repeat may succeed; "
        "otherwise the requests by which an SDK repeats a call are one call, which fails as a whole",
    )

    def matches(self, target: Target) -> bool:
        return (
            super().matches(target)
            and self.service in (None, target.service)
            and fnmatchcase(target.action, self.action)
            and (self.key is None or self.key in target.key)
        )


class ApiError(_OfCalls):
    """A call fails and is not carried out."""

    kind: Literal["error"] = "error"
    code: str = Field(description="the error's code, such as InsufficientInstanceCapacity or SlowDown")
    message: str = "a fault that was asked for"

    @property
    def status(self) -> int:
        return _STATUS.get(self.code, 400)


class Delay(_OfCalls):
    """A call is answered late."""

    kind: Literal["delay"] = "delay"
    seconds: float = Field(gt=0, le=3600)
    when: Literal["before", "after"] = Field(default="before", description="wait before or after it is carried out")


class LostAnswer(_OfCalls):
    """A call is carried out, once, but whoever made it gets an error 500 or no answer at all."""

    kind: Literal["lost_answer"] = "lost_answer"
    closed: bool = Field(default=False, description="close the connection instead of answering with an error")


class AgentOffline(_Fault):
    """The SSM agent of an instance that is launched comes online late, or never."""

    kind: Literal["agent_offline"] = "agent_offline"
    online_after_s: float | None = Field(default=None, ge=0, le=_MAX_S, description="seconds after boot; None: never")


class Unseen(_Fault):
    """EC2 does not show an instance that is launched for so long, not even to whoever names its id."""

    kind: Literal["unseen"] = "unseen"
    seconds: float = Field(gt=0, le=_MAX_S, description="from its launch")


class _OfCommands(_Fault):
    comment: str | None = Field(default=None, description="text in the command's comment")

    def matches(self, target: Target) -> bool:
        return super().matches(target) and (self.comment is None or self.comment in target.comment)


class LostCommand(_OfCommands):
    """A command that was sent never starts, or its end is never reported. It ends when its own time is up."""

    kind: Literal["lost_command"] = "lost_command"
    stays: Literal["Pending", "InProgress"] = "Pending"


class InstanceKilled(_OfCommands):
    """EC2 terminates an instance at once, without a shutdown: Server.InternalError."""

    kind: Literal["kill"] = "kill"
    since: Literal["launch", "command"] = Field(default="launch", description="from when after_s counts")
    after_s: float = Field(ge=0, le=_MAX_S)

    @model_validator(mode="after")
    def _comment_is_of_a_command(self) -> InstanceKilled:
        if self.comment is not None and self.since != "command":
            raise ValueError('comment: only with "since": "command"')
        return self


class SpotNotice(_Fault):
    """A spot instance gets a notice after so many seconds of running, and is then terminated."""

    kind: Literal["spot_notice"] = "spot_notice"
    after_s: float = Field(ge=0, le=_MAX_S)
    notice_s: float = Field(default=120, ge=0, le=_MAX_S, description="from the notice to the end")

    def matches(self, target: Target) -> bool:
        return super().matches(target) and target.market == "spot"


def _kind(fault: Any) -> Any:
    """A fault that names no kind is an error of the API."""
    return fault.get("kind", "error") if isinstance(fault, dict) else getattr(fault, "kind", None)


Fault = Annotated[
    Annotated[ApiError, Tag("error")]
    | Annotated[Delay, Tag("delay")]
    | Annotated[LostAnswer, Tag("lost_answer")]
    | Annotated[AgentOffline, Tag("agent_offline")]
    | Annotated[Unseen, Tag("unseen")]
    | Annotated[LostCommand, Tag("lost_command")]
    | Annotated[InstanceKilled, Tag("kill")]
    | Annotated[SpotNotice, Tag("spot_notice")],
    Discriminator(_kind),
]
FAULTS: TypeAdapter[list[Fault]] = TypeAdapter(list[Fault])

# ------------------------------------------------------------------------------------ faults in force

F = TypeVar("F", bound=_Fault)


class Armed(Generic[F]):
    """A fault that was asked for, and how often it has struck."""

    def __init__(self, fault: F) -> None:
        self.fault = fault
        self.struck = 0
        self._ends_at = math.inf if fault.for_s is None else time.monotonic() + fault.for_s
        self._random = random.Random(fault.seed)  # noqa: S311 - a test's dice
        self._lock = threading.Lock()

    @property
    def in_force(self) -> bool:
        spent = self.fault.times is not None and self.struck >= self.fault.times
        return not spent and time.monotonic() < self._ends_at

    def strikes(self) -> bool:
        """Draw whether it strikes now. It counts if so."""
        with self._lock:
            if not self.in_force or self._random.random() >= self.fault.probability:
                return False
            self.struck += 1
            return True

    def clear(self) -> None:
        with self._lock:
            self._ends_at = -math.inf


class Faults:
    """The faults that were asked for, in order; the first one that strikes is the only one that does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[Armed[Any]] = []
        self._given: dict[str, _OfCalls] = {}

    def add(self, faults: Iterable[_Fault]) -> None:
        with self._lock:
            self._armed += [Armed(fault) for fault in faults]

    def clear(self) -> None:
        """Forget them all. What has struck stays as it is; what was to strike later does not."""
        with self._lock:
            for armed in self._armed:
                armed.clear()
            self._armed.clear()
            self._given.clear()

    def report(self) -> list[dict[str, Any]]:
        """Every fault since they were cleared, with ``struck`` and ``in_force``."""
        with self._lock:
            return [
                armed.fault.model_dump() | {"struck": armed.struck, "in_force": armed.in_force} for armed in self._armed
            ]

    def armed(self, kind: type[F], target: Target) -> list[Armed[F]]:
        """The faults of a kind that match."""
        with self._lock:
            return [armed for armed in self._armed if isinstance(armed.fault, kind) and armed.fault.matches(target)]

    def take(self, kind: type[F], target: Target) -> F | None:
        """The fault of a kind that strikes now."""
        return next((armed.fault for armed in self.armed(kind, target) if armed.strikes()), None)

    def answer(
        self,
        target: Target,
        invocation: str | None,
        carry_out: Callable[[], Response],
        error: Callable[[str, str, int], Response],
    ) -> WSGIApplication | None:
        """What a fault makes of a call; None: no fault strikes, and it is still to be carried out.

        Args:
            invocation: the SDK's id of the call, which the requests by which it repeats the call share.
            error: makes a response of a code, a message and an HTTP status.
        """
        repeated = self._given.get(invocation or "")
        fault = repeated or self.take(_OfCalls, target)
        if fault and invocation and not fault.per_request:
            self._given[invocation] = fault
        match fault:
            case ApiError():
                return error(fault.code, fault.message, fault.status)
            case Delay(when="before"):
                time.sleep(fault.seconds)
                return carry_out()
            case Delay():
                answer = carry_out()
                time.sleep(fault.seconds)
                return answer
            case LostAnswer():
                if not repeated:
                    carry_out()
                return _hang_up if fault.closed else error("InternalError", "the answer was lost", 500)
        return None


def _hang_up(environ: WSGIEnvironment, start_response: StartResponse) -> NoReturn:
    """Close the connection without an answer."""
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)  # raising alone would leave it open for the next request
    raise ConnectionAbortedError


# --------------------------------------------------------------------------------------------------- S3

_VIRTUAL_HOST = re.compile(r"(?P<bucket>.+)\.localhost(:\d+)?")


def s3_error(code: str, message: str, status: int) -> Response:
    body = f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
    return Response(f'<?xml version="1.0" encoding="UTF-8"?>\n{body}', status, content_type="application/xml")


def s3_target(request: Request) -> Target:
    """The operation of S3 that a request is, and the ``bucket/key`` that it is about.

    S3 has no field for the operation: method, depth of the path, query and headers tell it.
    """
    virtual = _VIRTUAL_HOST.fullmatch(request.host)
    path = f"{virtual['bucket']}{request.path}" if virtual else request.path.removeprefix("/")
    bucket, _, key = path.partition("/")
    given = {*request.args, *(name.lower() for name, _ in request.headers)}
    depth = bool(bucket) + bool(key)
    fitting = [
        (len(needed), name)
        for name, method, level, needed in _s3_operations()
        if method == request.method and level == depth and needed <= given
    ]
    # That which needs the most is meant: UploadPart is a PutObject with a part's number.
    _, action = max(fitting, key=lambda candidate: candidate[0], default=(0, ""))
    return Target(service="s3", action=action, key=path)


@cache
def _s3_operations() -> list[tuple[str, str, int, set[str]]]:
    """Name, method, depth of the path (1: bucket, 2: object), and the query and headers that it must have."""
    model = get_session().get_service_model("s3")
    operations = [model.operation_model(name) for name in model.operation_names]
    return [
        (operation.name, operation.http["method"], operation.http["requestUri"].count("{"), _needed(operation))
        for operation in operations
        if not operation.deprecated
    ]


def _needed(operation: OperationModel) -> set[str]:
    _, _, query = operation.http["requestUri"].partition("?")
    needed = {part.partition("=")[0] for part in query.split("&") if part}
    shape: Any = operation.input_shape
    for name in shape.required_members if shape else []:
        how = shape.members[name].serialization
        if how.get("location") in ("querystring", "header"):
            needed.add(how["name"].lower() if how["location"] == "header" else how["name"])
    return needed
