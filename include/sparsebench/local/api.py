"""What is asked of the Airflow of this machine, over its public REST API."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from sparsebench.errors import SparsebenchError

FINISHED = ("success", "failed")


@dataclass
class AirflowApi:
    url: str
    user: str
    password: str

    def __post_init__(self) -> None:
        self._client = httpx.Client(base_url=self.url, timeout=60)

    def call(self, method: str, path: str, **kwargs: Any) -> Any:
        """The JSON that Airflow answers to a request below ``/api/v2``.

        Raises:
            SparsebenchError: it refuses.
        """
        if "Authorization" not in self._client.headers:
            self._log_in()
        answer = self._client.request(method, f"/api/v2{path}", **kwargs)
        if answer.status_code == 401:  # the token has expired
            self._log_in()
            answer = self._client.request(method, f"/api/v2{path}", **kwargs)
        if answer.is_error:
            raise SparsebenchError(f"Airflow refused {method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json()

    def _log_in(self) -> None:
        answer = self._client.post("/auth/token", json={"username": self.user, "password": self.password})
        answer.raise_for_status()
        self._client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def wait_for_dags(self, dags: set[str], timeout_s: float = 180) -> None:
        """Until the DAG processor has read them all.

        Raises:
            SparsebenchError: a DAG file has an error, or they are not there in time.
        """
        deadline = time.monotonic() + timeout_s
        while missing := dags - {dag["dag_id"] for dag in self.call("GET", "/dags", params={"limit": 100})["dags"]}:
            errors = self.call("GET", "/importErrors")["import_errors"]
            if errors:
                raise SparsebenchError(f"{errors[0]['filename']}: {errors[0]['stack_trace']}")
            if time.monotonic() > deadline:
                raise SparsebenchError(f"Airflow has not read {', '.join(sorted(missing))} after {timeout_s:.0f} s")
            time.sleep(1)

    def unpause(self, dag_id: str) -> None:
        self.call("PATCH", f"/dags/{dag_id}", json={"is_paused": False})

    def trigger(self, dag_id: str, conf: dict[str, Any]) -> str:
        """Start a run by hand, as the UI does; its id."""
        return self.call("POST", f"/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": conf})["dag_run_id"]

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        return self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")

    def run_state(self, dag_id: str, run_id: str) -> str:
        return self.run(dag_id, run_id)["state"]

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Newest first."""
        return self.call("GET", f"/dags/{dag_id}/dagRuns", params={"order_by": "-run_after", "limit": 100})["dag_runs"]

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        return self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", params={"limit": 500})[
            "task_instances"
        ]

    def xcom(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """What a task returned."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        return self.call("GET", path, params={"deserialize": True})["value"]

    def error(self, dag_id: str, run_id: str, task: Mapping[str, Any]) -> str | None:
        """What the last attempt of a task instance failed with; None where its log does not say."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task['task_id']}/logs/{task['try_number']}"
        log = self.call("GET", path, params={"map_index": task["map_index"]}, headers={"Accept": "application/json"})
        errors = [
            error for line in log["content"] if isinstance(line, dict) for error in line.get("error_detail") or ()
        ]
        return str(errors[-1]["exc_value"]) if errors else None
