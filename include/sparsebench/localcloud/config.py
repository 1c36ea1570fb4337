"""What can be chosen about the emulated cloud."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sparsebench.errors import BadInput

HOST = "127.0.0.1"
"""Loopback, always: whoever reaches the server runs commands on this machine."""

READY = "localcloud listens on "
"""Start of the one line that the server prints; its address follows."""


@dataclass(frozen=True)
class Config:
    """
    Raises:
        BadInput: a value that cannot work.
    """

    root: Path
    """Folder of the instances (``instances/<id>``) and of their logs (``logs/<id>``)."""

    port: int = 5055
    """0 takes a free one."""

    slots: int = 1
    """SSM commands that run at the same time, over all instances: they share this machine's processors, and
    two benchmarks at once spoil each other."""

    agent_delay_s: float = 1.0
    """From an instance's launch until its SSM agent is online, in seconds."""

    lag_s: float = 3.0
    """From an instance's launch until DescribeInstances finds it by its tags, in seconds; GetCommandInvocation finds a
    command after a sixth of that."""

    vcpu_quota: int = 64
    """vCPUs of a region's running instances, of each market, that a launch may not exceed."""

    enforce_iam: bool = False
    """Whether calls are checked against the policies of who makes them."""

    uv: Path | None = None
    """The uv that instances find on their PATH, with its cache of packages; None: as on EC2, they bring their own."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise BadInput(f"port: {self.port} is not a port; 0 to 65535 are")
        if self.slots < 1:
            raise BadInput(f"slots: {self.slots} would let no command run; give 1 or more")
        if not 0 <= self.agent_delay_s <= 3600:
            raise BadInput(f"agent_delay_s: {self.agent_delay_s} is not between 0 and 3600 seconds")
        if not 0 <= self.lag_s <= 3600:
            raise BadInput(f"lag_s: {self.lag_s} is not between 0 and 3600 seconds")
        if self.vcpu_quota < 0:
            raise BadInput(f"vcpu_quota: {self.vcpu_quota} is less than nothing; give 0 or more vCPUs")
        if self.uv is not None and not os.access(self.uv, os.X_OK):
            raise BadInput(f"uv: {self.uv} is not a program that can be run")
