"""Bring a job to a live instance: found by its tag, or launched in one zone after another."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from sparsebench.contracts import Job, Launch, Market, sha256
from sparsebench.fleet import instances, spending, tags
from sparsebench.fleet.failures import LostTooOften, NoCapacity, NoRoom, NotOffered, QuotaReached
from sparsebench.settings import Settings
from sparsebench.store import Store

log = logging.getLogger(__name__)

MAX_LOST = 4
"""Instances of a job that may be lost one after the other before it is given up."""

CAPACITY = ("InsufficientInstanceCapacity", "InsufficientHostCapacity", "UnfulfillableCapacity", "SpotMaxPriceTooLow")
QUOTA = ("VcpuLimitExceeded", "InstanceLimitExceeded", "MaxSpotInstanceCountExceeded")
UNSUPPORTED = ("Unsupported", "UnsupportedOperation")
"""EC2's error codes, by what helps: another zone, waiting, or to leave the zone out."""

ROOT_DEVICES = {"x86_64": "/dev/xvda", "arm64": "/dev/sda1"}
"""Of Amazon Linux, and of Ubuntu."""

UNSEEN = timedelta(minutes=5)
"""For how long after its launch EC2 may not show an instance: it is eventually consistent."""


class Place(NamedTuple):
    zone: str
    subnet: str | None


def ensure(ec2: Any, launcher: Callable[[], Any], store: Store, job: Job, settings: Settings, now: datetime) -> Launch:
    """The live instance of a job, launched if there is none.

    Args:
        launcher: gives the client for RunInstances, which had better not repeat for long what a zone has refused.

    Raises:
        NoRoom, QuotaReached: later there may be room.
        NoCapacity: later there may be one.
        NotOffered, OverBudget, LostTooOften: there will be none.
    """
    known = {launch.instance_id: launch for launch in store.launches(job.run_key) if launch.job == job.job}
    shown = instances.by_id(ec2, [launch.instance_id for launch in known.values() if launch.ended_at is None])
    shown |= {instance.instance_id: instance for instance in instances.find(ec2, store.uri, job.job)}
    for launch in list(known.values()):
        if launch.ended_at is None and is_lost(launch, shown.get(launch.instance_id), now):
            log.warning("%s was lost", launch.instance_id)
            known[launch.instance_id] = _end(store, job, launch, now)
    for launch in known.values():
        instance = shown.get(launch.instance_id)
        if launch.ended_at is None and (instance is None or instance.usable):
            return launch
    for instance in shown.values():
        if instance.usable and instance.instance_id not in known:
            # The worker died between the launch and its note of it.
            store.put_launch(job.run_key, _record(job, instance))
            return _record(job, instance)
    if _lost(known.values()) >= MAX_LOST:
        raise LostTooOften(f"{MAX_LOST} instances of {job.label} were lost one after the other")
    if _live(ec2, store, job, now) >= job.max_live:
        raise NoRoom(f"{job.max_live} instances run, as many as may at a time")
    spending.check(store, job, now)
    launch = _launch(ec2, launcher(), job, settings, len(known))
    store.put_launch(job.run_key, launch)
    return launch


def is_lost(launch: Launch, instance: instances.Instance | None, now: datetime) -> bool:
    """Whether EC2 says so, or has not shown it for too long. instance: as EC2 shows it, if it does."""
    if instance is None:
        return now - launch.launched_at > UNSEEN
    return instance.state in ("shutting-down", "terminated")


def _live(ec2: Any, store: Store, job: Job, now: datetime) -> int:
    """The installation's instances, those that EC2 does not show yet included."""
    shown = {instance.instance_id for instance in instances.find(ec2, store.uri)}
    new = {
        launch.instance_id
        for launch in store.launches(job.run_key)
        if launch.ended_at is None and now - launch.launched_at <= UNSEEN
    }
    return len(shown | new)


def give_up(ec2: Any, store: Store, job: Job, launch: Launch, now: datetime) -> None:
    """End an instance that is of no use, so that another can take its place."""
    ec2.terminate_instances(InstanceIds=[launch.instance_id])
    _end(store, job, launch, now)


def _end(store: Store, job: Job, launch: Launch, now: datetime) -> Launch:
    """Note that it was lost."""
    lost = launch.model_copy(update={"ended_at": now, "lost": True})
    store.put_launch(job.run_key, lost)
    return lost


def _lost(launches: Iterable[Launch]) -> int:
    """How many were lost since one was last terminated as planned; the first one first."""
    return sum(1 for _ in takewhile(lambda launch: launch.lost, reversed(list(launches))))


