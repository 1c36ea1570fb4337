"""The page as people have it: on a phone, in the dark, with a keyboard, and without scripts."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from sparsebench import report
from sparsebench.store import Store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def index(store: Store, night: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report.save(store, night.night, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=shutil.which("chromium")) as browser,
    ):
        yield browser


@pytest.fixture
def opened(browser: Browser, index: Path) -> Callable[..., Page]:
    def at(width: int = 1280, **options: Any) -> Page:
        page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        page.goto(index.as_uri())
        return page

    return at


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_screen(width: int, opened: Callable[..., Page]) -> None:
    page = opened(width)
    page.evaluate("for (const folded of document.querySelectorAll('details')) folded.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_in_the_dark_it_is_dark_with_its_figures(opened: Callable[..., Page]) -> None:
    def colours(scheme: str) -> list[str]:
        page = opened(color_scheme=scheme)
        return [
            str(page.evaluate("getComputedStyle(document.body).backgroundColor")),
            str(page.evaluate("getComputedStyle(document.querySelector('.figure svg path')).fill")),
        ]

    assert colours("light") == ["rgb(255, 255, 255)", "rgb(255, 255, 255)"]
    assert colours("dark") == ["rgb(22, 27, 34)", "rgb(22, 27, 34)"]


def test_the_keyboard_reaches_every_table_and_figure_that_scrolls(opened: Callable[..., Page]) -> None:
    page = opened(390)
    scrolls = ".table, .figure"
    assert page.locator(scrolls).count() > 10
    assert page.locator(scrolls).count() == page.locator(":is(.table, .figure)[tabindex='0'][aria-label]").count()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"


def test_a_screen_reader_has_a_name_for_every_table_and_column(opened: Callable[..., Page]) -> None:
    page = opened(java_script_enabled=True)
    assert page.locator("table").count() == page.locator("table > caption").count() > 0
    assert page.locator("th:not([scope])").count() == 0


def test_without_scripts_nothing_is_missing(opened: Callable[..., Page]) -> None:
    assert (
        opened(java_script_enabled=False).locator("#content").inner_text() == opened().locator("#content").inner_text()
    )
