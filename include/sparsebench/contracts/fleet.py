"""Instances: what is put on them, what became of them, and what they cost."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, Field

from sparsebench.contracts.base import Contract, Name, Sha256, Stored, sha256
from sparsebench.contracts.formats import since

Market = Literal["on_demand", "spot"]
"""How an instance is bought: for as long as it is wanted, or cheaper and with two minutes' notice of its end."""

Environment = Literal["bench", "sparsify"]
"""The environments that an instance installs; each has a lock of that name."""

Module = Literal["bench", "sparsify", "importing"]
"""Those of ours that an instance runs: ``python -m sparsebench.<module> run``."""


class Job(Contract):
    """What Airflow puts on one instance: an environment, and a module of ours that is given a request."""

    job: Name = Field(description="unique within the project; the same over retries")
    dag_id: str
    run_id: str = Field(max_length=256, description="of the run that launches it; a tag holds 256 characters")
    label: str = Field(description="what the UI shows for it")
    instance_type: Name
    architecture: str = Field(default="x86_64", description="of the instance type, as EC2 names it")
    image: str = Field(description="AMI id: the night's, or for another pipeline the run's")
    module: Module
    lock: Sha256
    payload: Sha256
    request: str = Field(description="path of the request in the store")
    max_minutes: int = Field(ge=1, le=2880, description="the instance ends itself after this")
    market: Market = "on_demand"
    usd_per_hour: float | None = Field(default=0, ge=0, description="on demand, at most; None: no price is known")
    burstable: bool = Field(default=False, description="it runs on CPU credits")
    single_thread_cores: int | None = Field(
        default=None, ge=1, description="to ask for with one thread each; None: the type has no second thread to leave"
    )
    budget_usd: float | None = Field(default=None, ge=0, description="of its whole run; None: without limit")
    max_live: int = Field(default=64, ge=1, description="of the project's instances at a time")

    @property
    def environment(self) -> Environment:
        """What the module runs in: importing tries a file in the engines."""
        return "sparsify" if self.module == "sparsify" else "bench"

    @property
    def run_key(self) -> str:
        """The key of the run, safe as one component of a path."""
        return run_key(self.dag_id, self.run_id)


def run_key(dag_id: str, run_id: str) -> str:
    """A short name of a run: its own may hold any character."""
    return sha256(f"{dag_id}/{run_id}".encode())[:16]


class Launch(Stored):
    """launches/<run key>/<instance_id>.json: an instance that is paid for, from its launch until its end is known."""

    instance_id: str
    instance_type: Name
    job: Name
    zone: str
    market: Market
    usd_per_hour: float | None = Field(ge=0, description="on demand, which a spot instance never exceeds")
    launched_at: AwareDatetime
    ends_by: AwareDatetime = Field(description="it ends itself by then")
    ended_at: AwareDatetime | None = None
    lost: bool = Field(default=False, description="it ended before its job, or was given up")
    credits_left: float | None = Field(default=None, description="of a burstable type: CPU credits at its end")
    surplus_credits: float | None = Field(
        default=None,
        description="of a burstable type: CPU credits beyond its own that are charged",
        json_schema_extra=since(2),
    )

    def cost_usd(self, now: datetime) -> float:
        """What it has cost, at most. (EC2 bills by the second, for a minute at least.)"""
        seconds = ((self.ended_at or now) - self.launched_at).total_seconds()
        return (self.usd_per_hour or 0) * max(60.0, seconds) / 3600


class Progress(Stored):
    """progress/<job>.json: how far a job has come; replaced as it goes on."""

    job: Name
    what: str = Field(description="one line: what is being done now")
    done: int = Field(ge=0)
    total: int = Field(ge=0)
    started_at: AwareDatetime
    updated_at: AwareDatetime
    failed: int = Field(default=0, ge=0)
    finished: bool = False
    left_s: float | None = Field(default=None, ge=0, description="that it will take, as far as can be said")
    tail: tuple[str, ...] = Field(default=(), description="the last lines of its output")


FailureReason = Literal["quota", "capacity", "unsupported", "over_budget", "interrupted", "failed"]
"""Why an instance did not do its job: the account's quota of vCPUs; no zone had one; no zone offers the type; the
run's budget; it was taken away, again and again; anything else."""

Step = Literal["launch", "agent", "prepare", "work"]
"""What a job goes through: it has an instance, which takes commands, and has the environment, and did the work."""


class Failure(Stored):
    """failures/<job>.json: why the last attempt of a job's step failed."""

    job: Name
    step: Step
    reason: FailureReason
    detail: str
    at: AwareDatetime
