"""The report as a page of Airflow's UI, behind Airflow's own login."""

from __future__ import annotations

import html
import mimetypes
import re

from airflow.api_fastapi.core_api.security import get_user
from airflow.plugins_manager import AirflowPlugin
from fastapi import Depends, FastAPI, HTTPException, Response

from sparsebench.contracts import NIGHT_PATTERN
from sparsebench.settings import Settings
from sparsebench.store import Store

FILE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*\.(html|csv|svg|png)$")

# A plugin's app has no authentication of its own: every route asks Airflow's.
app = FastAPI(title="sparsebench", dependencies=[Depends(get_user)], docs_url=None, redoc_url=None, openapi_url=None)


@app.get("/")
def nights() -> Response:
    """The nights that have a report, newest first."""
    store = Store(Settings().store)
    drawn = [night for night in reversed(store.nights()) if store.exists(store.report_path(night))]
    items = "".join(
        f'<li><a href="nights/{html.escape(night)}/index.html">{html.escape(night)}</a></li>' for night in drawn
    )
    body = f"<ul>{items}</ul>" if drawn else "<p>No report yet: trigger <code>benchmark_sweep</code>.</p>"
    page = f'<!doctype html><meta charset="utf-8"><title>sparsebench</title><h1>Reports by night</h1>{body}'
    return Response(page, media_type="text/html")


@app.get("/nights/{night}/{name}")
def report_file(night: str, name: str) -> Response:
    """One file of a night's report, and nothing else of the store."""
    store = Store(Settings().store)
    if not re.match(NIGHT_PATTERN, night) or not FILE.match(name) or not store.exists(store.report_path(night, name)):
        raise HTTPException(404, "no such report")
    return Response(store.read(store.report_path(night, name)), media_type=mimetypes.guess_type(name)[0])


class SparsebenchPlugin(AirflowPlugin):
    name = "sparsebench"
    fastapi_apps = [{"app": app, "url_prefix": "/sparsebench", "name": "sparsebench reports"}]
    external_views = [{"name": "Reports", "href": "/sparsebench/", "destination": "nav", "url_route": "sparsebench"}]
