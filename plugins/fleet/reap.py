"""End instances that outlived their run or their expiry."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from airflow.providers.amazon.aws.hooks.ec2 import EC2Hook

from sparsebench.fleet import instances

log = logging.getLogger(__name__)


def reap(ti: Any) -> list[str]:
    """Terminate what is left over, and return the ids.

    ``ti`` is the running task instance: it knows which runs are still active.
    """
    ec2: Any = EC2Hook(api_type="client_type").conn
    leaked = []
    for instance in instances.find(ec2):
        if instance.has_expired(datetime.now(UTC)):
            why = f"its time was up at {instance.expires}"
        elif ti.get_dr_count(dag_id=instance.dag_id, run_ids=[instance.run_id], states=["running", "queued"]) == 0:
            why = "its run has ended"
        else:
            continue
        run = f"{instance.dag_id}/{instance.run_id}"
        log.error("leaked: %s of %s: %s; terminating it", instance.instance_id, run, why)
        leaked.append(instance.instance_id)
    if leaked:
        ec2.terminate_instances(InstanceIds=leaked)
    return leaked
