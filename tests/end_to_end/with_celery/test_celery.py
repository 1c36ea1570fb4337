"""The processes of docker-compose.yaml, natively: Celery workers on real Postgres and Redis run one sweep."""

from __future__ import annotations

import pytest
from benchmarks.services import free_port, services
from benchmarks.tiny import register

from sparsebench.local.api import AirflowApi
from sparsebench.local.stack import COMPONENTS, USER, Stack
from sparsebench.store import Store
from tests.end_to_end.conftest import System

pytestmark = pytest.mark.timeout(900)


def test_a_sweep_runs_on_celery_workers(network: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("celery")
    store = Store((home / "store").as_uri())
    register(store, network, "base", "pruned")
    environment = {"SPARSEBENCH_STORE": store.uri, "AIRFLOW__CELERY__WORKER_CONCURRENCY": "2"}
    with (
        services(tmp_path_factory.mktemp("services")) as settings,
        Stack(
            home=home,
            port=free_port(),  # that of the other tests' Airflow may be chosen at the same moment
            cloud_port=free_port(),
            components=(*COMPONENTS, "celery worker"),
            environment={**settings, **environment},
        ) as stack,
    ):
        api = AirflowApi(stack.url, USER, stack.password)
        api.wait_for_dags({"benchmark_sweep", "report"})
        for dag_id in ("benchmark_sweep", "report"):
            api.unpause(dag_id)
        system = System(stack, api, store)
        conf = {"instance_types": ["localhost", "m7i.xlarge"], "engines": ["onnxruntime"]}
        assert system.finished("benchmark_sweep", api.trigger("benchmark_sweep", conf)) == "success"
        (report,) = system.finished_runs("report", lambda runs: len(runs) == 1)
        assert report["state"] == "success"
        assert {trial.cell.instance_type for trial in store.trials(report["partition_key"])} == set(
            conf["instance_types"]
        )
        worker = (home / "logs" / "celery-worker.log").read_text()
        assert "execute_workload" in worker
