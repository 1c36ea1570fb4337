"""What an instance type has, and what it costs."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from sparsebench.contracts.base import Name, Stored

SURPLUS_USD = 0.05
"""Of a burstable type, per vCPU and hour above its baseline: EC2's price of surplus credits for Linux."""


class InstanceFacts(Stored):
    """instance_types/<region>/<name>.json: what AWS said of an instance type in a region, and when.

    A night's are frozen: those of its first run in its manifest, and of a type that a later run adds at
    nights/<night>/instance_types/<name>.json.
    """

    name: Name
    region: str
    source: Literal["aws", "catalog"]
    as_of: date | None = Field(description="when the source said what the type has; None: of this machine")
    vcpus: int | None = Field(ge=1, description="None: of this machine, which an emulated instance is")
    cores: int | None = Field(default=None, ge=1, description="physical ones; None: not known")
    threads_per_core: tuple[int, ...] = Field(default=(), description="that can be chosen; empty: not known")
    memory_gib: float | None = Field(default=None, gt=0)
    architecture: str = Field(default="x86_64", description="as EC2 names it: x86_64, arm64")
    burstable: bool = Field(default=False, description="it runs on CPU credits")
    gpu: bool = Field(default=False, description="NVIDIA's")
    usd_per_hour: float | None = Field(
        default=None, ge=0, description="on demand, Linux, shared tenancy; None: unknown"
    )
    usd_as_of: date | None = Field(default=None, description="of that price")
    spot_usd_per_hour: float | None = Field(default=None, ge=0, description="in the cheapest zone, when it was asked")

    @property
    def at_most_usd_per_hour(self) -> float | None:
        """A burstable type that works all the time, as a benchmark does, is charged for credits beyond its own."""
        if self.usd_per_hour is None or not self.burstable:
            return self.usd_per_hour
        return self.usd_per_hour + SURPLUS_USD * (self.vcpus or 0)

    @property
    def single_thread_cores(self) -> int | None:
        """How many cores to ask for with one thread each; None: the type has no second thread that could be left."""
        return self.cores if 1 in self.threads_per_core and max(self.threads_per_core) > 1 else None
