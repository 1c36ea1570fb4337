"""Instances that outlived their run or their expiry, and what else was left over."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from sparsebench.contracts import run_key
from sparsebench.fleet import instances, tags
from sparsebench.fleet.instances import Instance
from sparsebench.settings import Settings
from sparsebench.store import Store
from sparsebench_airflow.aws import ec2_client

log = logging.getLogger(__name__)


def reap(ti: Any) -> list[str]:
    """Terminate what is left over, and return the ids.

    ``ti`` is the running task instance: it knows which runs are still active.
    """
    ec2, now = ec2_client(), datetime.now(UTC)
    leaked = _leaked(ec2, ti, now)
    for instance, why in leaked:
        run = f"{instance.dag_id}/{instance.run_id}"
        log.error("leaked: %s of %s: %s; terminating it", instance.instance_id, run, why)
    if leaked:
        ec2.terminate_instances(InstanceIds=[instance.instance_id for instance, _ in leaked])
        for instance, _ in leaked:
            _note_end(instance, now)
    return [instance.instance_id for instance, _ in leaked]


def left_over(ti: Any) -> list[str]:
    """What of the project still costs money and belongs to no run: instances, and volumes of instances that ended."""
    ec2 = ec2_client()
    costly = [f"{instance.instance_id}: {why}" for instance, why in _leaked(ec2, ti, datetime.now(UTC))]
    volumes = ec2.get_paginator("describe_volumes").paginate(
        Filters=[tags.of_deployment(Settings().store), {"Name": "status", "Values": ["available"]}]
    )
    costly += [f"{volume['VolumeId']}: its instance has ended" for page in volumes for volume in page["Volumes"]]
    return costly


def _leaked(ec2: Any, ti: Any, now: datetime) -> list[tuple[Instance, str]]:
    """The instances that have leaked, with the reason why each should not be there."""
    leaked = []
    for instance in instances.find(ec2, Settings().store):
        if instance.has_expired(now):
            leaked.append((instance, f"its time was up at {instance.expires}"))
        elif ti.get_dr_count(dag_id=instance.dag_id, run_ids=[instance.run_id], states=["running", "queued"]) == 0:
            leaked.append((instance, "its run has ended"))
    return leaked


def _note_end(instance: Instance, now: datetime) -> None:
    store, run = Store(Settings().store), run_key(instance.dag_id, instance.run_id)
    for launch in store.launches(run):
        if launch.instance_id == instance.instance_id and launch.ended_at is None:
            store.put_launch(run, launch.model_copy(update={"ended_at": now}))
