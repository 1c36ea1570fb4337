"""Faults on demand: which API calls fail, how, and how often."""

from __future__ import annotations

import threading

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

_STATUS = {
    "InsufficientInstanceCapacity": 500,
    "InternalError": 500,
    "InternalServerError": 500,
    "RequestLimitExceeded": 503,
    "Unavailable": 503,
}
"""EC2's server errors, which an SDK repeats by itself. Every other code is the caller's, 400."""


class Fault(BaseModel):
    """A call that matches all of its fields fails."""

    model_config = ConfigDict(extra="forbid")

    action: str = Field(description="of EC2 or SSM, such as RunInstances")
    code: str = Field(description="the error's code, such as InsufficientInstanceCapacity")
    message: str = "a fault that was asked for"
    times: int | None = Field(default=None, ge=1, description="calls that fail; None: until the faults are cleared")
    instance_type: str | None = None
    availability_zone: str | None = Field(default=None, description="that the call names, itself or by its subnet")

    @property
    def status(self) -> int:
        return _STATUS.get(self.code, 400)


FAULTS = TypeAdapter(list[Fault])


class Faults:
    """The faults that are in force, in order; the first one that matches a call is its answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._given: dict[str, Fault] = {}

    def add(self, faults: list[Fault]) -> None:
        with self._lock:
            self._faults += faults

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()
            self._given.clear()

    def in_force(self) -> list[Fault]:
        with self._lock:
            return [fault.model_copy() for fault in self._faults]

    def take(
        self,
        action: str,
        invocation: str | None,
        instance_type: str | None = None,
        availability_zone: str | None = None,
    ) -> Fault | None:
        """The fault of this call, which is used up by it.

        ``invocation`` is the SDK's id of the call: the requests by which an SDK repeats a call are one call.
        """
        with self._lock:
            if invocation in self._given:
                return self._given[invocation]
            for fault in self._faults:
                if (
                    fault.action == action
                    and fault.instance_type in (None, instance_type)
                    and fault.availability_zone in (None, availability_zone)
                ):
                    if fault.times is not None:
                        fault.times -= 1
                        if not fault.times:
                            self._faults.remove(fault)
                    if invocation:
                        self._given[invocation] = fault
                    return fault
        return None
