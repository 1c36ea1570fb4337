"""Instances of the project: what is asked of EC2 for a job, and how they are found again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sparsebench.contracts import Job
from sparsebench.fleet import tags
from sparsebench.settings import Settings

DISK_GIB = {"bench": 30, "sparsify": 80}
"""Root volume: the sparsify environment alone is more than 5 GB."""


@dataclass(frozen=True)
class Instance:
    instance_id: str
    dag_id: str
    run_id: str
    job: str
    expires: datetime | None

    def has_expired(self, now: datetime) -> bool:
        """Also when the tag is missing: such an instance was not launched as it should have been."""
        return self.expires is None or self.expires < now


def find(ec2: Any, job: str | None = None) -> list[Instance]:
    """Instances that are not terminated (or about to be), of one job or of the project, by their tags."""
    found = []
    for page in ec2.get_paginator("describe_instances").paginate(Filters=tags.filters(job)):
        for reservation in page["Reservations"]:
            for instance in reservation["Instances"]:
                tag = {item["Key"]: item["Value"] for item in instance.get("Tags", [])}
                found.append(
                    Instance(
                        instance_id=instance["InstanceId"],
                        dag_id=tag.get(tags.PROJECT, ""),
                        run_id=tag.get(tags.RUN, ""),
                        job=tag.get(tags.JOB, ""),
                        expires=_moment(tag.get(tags.EXPIRES)),
                    )
                )
    return found


def _moment(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def launch_config(job: Job, settings: Settings, attempt: int, now: datetime) -> dict[str, Any]:
    """Parameters of RunInstances for a job, beside ImageId and the counts.

    The ClientToken is ours, since botocore would make a new one for each call: a repeated request of the
    same attempt gives the same instance. The instance ends itself after ``job.max_minutes``, whatever
    becomes of Airflow: shutting down terminates it.
    """
    named = [{"Key": key, "Value": value} for key, value in tags.of(job, now).items()]
    config: dict[str, Any] = {
        "InstanceType": job.instance_type,
        "ClientToken": f"{job.job}-{attempt}"[:64],
        "InstanceInitiatedShutdownBehavior": "terminate",
        "MetadataOptions": {"HttpTokens": "required", "HttpEndpoint": "enabled"},
        "UserData": f"#!/bin/bash\nshutdown -h +{job.max_minutes}\n",
        "BlockDeviceMappings": [
            {
                "DeviceName": "/dev/xvda",
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
    if job.instance_type.startswith("t"):
        # Without credits a burstable type is throttled in the middle of a measurement.
        config["CreditSpecification"] = {"CpuCredits": "unlimited"}
    if settings.instance_profile:
        config["IamInstanceProfile"] = {"Name": settings.instance_profile}
    if settings.subnet:
        config["SubnetId"] = settings.subnet
    if settings.security_group:
        config["SecurityGroupIds"] = [settings.security_group]
    return config
