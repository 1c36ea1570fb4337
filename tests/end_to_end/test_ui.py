"""As a person in a browser: choose instance types, trigger the sweep, see it succeed, read the report."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from .conftest import System
from .test_fleet import collection

pytestmark = pytest.mark.timeout(900)

QUIET = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="module")
def page(system: System) -> Iterator[Page]:
    chromium = shutil.which("chromium")
    assert chromium, "chromium is not installed: `make system`"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        page.goto(system.stack.url)
        page.locator("input[name=username]").fill("admin")
        page.locator("input[name=password]").fill(system.stack.password)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "login" not in url)
        yield page
        browser.close()


def test_a_sweep_is_triggered_from_the_ui_and_its_report_is_read_there(system: System, page: Page) -> None:
    known = {run["dag_run_id"] for run in system.api.runs("benchmark_sweep")}
    page.goto(f"{system.stack.url}/dags/benchmark_sweep")
    page.get_by_role("button", name="Trigger").first.click()
    dialog = page.get_by_role("dialog")
    instance_types = dialog.locator("#element_instance_types")
    instance_types.locator("input").first.fill("m7i")
    page.get_by_text(re.compile(r"^m7i\.xlarge: 4 vCPUs")).click()
    dialog.locator("#element_other_instance_types").fill("c8g.xlarge\n")  # as who presses Enter
    # a selection that was made and taken back means all, as one that was never made
    dialog.locator("#element_networks").locator("input").first.fill("vgg19")
    page.get_by_text("vgg19: VGG-19", exact=True).click()
    dialog.get_by_label("Remove vgg19: VGG-19").click()
    dialog.locator("#element_engines").locator("input").first.fill("onnxruntime")
    page.get_by_text("onnxruntime", exact=True).click()
    dialog.locator("#element_variants").locator("input").first.fill("base")
    page.get_by_text("base: as it is", exact=True).click()
    dialog.get_by_role("button", name="Trigger").last.click()
    runs = system.finished_runs(
        "benchmark_sweep", lambda runs: any(r["run_type"] == "manual" and r["dag_run_id"] not in known for r in runs)
    )
    (run,) = [run for run in runs if run["run_type"] == "manual" and run["dag_run_id"] not in known]
    assert run["state"] == "success"
    assert "m7i.xlarge" in run["conf"]["instance_types"]
    assert run["conf"]["other_instance_types"] == ["c8g.xlarge", ""]
    assert not run["conf"]["networks"]
    assert (run["conf"]["engines"], run["conf"]["variants"]) == (["onnxruntime"], ["base"])
    page.goto(f"{system.stack.url}/dags/benchmark_sweep/runs/{run['dag_run_id']}")
    expect(page.get_by_text("Success").first).to_be_visible()
    collected = collection(system, run["dag_run_id"])
    planned = len(run["conf"]["instance_types"]) + 1  # with those that the form begins with
    assert (collected.planned, collected.measured, collected.missing) == (planned, planned, ())
    night = collected.night
    assert night[:10] == datetime.now(UTC).date().isoformat()
    system.finished_runs("report", lambda runs: any(r["partition_key"] == night for r in runs))
    page.goto(f"{system.stack.url}/plugin/sparsebench")
    report = page.frame_locator("iframe")
    report.get_by_role("link", name=night, exact=True).click()
    expect(report.get_by_role("heading", level=1)).to_contain_text(night)
    for name in ("m7i.xlarge", "c8g.xlarge"):
        expect(report.get_by_text(name).filter(visible=True).first).to_be_visible()
