"""The processes of docker-compose.yaml, natively: Celery workers on real Postgres and Redis run one sweep."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparsebench.local.api import AirflowApi
from sparsebench.local.processes import Process, stop_all
from sparsebench.local.stack import COMPONENTS, USER, Stack
from sparsebench.store import Store

from .conftest import System, register

pytestmark = pytest.mark.timeout(600)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, process: Process) -> None:
    while True:
        process.check()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Postgres and Redis on loopback, as settings of Airflow."""
    home = tmp_path_factory.mktemp("services")
    postgres_bin = max(Path("/usr/lib/postgresql").glob("*/bin"))
    # Postgres refuses to run as root.
    as_postgres = ["runuser", "--user", "postgres", "--"] if os.getuid() == 0 else []
    data = Path(subprocess.check_output([*as_postgres, "mktemp", "--directory"], text=True, cwd="/").strip())
    database, broker = free_port(), free_port()
    subprocess.run(
        [*as_postgres, postgres_bin / "initdb", "--auth=trust", "--username=airflow", "--pgdata", data],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd="/",
    )
    options = ["-D", str(data), "-h", "127.0.0.1", "-p", str(database), "-c", f"unix_socket_directories={data}"]
    postgres = [*as_postgres, str(postgres_bin / "postgres"), *options]
    processes = [
        Process.start("postgres", postgres, os.environ, home / "postgres.log", idle=False),
        Process.start(
            "redis",
            ["redis-server", "--bind", "127.0.0.1", "--port", str(broker), "--save", "", "--dir", str(home)],
            os.environ,
            home / "redis.log",
            idle=False,
        ),
    ]
    try:
        wait_for(database, processes[0])
        wait_for(broker, processes[1])
        address = f"airflow@127.0.0.1:{database}/postgres"
        yield {
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{address}",
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql://{address}",
            "AIRFLOW__CELERY__BROKER_URL": f"redis://127.0.0.1:{broker}/0",
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": "2",
        }
    finally:
        stop_all(processes)
        subprocess.run([*as_postgres, "rm", "-r", data], check=False, cwd="/")


def test_a_sweep_runs_on_celery_workers(
    services: dict[str, str], tiny_network: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("celery")
    store = Store((home / "store").as_uri())
    register(store, tiny_network)
    environment = {**services, "SPARSEBENCH_STORE": store.uri}
    with Stack(home=home, components=(*COMPONENTS, "celery worker"), environment=environment) as stack:
        api = AirflowApi(stack.url, USER, stack.password)
        api.wait_for_dags({"benchmark_sweep", "report"})
        for dag_id in ("benchmark_sweep", "report"):
            api.unpause(dag_id)
        system = System(stack, api, store)
        conf = {"instance_types": ["localhost", "m7i.xlarge"], "engines": ["onnxruntime", "openvino"]}
        assert system.finished("benchmark_sweep", api.trigger("benchmark_sweep", conf)) == "success"
        (report,) = system.finished_runs("report", lambda runs: len(runs) == 1)
        assert report["state"] == "success"
        assert {trial.cell.instance_type for trial in store.trials(report["partition_key"])} == set(
            conf["instance_types"]
        )
        worker = (home / "logs" / "celery-worker.log").read_text()
        assert "execute_workload" in worker
