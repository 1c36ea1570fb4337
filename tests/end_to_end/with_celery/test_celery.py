"""The processes of docker-compose.yaml, natively: Celery workers on real Postgres and Redis run one sweep."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx
import pytest

from sparsebench.contracts import run_key
from sparsebench.local.api import AirflowApi
from sparsebench.local.stack import COMPONENTS, USER, Stack
from sparsebench.store import Store
from tests.end_to_end.conftest import ROOT, System
from tests.support.services import free_port, services
from tests.support.tiny import register

pytestmark = pytest.mark.timeout(900)

TYPES = ["t3.xlarge", "c8g.xlarge"]
"""One that is charged for credits beside its price, and one of another architecture, which no catalog has."""

REGION = "AWS_DEFAULT_REGION"


def test_a_sweep_runs_on_celery_workers_where_the_wheel_is_installed(
    network: bytes, installed: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("celery")
    store = Store((home / "store").as_uri())
    register(store, network, "base")
    environment = {"SPARSEBENCH_STORE": store.uri, "AIRFLOW__CELERY__WORKER_CONCURRENCY": "2"}
    with (
        services(tmp_path_factory.mktemp("services")) as settings,
        Stack(
            home=home,
            port=free_port(),  # that of the other tests' Airflow may be chosen at the same moment
            cloud_port=free_port(),
            components=(*COMPONENTS, "celery worker"),
            python=installed,
            environment={**settings, **environment, **_only_what_is_installed(home)},
        ) as stack,
    ):
        page = httpx.get(f"{stack.url}/sparsebench/")
        assert page.status_code == 401, "the plugin was found, and asks who it is"
        api = AirflowApi(stack.url, USER, stack.password)
        api.wait_for_dags({"benchmark_sweep", "report"})
        for dag_id in ("benchmark_sweep", "report"):
            api.unpause(dag_id)
        system = System(stack, api, store)
        conf = {"instance_types": TYPES, "variants": ["base"], "engines": ["onnxruntime"]}
        run = api.trigger("benchmark_sweep", conf)
        assert system.finished("benchmark_sweep", run) == "success"
        (report,) = system.finished_runs("report", lambda runs: len(runs) == 1)
        assert report["state"] == "success"
        trials = store.trials(report["partition_key"])
        assert {(trial.cell.instance_type, trial.status) for trial in trials} == {(name, "measured") for name in TYPES}
        launches, facts = store.launches(run_key("benchmark_sweep", run)), store.instance_facts(stack.env[REGION])
        assert {launch.instance_type: launch.usd_per_hour for launch in launches} == {
            name: facts[name].at_most_usd_per_hour for name in TYPES
        }
        worker = (home / "logs" / "celery-worker.log").read_text()
        assert "execute_workload" in worker


def _only_what_is_installed(home: Path) -> dict[str, str]:
    """The DAGs, copied, and no folder of plugins: operators, triggers and the page are the wheel's."""
    plugins = home / "plugins"
    plugins.mkdir()
    return {
        "AIRFLOW__CORE__DAGS_FOLDER": str(shutil.copytree(ROOT / "dags", home / "dags")),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins),
        "PYTHONPATH": "",
    }
