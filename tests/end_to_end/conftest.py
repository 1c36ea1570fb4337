"""A real Airflow with a real scheduler, localcloud as AWS, and a tiny network in an S3 bucket of it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import boto3
import httpx
import pytest

from sparsebench.local.api import FINISHED, AirflowApi
from sparsebench.local.demo import UNPAUSED
from sparsebench.local.stack import USER, Stack
from sparsebench.store import Store
from tests.support.tiny import register, tiny_network

ROOT = Path(__file__).parents[2]
STORE = "s3://sparsebench-tests/store"
REGION: Literal["eu-central-1"] = "eu-central-1"
"""Not the one that the catalog has prices of."""


def as_json(content: Any) -> Any:
    """An XCom, as the API gives it: some as text, some as what the text says."""
    return json.loads(content) if isinstance(content, str) else content


@dataclass
class System:
    stack: Stack
    api: AirflowApi
    store: Store

    def finished(self, dag_id: str, run_id: str) -> str:
        """The state in which a run ends."""
        while (state := self.api.run_state(dag_id, run_id)) not in FINISHED:
            self.stack.check()
            time.sleep(1)
        return state

    def finished_runs(self, dag_id: str, wanted: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """All runs of a DAG, once none is under way and they are what is wanted."""
        while True:
            self.stack.check()
            runs = self.api.runs(dag_id)
            if wanted(runs) and all(run["state"] in FINISHED for run in runs):
                return runs
            time.sleep(1)

    def wait(self, dag_id: str, run_id: str, task_id: str, states: set[str], map_index: int = -1) -> None:
        """Until a task is in one of these states; another in which it ends is a failure."""
        while True:
            self.stack.check()
            for task in self.api.task_instances(dag_id, run_id):
                if (task["task_id"], task["map_index"]) == (task_id, map_index):
                    if task["state"] in states:
                        return
                    assert task["state"] not in FINISHED, f"{task_id} is {task['state']}; expected {states}"
            time.sleep(1)

    def clear(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Clear a task with those downstream of it, as a person does in the UI."""
        wanted = {
            "dag_run_id": run_id,
            "task_ids": [task_id],
            "include_downstream": True,
            "only_failed": False,
            "dry_run": False,
        }
        self.api.call("POST", f"/dags/{dag_id}/clearTaskInstances", json=wanted)

    def faults(self, *wanted: dict[str, Any]) -> None:
        """Have localcloud do these faults, in place of those before."""
        address = f"{self.stack.cloud_url}/localcloud/faults"
        headers = self.stack.cloud_keys.headers
        httpx.delete(address, headers=headers).raise_for_status()
        httpx.post(address, json=list(wanted), headers=headers).raise_for_status()

    def airflow(self, *arguments: str) -> str:
        """An ``airflow`` command beside the running system."""
        command = [str(ROOT / ".venv/bin/airflow"), *arguments]
        done = subprocess.run(command, env=self.stack.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="session", name="network")
def _network(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return tiny_network(tmp_path_factory.mktemp("network"))


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory, network: bytes) -> Iterator[System]:
    home = tmp_path_factory.mktemp("system")
    night = (datetime.now(UTC) + timedelta(minutes=8)).replace(second=0, microsecond=0)
    environment = {
        "SPARSEBENCH_STORE": STORE,
        "AWS_DEFAULT_REGION": REGION,
        "SPARSEBENCH_ASK_ABOVE_USD": "0.3",
        "SPARSEBENCH_NIGHTLY_SCHEDULE": f"{night.minute} {night.hour} * * *",
        "PYTHONPATH": str(ROOT / "tests/support/brief"),
    }
    with pytest.MonkeyPatch.context() as patch, Stack(home=home, environment=environment) as stack:
        for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
            patch.setenv(name, stack.env[name])
        boto3.client("s3").create_bucket(
            Bucket="sparsebench-tests", CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        store = Store(STORE)
        register(store, network, "base", "pruned")
        api = AirflowApi(stack.url, USER, stack.password)
        api.wait_for_dags(set(UNPAUSED))
        for dag_id in ("history", "report", "benchmark_sweep"):
            api.unpause(dag_id)
        assert datetime.now(UTC) < night, "Airflow was not up before the sweep's time, so that it waits for tomorrow's"
        yield System(stack, api, store)
