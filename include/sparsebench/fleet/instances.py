"""Instances of the project: what is asked of EC2 for a job, and how they are found again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sparsebench.contracts import Job, Market
from sparsebench.fleet import tags
from sparsebench.instance.switch import ARMED_MINUTES
from sparsebench.settings import Settings

DISK_GIB = {"bench": 30, "sparsify": 100}
"""Root volume: the sparsify environment alone is more than 5 GB, and an image with NVIDIA's driver 75 GiB."""


@dataclass(frozen=True)
class Instance:
    instance_id: str
    state: str
    zone: str
    market: Market
    launched_at: datetime
    dag_id: str
    run_id: str
    job: str
    expires: datetime | None
    """Ten minutes after it should have ended itself; None: it was not launched as it should have been."""

    @classmethod
    def from_ec2(cls, described: dict[str, Any]) -> Instance:
        """The instance as EC2 describes it."""
        tag = {item["Key"]: item["Value"] for item in described.get("Tags", [])}
        minutes = tag.get(tags.MINUTES, "")
        return cls(
            instance_id=described["InstanceId"],
            state=described["State"]["Name"],
            zone=described["Placement"]["AvailabilityZone"],
            market="spot" if described.get("InstanceLifecycle") == "spot" else "on_demand",
            launched_at=(launched_at := described["LaunchTime"]),
            dag_id=tag.get(tags.PROJECT, ""),
            run_id=tag.get(tags.RUN, ""),
            job=tag.get(tags.JOB, ""),
            expires=launched_at + timedelta(minutes=int(minutes) + 10) if minutes.isdecimal() else None,
        )

    @property
    def usable(self) -> bool:
        return self.state in ("pending", "running")

    def has_expired(self, now: datetime) -> bool:
        """Also when the tag is missing."""
        return self.expires is None or self.expires < now


def find(ec2: Any, store_uri: str, job: str | None = None) -> list[Instance]:
    """Instances that are not terminated (or about to be), of one job or of the installation, by their tags.

    EC2 may show one here only minutes after its launch.
    """
    return _described(ec2, tags.filters(store_uri, job))


def by_id(ec2: Any, instance_ids: Iterable[str]) -> dict[str, Instance]:
    """Those of them that EC2 shows, in whatever state: it may not show yet what was just launched."""
    wanted = list(instance_ids)
    described = _described(ec2, [{"Name": "instance-id", "Values": wanted}]) if wanted else []
    return {instance.instance_id: instance for instance in described}


def by_token(ec2: Any, token: str) -> Instance | None:
    """The instance that was launched with a ClientToken, in whatever state."""
    return next(iter(_described(ec2, [{"Name": "client-token", "Values": [token]}])), None)


def _described(ec2: Any, filters: Any) -> list[Instance]:
    pages = ec2.get_paginator("describe_instances").paginate(Filters=filters)
    return [
        Instance.from_ec2(described)
        for page in pages
        for reservation in page["Reservations"]
        for described in reservation["Instances"]
    ]


def launch_config(
    job: Job,
    settings: Settings,
    market: Market,
    zone: str,
    subnet: str | None,
    token: str,
    root_device: str = "/dev/xvda",
) -> dict[str, Any]:
    """Parameters of RunInstances for a job in a zone, beside ImageId and the counts.

    The ClientToken is ours, since botocore would make a new one for each call. The same arguments give the same
    parameters at any time: EC2 refuses a token that comes with others. The instance ends itself, whatever
    becomes of Airflow: shutting down terminates it, and user data plans that before anything else runs.

    Args:
        root_device: of the image; another name would be a second volume. Amazon Linux's is the default.
    """
    named = [{"Key": key, "Value": value} for key, value in tags.for_job(job, settings.store).items()]
    config: dict[str, Any] = {
        "InstanceType": job.instance_type,
        "ClientToken": token,
        "InstanceInitiatedShutdownBehavior": "terminate",
        "MetadataOptions": {"HttpTokens": "required", "HttpEndpoint": "enabled"},
        "UserData": f"#!/bin/bash\nshutdown -h +{min(ARMED_MINUTES, job.max_minutes)}\n",
        "BlockDeviceMappings": [
            {
                "DeviceName": root_device,
                "Ebs": {
                    "VolumeSize": DISK_GIB[job.environment],
                    "VolumeType": "gp3",
                    "Encrypted": True,
                    "DeleteOnTermination": True,
                },
            }
        ],
        "TagSpecifications": [{"ResourceType": kind, "Tags": named} for kind in ("instance", "volume")],
    }
    if market == "spot":
        config["InstanceMarketOptions"] = {
            "MarketType": "spot",
            "SpotOptions": {"SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"},
        }
    if job.burstable:
        # Without credits a burstable type is throttled in the middle of a measurement.
        config["CreditSpecification"] = {"CpuCredits": "unlimited"}
    if settings.one_thread_per_core and job.single_thread_cores:
        config["CpuOptions"] = {"CoreCount": job.single_thread_cores, "ThreadsPerCore": 1}
    if settings.launch_template:
        config["LaunchTemplate"] = {"LaunchTemplateId": settings.launch_template, "Version": "$Latest"}
    if settings.instance_profile:
        config["IamInstanceProfile"] = {"Name": settings.instance_profile}
    if settings.security_group:
        config["SecurityGroupIds"] = [settings.security_group]
    if subnet:
        config["SubnetId"] = subnet
    else:
        config["Placement"] = {"AvailabilityZone": zone}
    return config