def _record(job: Job, instance: instances.Instance) -> Launch:
    return Launch(
        instance_id=instance.instance_id,
        instance_type=job.instance_type,
        job=job.job,
        zone=instance.zone,
        market=instance.market,
        usd_per_hour=job.usd_per_hour,
        launched_at=instance.launched_at,
        ends_by=instance.launched_at + timedelta(minutes=job.max_minutes),
    )


def _launch(ec2: Any, launcher: Any, job: Job, settings: Settings, number: int) -> Launch:
    """One zone after another, another one first each time; spot in all of them before on demand in any.

    number: of the job's instances before.
    """
    refused: dict[str, str] = {}
    root_device = _root_device(ec2, job)
    for market in ("spot", "on_demand") if job.market == "spot" else ("on_demand",):
        try:
            for place in _places(ec2, job.instance_type, settings, first=number):
                instance = _try(ec2, launcher, job, settings, market, place, number, refused, root_device)
                if instance:
                    return _record(job, instance)
        except QuotaReached:
            if market == "on_demand":
                raise
    refusals = "; ".join(f"{where}: {code}" for where, code in refused.items()) or "no zone offers it"
    if all(code in UNSUPPORTED for code in refused.values()):
        raise NotOffered(f"{job.instance_type} is not offered: {refusals}")
    raise NoCapacity(f"no zone has a {job.instance_type} now: {refusals}")


def _root_device(ec2: Any, job: Job) -> str:
    """The name of the root device of a job's image: Amazon Linux and Ubuntu call it differently, and under another name
    the disk would be a second one. Where EC2 may not be asked (an older stack), or the image is gone (which the launch
    will say), that of the architecture's own image."""
    try:
        described = ec2.describe_images(ImageIds=[job.image])["Images"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "UnauthorizedOperation" and not _is_gone(error):
            raise
        described = []
    return str(described[0]["RootDeviceName"]) if described else ROOT_DEVICES[job.architecture]


def _is_gone(error: ClientError) -> bool:
    return str(error.response["Error"]["Code"]).startswith("InvalidAMIID")


def _places(ec2: Any, instance_type: str, settings: Settings, first: int) -> list[Place]:
    """Where the type is offered: in the configured subnets, or in the default VPC's zones."""
    pages = ec2.get_paginator("describe_instance_type_offerings").paginate(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": [instance_type]}]
    )
    zones = sorted(offer["Location"] for page in pages for offer in page["InstanceTypeOfferings"])
    places = [Place(zone, None) for zone in zones]
    if settings.subnets:
        subnets = ec2.describe_subnets(SubnetIds=list(settings.subnets))["Subnets"]
        there = {subnet["AvailabilityZone"]: subnet["SubnetId"] for subnet in subnets}
        places = [Place(zone, there[zone]) for zone in zones if zone in there]
    turn = first % len(places) if places else 0
    return places[turn:] + places[:turn]


def _try(
    ec2: Any,
    launcher: Any,
    job: Job,
    settings: Settings,
    market: Market,
    place: Place,
    number: int,
    refused: dict[str, str],
    root_device: str,
) -> instances.Instance | None:
    """The instance that was launched there; None, and an entry in ``refused``, when there can be none."""
    for token in _tokens(job, settings, number, market, place):
        config = instances.launch_config(job, settings, market, place.zone, place.subnet, token, root_device)
        try:
            answer = launcher.run_instances(ImageId=job.image, MinCount=1, MaxCount=1, **config)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "IdempotentInstanceTerminated":
                continue
            if code == "IdempotentParameterMismatch":
                # Of a launch before the configuration was changed, or of one that failed: that leads to nothing.
                by_token = instances.by_token(ec2, token)
                if by_token is None:
                    continue
                launched = by_token
            elif code in QUOTA:
                raise QuotaReached(f"{job.instance_type}: {code}: {error.response['Error']['Message']}") from error
            elif code in CAPACITY or code in UNSUPPORTED:
                log.info("%s in %s (%s): %s", job.instance_type, place.zone, market, code)
                refused[f"{place.zone} {market}"] = code
                return None
            else:
                raise
        else:
            launched = instances.Instance.from_ec2(answer["Instances"][0])
        if launched.usable:
            log.info("launched %s in %s (%s)", launched.instance_id, place.zone, market)
            return launched
    raise NoCapacity(f"{job.instance_type}: every launch with the job's tokens has ended already")


def _tokens(job: Job, settings: Settings, number: int, market: Market, place: Place) -> Iterator[str]:
    """ClientTokens: the same for a repeated request, others once the instance of the first has ended unnoticed."""
    for attempt in range(MAX_LOST):
        yield sha256(f"{tags.deployment(settings.store)}/{job.job}/{number}/{market}/{place.zone}/{attempt}".encode())
