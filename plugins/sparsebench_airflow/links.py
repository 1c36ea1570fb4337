"""Where the reports are in Airflow's UI."""

from __future__ import annotations

PREFIX = "/sparsebench"
"""Of the plugin's pages, below the address of the UI."""


def report_href(night: str) -> str:
    return f"{PREFIX}/nights/{night}/index.html"
