"""The reports, and what changed over the nights, as pages of Airflow's UI, behind Airflow's own login."""

from __future__ import annotations

import html
import json
import mimetypes
import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from sparsebench.contracts import Event, is_night
from sparsebench.errors import StoreError
from sparsebench.settings import Settings
from sparsebench.store import Store
from sparsebench_airflow.links import PREFIX

RECENT = 60
"""Nights in which a run is looked for, and nights of one page."""

FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.(html|csv|svg|png)", re.ASCII)

SCRIPT = b64encode(sha256(files("sparsebench").joinpath("report/page.js").read_bytes()).digest()).decode()
"""The digest of the one script that runs: a report's own, as this version has it."""

# What is in the store was written by others than Airflow, and is shown in Airflow's origin. In a sandbox only the
# script of this version runs, and no form is sent, so that nothing in it acts as the person who looks at it; nothing of
# an older report is missing without its script. It keeps its origin, without which the browser would not send the login
# along when a link of it is followed inside Airflow.
HEADERS = {
    "Content-Security-Policy": (
        "sandbox allow-scripts allow-same-origin allow-downloads allow-popups allow-top-navigation-by-user-activation; "
        f"default-src 'none'; script-src 'sha256-{SCRIPT}'; style-src 'unsafe-inline'; img-src 'self' data:; "
        "form-action 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

# A plugin's app has no authentication of its own: every route asks Airflow's.
app = FastAPI(title="sparsebench", dependencies=[Depends(get_user)], docs_url=None, redoc_url=None, openapi_url=None)


STYLE = """:root { color-scheme: light dark; font-family: system-ui, sans-serif }
body { margin: 1rem; max-width: 70rem; overflow-wrap: anywhere }
li { margin: 0 0 1rem } p { margin: .2rem 0 } img { max-width: 100%; height: auto; background: #fff }
small { opacity: .8 }"""

OWN = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'",
    **{name: value for name, value in HEADERS.items() if name != "Content-Security-Policy"},
}
"""Of the pages that this module writes. They follow Airflow's dark mode: a frame has the colours of its element."""


def _page(title: str, body: str) -> Response:
    head = f'<!doctype html><meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style>'
    head += '<meta name="viewport" content="width=device-width">'
    return Response(f"{head}<h1>{html.escape(title)}</h1>{body}", media_type="text/html", headers=OWN)


@app.get("/")
def nights(before: str = "") -> Response:
    """The nights that have a report, newest first, each with what it says, on which machines, of how many cells.

    before: a night; those of the page are older ones.
    """
    store = Store(Settings().store)
    opened = store.nights()
    older = opened[: opened.index(before)] if before in opened else opened
    shown = list(reversed(older[-RECENT:]))
    summaries = store.files([store.report_path(night, "summary.json") for night in shown])
    items = "".join(
        f'<li><a href="nights/{html.escape(night)}/index.html">{html.escape(night)}</a>{_says(summary)}</li>'
        for night, summary in zip(shown, summaries, strict=True)
        if summary is not None or store.exists(store.report_path(night))  # of before reports had a summary
    )
    more = f'<p><a href="?before={html.escape(shown[-1])}">Older nights</a></p>' if len(older) > RECENT else ""
    none = "<p>No report yet: trigger <code>benchmark_sweep</code>.</p>"
    return _page("Reports by night", (f"<ul>{items}</ul>" if items else none) + more)


def _says(content: bytes | None) -> str:
    """What a report's summary says; empty where there is none, or where it cannot be read."""
    try:
        summary = json.loads(content or b"")
        lines = [*summary["says"], ", ".join(summary["machines"]), summary["counts"]]
        said = "".join(f"<p><small>{html.escape(line)}</small></p>" for line in lines if line)
        said.encode()  # half of a surrogate pair is no text
        return said
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""


@app.get("/history")
def history() -> Response:
    """What changed over the nights, as the DAG of that name has left it, the newest first."""
    from sparsebench.report import changes as over_nights  # it imports what draws reports, which the others do without

    title = "What changed over the nights"
    store = Store(Settings().store)
    try:
        changes = store.changes()
    except StoreError as error:
        return _page(title, f"<p>What is kept of it cannot be read: {html.escape(str(error))}</p>")
    if changes is None:
        return _page(title, "<p>Nobody looked yet: unpause <code>history</code>, which looks after each report.</p>")
    drawn = store.history_files()
    items = "".join(
        f"<li><p>{html.escape(over_nights.sentence(event))}</p>{_figure(event, drawn)}"
        f'<p><small><a href="nights/{html.escape(event.first)}/index.html">Report of {html.escape(event.first)}</a>, '
        f"{_told(event)}{_bisected(event, store)}</small></p></li>"
        for event in reversed(changes.events)
    )
    looked = f"<p>{html.escape(over_nights.summary(changes))}</p>"
    return _page(title, looked + (f"<ul>{items}</ul>" if items else ""))


def _figure(event: Event, drawn: set[str]) -> str:
    """The nights around it, where they were drawn. drawn: the files that there are."""
    from sparsebench.report.history_figures import name

    figure, numbers = f"{name(event)}.svg", f"{name(event)}.csv"
    if figure not in drawn or numbers not in drawn:
        return ""
    alt = "The ratio, and the speeds of its two sides, night by night."
    return (
        f'<p><img src="history/{html.escape(figure)}" alt="{alt}"></p>'
        f'<p><small><a href="history/{html.escape(numbers)}">Its numbers (CSV)</a></small></p>'
    )


@app.get("/history/{name}")
def history_file(name: str) -> Response:
    """A figure of a change, or the numbers behind it."""
    store = Store(Settings().store)
    content = store.file(store.history_path(name)) if FILE.fullmatch(name) else None
    if content is None:
        raise HTTPException(404, "no such figure")
    return Response(content, media_type=mimetypes.guess_type(name)[0], headers=HEADERS)


def _bisected(event: Event, store: Store) -> str:
    """How it is found out on which side it is; empty where the night before it, or its last, is there no more."""
    nights = store.nights()
    earlier = nights[: nights.index(event.earliest)] if event.earliest in nights else []
    before = next((night for night in reversed(earlier) if _can_be_repeated(store, night)), None)
    if before is None or event.latest not in nights:
        return ""
    conf = {"before": before, "after": event.latest, "instance_type": event.instance_type}
    return (
        '. Whose it is, the inputs\' or the hosts\', says <a href="/dags/bisect" target="_top">bisect</a> with '
        f"<code>{html.escape(json.dumps(conf))}</code>"
    )


def _can_be_repeated(store: Store, night: str) -> bool:
    try:
        return not store.manifest(night).repeats
    except StoreError:
        return False


def _told(event: Event) -> str:
    return f"told on {event.told_at:%Y-%m-%d}" if event.told_at else "not told yet"


@app.get("/runs/{dag_id}/{run_id:path}")
def report_of_run(dag_id: str, run_id: str) -> Response:
    """On to the report of the night that a run has measured."""
    store = Store(Settings().store)
    for night in reversed(store.nights()[-RECENT:]):
        ran = any(collection.run_id == run_id for collection in store.collections(night))
        if ran and store.exists(store.report_path(night)):
            return RedirectResponse(f"{PREFIX}/nights/{night}/index.html")
    return _page(
        "No report", f"<p>No report of the last {RECENT} nights has results of this run of {html.escape(dag_id)}."
    )


@app.get("/nights/{night}/{name}")
def report_file(night: str, name: str, request: Request) -> Response:
    """One file of a night's report, and nothing else of the store. A figure that is opened by itself has a way back."""
    store = Store(Settings().store)
    if not is_night(night) or not FILE.fullmatch(name):
        raise HTTPException(404, "no such report")
    content = store.file(store.report_path(night, name))
    if content is None:
        raise HTTPException(404, "no such report")
    if name.endswith((".svg", ".png")) and request.headers.get("Sec-Fetch-Dest") in ("document", "iframe"):
        return _page(f"{night}: {name}", f'<p><a href="index.html">Back to the report</a></p><img src="{name}" alt="">')
    return Response(content, media_type=mimetypes.guess_type(name)[0], headers=HEADERS)
