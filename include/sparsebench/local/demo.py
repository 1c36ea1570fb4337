"""The main job on this machine: sparsify what is missing, sweep localhost, draw the report."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import psutil
from rich.console import Console

from sparsebench import catalog
from sparsebench.errors import SparsebenchError
from sparsebench.fleet.plan import job_name
from sparsebench.local.api import FINISHED, AirflowApi
from sparsebench.local.daemon import raise_on_sigterm
from sparsebench.local.follow import Follower
from sparsebench.local.stack import USER, Stack
from sparsebench.report import summary
from sparsebench.store import Store

DEFAULT = ("mobilenetv1", "mobilevit_xs", "efficientnet_b0")
VARIANTS = ("base", "pruned")

UNPAUSED = ("sparsify", "benchmark_sweep", "report", "history", "reap_instances", "nothing_left_over")

MEMORY_BYTES = 6 * 2**30
"""That pruning the largest network of the catalog may take."""


def demo(networks: tuple[str, ...], once: bool) -> None:
    """Run everything; with ``once`` stop at the end, else keep the UI up until Ctrl-C.

    Raises:
        SparsebenchError: something failed; everything that was started is gone.
    """
    catalog.check("networks", networks, catalog.networks())
    console = Console() if sys.stdout.isatty() else Console(width=120)
    with Stack(say=lambda line: console.print(f"… {line}")) as stack:
        api = AirflowApi(stack.url, USER, stack.password)
        api.wait_for_dags(set(UNPAUSED))
        console.print(f"Airflow is up: {stack.url}  login {USER} / {stack.password}")
        for dag_id in UNPAUSED:
            api.unpause(dag_id)
        store = Store(stack.store)
        have = {(card.network, card.variant) for card in store.model_cards()}
        missing = [network for network in networks if any((network, variant) not in have for variant in VARIANTS)]
        if missing:
            with stack.side_by_side(_at_a_time()):
                _run(stack, api, store, console, "sparsify", {"networks": missing, "variants": list(VARIANTS)}, missing)
        conf: dict[str, Any] = {"instance_types": ["localhost"], "networks": list(networks), "variants": list(VARIANTS)}
        run = _run(stack, api, store, console, "benchmark_sweep", conf, ["localhost"])
        night = api.xcom("benchmark_sweep", run, "collect")["night"]
        _wait_for_report(stack, api, store, night)
        console.print(summary(store, night))
        protocol = store.manifest(night).protocol
        console.print(f"Protocol {protocol.name}: {protocol.description}")
        console.print(f"Report: {store.uri}/{store.report_path(night)}")
        if not once:
            console.print(f"UI: {stack.url}  login {USER} / {stack.password}   (Ctrl-C ends everything)")
            try:
                while True:
                    stack.check()
                    time.sleep(2)
            except KeyboardInterrupt:
                console.print("stopping")


def _at_a_time() -> int:
    """Networks that are pruned at a time."""
    memory = psutil.virtual_memory().available // MEMORY_BYTES
    return max(1, min(os.cpu_count() or 1, memory))


def _run(
    stack: Stack, api: AirflowApi, store: Store, console: Console, dag_id: str, conf: dict[str, Any], parts: list[str]
) -> str:
    """Trigger a run and follow it to its end; its id."""
    run = api.trigger(dag_id, conf)
    jobs = {job_name(dag_id, run, part): f"{dag_id} {part}" for part in parts}
    with Follower(console, jobs) as follower:
        while (state := api.run_state(dag_id, run)) not in FINISHED:
            stack.check()
            for job in jobs:
                if progress := store.progress(job):
                    follower.show(progress)
            time.sleep(2)
    if state != "success":
        failed = [task["task_id"] for task in api.task_instances(dag_id, run) if task["state"] == "failed"]
        raise SparsebenchError(f"{dag_id} failed at {', '.join(failed)}; see {stack.url}/dags/{dag_id}/runs/{run}")
    console.print(f"{dag_id}: done")
    return run


def _wait_for_report(stack: Stack, api: AirflowApi, store: Store, night: str, timeout_s: float = 240) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        stack.check()
        states = [run["state"] for run in api.runs("report") if run["partition_key"] == night]
        if states and states[0] == "success" and store.exists(store.report_path(night)):
            return
        if "failed" in states or time.monotonic() > deadline:
            raise SparsebenchError(f"the report of {night} was not drawn ({', '.join(states) or 'no run'})")
        time.sleep(2)


def networks_from(environment: str) -> tuple[str, ...]:
    """``all``, or names with commas between them; empty: three small networks."""
    if environment == "all":
        return tuple(catalog.networks())
    return tuple(name.strip() for name in environment.split(",") if name.strip()) or DEFAULT


def main() -> None:
    raise_on_sigterm()
    try:
        demo(networks_from(os.environ.get("NETWORKS", "")), once=os.environ.get("DEMO_ONCE") == "1")
    except SparsebenchError as error:
        raise SystemExit(f"demo: {error}") from error
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
