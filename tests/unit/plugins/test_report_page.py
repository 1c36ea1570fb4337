"""What the page serves of the store, and what a browser lets it do."""

from __future__ import annotations

import html
import json
import shutil
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

import pytest
from airflow.api_fastapi.core_api.security import get_user
from fastapi.testclient import TestClient
from playwright.sync_api import Route, sync_playwright
from tests.golden import FOLDER
from tests.unit.report.test_changes import event

from sparsebench.contracts import ChangedInput, Changes, Collection, Manifest
from sparsebench.store import Store
from sparsebench_airflow import report_page

NIGHT = "2026-11-24"
PAGE = f"/nights/{NIGHT}/index.html"
EVIL = """<!doctype html><p id=said>quiet</p><script>document.getElementById("said").textContent = "ran"</script>
<img src=x onerror="document.getElementById('said').textContent = 'ran'"><form action=/api/v2/dags method=post>
<button>go</button></form><a href="javascript:document.getElementById('said').textContent='ran'">here</a>"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("SPARSEBENCH_STORE", (tmp_path / "store").as_uri())
    return Store((tmp_path / "store").as_uri())


@pytest.fixture
def client() -> Iterator[TestClient]:
    report_page.app.dependency_overrides[get_user] = lambda: None
    yield TestClient(report_page.app)
    report_page.app.dependency_overrides.clear()


def test_a_report_is_served_in_a_sandbox_in_which_one_script_runs_by_its_digest(
    store: Store, client: TestClient
) -> None:
    store.put_report(NIGHT, "index.html", b"<p>hello")

    answer = client.get(PAGE)

    assert answer.text == "<p>hello"
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox ")
    script = b64encode(sha256(files("sparsebench").joinpath("report/page.js").read_bytes()).digest()).decode()
    assert f"; script-src 'sha256-{script}'; " in policy
    assert "default-src 'none'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_browser_runs_nothing_of_a_report_and_draws_its_figures(store: Store, client: TestClient) -> None:
    image = '<svg xmlns="http://www.w3.org/2000/svg" width="7" height="7"/>'
    store.put_report(NIGHT, "index.html", f'{EVIL}<img id=figure src=figure.svg style="width:7px">'.encode())
    store.put_report(NIGHT, "figure.svg", image.encode())
    sent = []

    def answer(route: Route) -> None:
        sent.append(f"{route.request.method} {route.request.url}")
        response = client.get(route.request.url.removeprefix("http://airflow"))
        route.fulfill(status=response.status_code, headers=dict(response.headers), body=response.content)

    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=shutil.which("chromium")) as browser,
    ):
        page = browser.new_page()
        page.route("**/*", answer)
        page.goto(f"http://airflow{PAGE}")
        page.get_by_role("button").click()
        page.get_by_role("link").click()
        assert page.locator("#said").text_content() == "quiet"
        assert page.evaluate("document.getElementById('figure').naturalWidth") == 7
    assert not [request for request in sent if request.startswith("POST")]


@pytest.mark.parametrize("name", ["folder.html", "link.html", "up.html", "missing.html", "index.htm", ".index.html"])
def test_what_is_no_file_of_the_report_is_not_found(
    store: Store, client: TestClient, tmp_path: Path, name: str
) -> None:
    store.put_report(NIGHT, "index.html", b"x")
    folder = tmp_path / "store" / "nights" / NIGHT / "report"
    secret = tmp_path / "secret.html"
    secret.write_text("secret")
    (folder / "folder.html").mkdir()
    (folder / "link.html").symlink_to(secret)
    (folder / "up.html").symlink_to("../../../../secret.html")

    assert client.get(f"/nights/{NIGHT}/{name}").status_code == 404


def test_a_night_that_is_a_link_is_not_followed(store: Store, client: TestClient, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "report").mkdir(parents=True)
    (tmp_path / "elsewhere" / "report" / "index.html").write_text("secret")
    (tmp_path / "store" / "nights").mkdir(parents=True)
    (tmp_path / "store" / "nights" / NIGHT).symlink_to(tmp_path / "elsewhere")

    assert client.get(PAGE).status_code == 404


def test_the_list_says_of_each_night_what_it_found_where_and_of_how_many_cells(
    store: Store, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    says = {"says": ["Pruning pays."], "machines": ["m5.xlarge (Xeon)"], "counts": "2 cells planned, <2> with a number"}
    for night, summary in ((NIGHT, json.dumps(says)), ("2026-11-23", "{not JSON"), ("2026-11-22", '["a list"]')):
        store.put_report(night, "index.html", b"<p>hello")
        store.put_report(night, "summary.json", summary.encode())
    monkeypatch.setattr(Store, "nights", lambda self: ["2026-11-22", "2026-11-23", NIGHT])
    page = client.get("/").text
    assert page.index(NIGHT) < page.index("2026-11-23") < page.index("2026-11-22")
    for text in ("Pruning pays.", "m5.xlarge (Xeon)", "2 cells planned, &lt;2&gt; with a number"):
        assert text in page


@pytest.mark.parametrize(
    "summary",
    [
        "[" * 100_000,
        '{"says": ["\\ud800"], "machines": [], "counts": ""}',
        '{"says": 1, "machines": [], "counts": ""}',
        '{"says": [{}], "machines": [], "counts": ""}',
    ],
)
def test_a_summary_that_says_nothing_does_not_cost_the_page(store: Store, client: TestClient, summary: str) -> None:
    store.put_report(NIGHT, "index.html", b"<p>hello")
    store.put_report(NIGHT, "summary.json", summary.encode())
    answer = client.get("/")
    assert answer.status_code == 200
    assert f"nights/{NIGHT}/index.html" in answer.text


def test_older_nights_are_on_pages_of_their_own(store: Store, client: TestClient) -> None:
    nights = [f"2026-{month:02}-{day:02}" for month in (3, 4, 5) for day in range(1, 31)]
    for night in nights:
        store.put_report(night, "index.html", b"<p>hello")

    newest, oldest = client.get("/").text, client.get("/?before=2026-04-01").text

    assert [night for night in nights if f"nights/{night}/" in newest] == nights[30:]
    assert 'href="?before=2026-04-01"' in newest
    assert [night for night in nights if f"nights/{night}/" in oldest] == nights[:30]
    assert "Older nights" not in oldest


def test_a_figure_that_is_opened_by_itself_has_a_way_back(store: Store, client: TestClient) -> None:
    store.put_report(NIGHT, "bars.svg", b"<svg/>")
    path = f"/nights/{NIGHT}/bars.svg"
    assert 'href="index.html"' in client.get(path, headers={"Sec-Fetch-Dest": "iframe"}).text
    assert client.get(path, headers={"Sec-Fetch-Dest": "image"}).text == "<svg/>"


def test_a_run_leads_to_the_report_of_its_night(
    store: Store, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = "scheduled__2026-11-24T02:00:00+00:00__2026-11-24__abc"
    store.put_report(NIGHT, "index.html", b"<p>hello")
    store.put_collection("job", Collection(run_id=run, night=NIGHT, planned=1, measured=1, missing=()))
    monkeypatch.setattr(Store, "nights", lambda self: [NIGHT])
    answer = client.get(f"/runs/benchmark_sweep/{quote(run, safe='')}", follow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (307, f"/sparsebench{PAGE}")
    assert "No report" in client.get("/runs/sparsify/manual__1").text


def changes(*, told: bool) -> Changes:
    slower = event(
        engine="openvino",
        direction="slower",
        times=0.91,
        low=0.9,
        high=0.92,
        differs=(ChangedInput(night="2026-11-11", what="<version>", before="1", after="2"),),
        told_at=datetime(2026, 11, 15, tzinfo=UTC) if told else None,
    )
    return Changes(nights=30, series=45, events=(slower,))


@pytest.mark.parametrize(("told", "text"), [(True, "told on 2026-11-15"), (False, "not told yet")])
def test_the_history_says_what_changed_since_when_and_what_differs(
    store: Store, client: TestClient, told: bool, text: str
) -> None:
    store.put_changes(changes(told=told))

    answer = client.get("/history")

    assert "OpenVINO on m5.xlarge is 9.0 % slower since 2026-11-11" in answer.text
    assert "What differs: &lt;version&gt; (1, from 2026-11-11 on 2)." in answer.text
    assert '<a href="nights/2026-11-11/index.html">' in answer.text
    assert "1 change in 45 ratios over 30 nights." in answer.text
    assert text in answer.text
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_the_history_says_how_it_is_found_out_on_which_side_a_change_is(
    store: Store, client: TestClient, make_manifest: Callable[..., Manifest]
) -> None:
    store.put_changes(changes(told=True))
    assert "bisect" not in client.get("/history").text, "there is no night before it"
    for night, repeats in (
        ("2026-11-08", None),
        ("2026-11-09", None),
        ("2026-11-10", "2026-11-01"),
        ("2026-11-11", None),
    ):
        store.freeze(make_manifest(night=night, repeats=repeats))
    store.write("nights/2026-11-09/manifest.json", b"{")
    text = html.unescape(client.get("/history").text)
    conf = '{"before": "2026-11-08", "after": "2026-11-11", "instance_type": "m5.xlarge"}'
    assert f'<a href="/dags/bisect" target="_top">bisect</a> with <code>{conf}</code>' in text


def test_the_history_shows_the_nights_around_a_change_where_they_were_drawn(store: Store, client: TestClient) -> None:
    store.put_changes(changes(told=True))
    assert "<img" not in client.get("/history").text
    name = "2026-11-11-m5.xlarge-latency-openvino"
    for end, content in ((".svg", b"<svg/>"), (".csv", b"night\n")):
        store.put_history(name + end, content)
    text = client.get("/history").text
    assert f'<img src="history/{name}.svg" alt="The ratio, and the speeds' in text
    assert f'<a href="history/{name}.csv">' in text
    assert client.get(f"/history/{name}.svg").content == b"<svg/>"
    assert client.get(f"/history/{name}.csv").headers["Content-Type"].startswith("text/csv")
    for other in ("changes.json", "..%2Fnights", "none.svg"):
        assert client.get(f"/history/{other}").status_code == 404


def test_a_history_without_a_change_says_in_how_much(store: Store, client: TestClient) -> None:
    store.put_changes(Changes(nights=3, series=45, events=()))
    assert "0 changes in 45 ratios over 3 nights." in client.get("/history").text


def test_a_history_that_is_not_there_or_damaged_says_so(store: Store, client: TestClient) -> None:
    assert "Nobody looked yet: unpause <code>history</code>" in client.get("/history").text
    of_nothing = json.loads((FOLDER / "Changes" / "1.json").read_bytes())
    of_nothing["events"][0] |= {"engine": None, "network": None, "variant": None}
    for damaged in (b"{", json.dumps(of_nothing).encode()):
        store.write("history/changes.json", damaged)
        answer = client.get("/history")
        assert answer.status_code == 200
        assert "cannot be read: " in answer.text
