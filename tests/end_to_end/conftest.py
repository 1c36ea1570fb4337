"""A real Airflow with a real scheduler, localcloud as AWS, and a tiny network in an S3 bucket of it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from sparsebench.contracts import ModelCard, Weights
from sparsebench.local.api import FINISHED, AirflowApi
from sparsebench.local.stack import USER, Stack
from sparsebench.store import Store

ROOT = Path(__file__).parents[2]
STORE = "s3://sparsebench-tests/store"


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

    def airflow(self, *arguments: str) -> str:
        """An ``airflow`` command beside the running system."""
        command = [str(ROOT / ".venv/bin/airflow"), *arguments]
        done = subprocess.run(command, env=self.stack.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def register(store: Store, network: bytes) -> None:
    """Put a network into the store as mobilenetv1, base and pruned."""
    for variant in ("base", "pruned"):
        store.put_model_card(
            ModelCard(
                network="mobilenetv1",
                variant=variant,  # type: ignore[arg-type]
                artifact=store.put_artifact(network),
                artifact_bytes=len(network),
                gzip_bytes=len(network),
                input_shape=(3, 224, 224),
                parameters=592,
                sparsity=0,
                layers=(),
                recipe="",
                weights=Weights(kind="random", origin="made for a test", seed=1),
                versions={},
            )
        )


@pytest.fixture(scope="session")
def tiny_network(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = tmp_path_factory.mktemp("network") / "tiny.onnx"
    maker = ROOT / "tests/unit/bench/make_network.py"
    subprocess.run([ROOT / ".envs/bench/bin/python", maker, file, "--input", "batch,3,224,224"], check=True)
    return file.read_bytes()


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory, tiny_network: bytes) -> Iterator[System]:
    home = tmp_path_factory.mktemp("system")
    soon = datetime.now(UTC) + timedelta(seconds=100)
    environment = {
        "SPARSEBENCH_STORE": STORE,
        "SPARSEBENCH_NIGHTLY_SCHEDULE": f"{soon.minute} {soon.hour} * * *",
    }
    with pytest.MonkeyPatch.context() as patch, Stack(home=home, environment=environment) as stack:
        for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
            patch.setenv(name, stack.env[name])
        boto3.client("s3").create_bucket(Bucket="sparsebench-tests")
        store = Store(STORE)
        register(store, tiny_network)
        api = AirflowApi(stack.url, USER, stack.password)
        api.wait_for_dags({"sparsify", "benchmark_sweep", "report", "reap_instances"})
        api.unpause("report")
        yield System(stack, api, store)
