"""What Airflow loads of sparsebench: the timetable, the listener, the pages; and what it imports as it starts."""

from __future__ import annotations

import importlib
from typing import Any

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

from sparsebench_airflow import notes, report_page
from sparsebench_airflow.links import PREFIX
from sparsebench_airflow.timetable import NightlyTimetable

TASKS = (
    "sparsebench.fleet.bisection",
    "sparsebench.fleet.foreign",
    "sparsebench_airflow.on_instance",
    "sparsebench.report",
    "sparsebench.report.bisection",
    "sparsebench.report.changes",
    "sparsebench.report.outcome",
    "sparsebench.report.recommendation",
)
"""Modules that the DAGs' tasks need, with all that they import."""


class SparsebenchPlugin(AirflowPlugin):
    name = "sparsebench"
    timetables = [NightlyTimetable]
    listeners = [notes]
    fastapi_apps = [{"app": report_page.app, "url_prefix": PREFIX, "name": "sparsebench reports"}]
    external_views = [
        {"name": "Reports", "href": f"{PREFIX}/", "destination": "nav", "url_route": "sparsebench"},
        {"name": "History", "href": f"{PREFIX}/history", "destination": "nav", "url_route": "sparsebench_history"},
        {
            "name": "Report",
            "href": f"{PREFIX}/runs/{{DAG_ID}}/{{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "sparsebench_report",
        },
    ]

    @classmethod
    def on_load(cls, *_: Any, **__: Any) -> None:
        """Import what tasks need, where plugins are loaded as Airflow starts: the process of a task is forked from one
        that started so, and would spend seconds of CPU on it, beside what is measured."""
        if not conf.getboolean("core", "lazy_load_plugins", fallback=True):
            for module in TASKS:
                importlib.import_module(module)
