"""End instances that outlived their run or their expiry."""

from __future__ import annotations

import logging
from typing import Any

from airflow.providers.amazon.aws.hooks.ec2 import EC2Hook

from sparsebench.fleet import instances
from sparsebench.fleet.plan import utcnow
from sparsebench.settings import Settings

log = logging.getLogger(__name__)


def reap(ti: Any) -> list[str]:
    """Terminate what is left over, and return the ids.

    ``ti`` is the running task instance: it knows which runs are still active.
    """
    ec2: Any = EC2Hook(region_name=Settings().region, api_type="client_type").conn
    leaked = []
    for instance in instances.find(ec2):
        if instance.has_expired(utcnow()):
            why = f"its time was up at {instance.expires}"
        elif not _is_active(ti, instance.run):
            why = "its run has ended"
        else:
            continue
        log.error("leaked: %s of %s: %s; terminating it", instance.instance_id, instance.run, why)
        leaked.append(instance.instance_id)
    if leaked:
        ec2.terminate_instances(InstanceIds=leaked)
    return leaked


def _is_active(ti: Any, run: str) -> bool:
    dag_id, _, run_id = run.partition("/")
    return bool(run_id) and ti.get_dr_count(dag_id=dag_id, run_ids=[run_id], states=["running", "queued"]) > 0
