"""The page as people have it: on a phone, in the dark, with a keyboard, and without scripts."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from sparsebench import report
from sparsebench.analysis import chooser
from sparsebench.analysis.choice import Bounds
from sparsebench.analysis.findings import Findings
from sparsebench.report import labels
from sparsebench.report.chooser import left_out
from sparsebench.store import Store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def index(store: Store, night: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report.save(store, night.night, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def findings(store: Store, night: Any) -> Findings:
    return report.compare(store, [night.night])


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


def test_the_points_of_a_figure_say_their_numbers_to_the_keyboard_and_to_who_taps(opened: Callable[..., Page]) -> None:
    page = opened(390, has_touch=True)
    figure = page.locator(".figure:has(svg g > title)").first
    texts = figure.locator("svg g > title").evaluate_all("titles => titles.map(title => title.textContent)")
    says = figure.locator("xpath=following-sibling::output")
    assert len(set(texts)) > 3
    assert says.is_hidden()
    figure.focus()
    assert says.inner_text() == f"{len(texts)} points: the arrow keys go from one to the next."
    for key, place in (("ArrowRight", 0), ("ArrowDown", 1), ("ArrowLeft", 0), ("ArrowUp", -1)):
        page.keyboard.press(key)
        assert says.inner_text() == texts[place]
    tapped = opened(390, has_touch=True).locator(".figure:has(svg g > title)").first
    tapped.locator("svg g:has(> title) use").first.tap(force=True)  # which another point may lie over
    assert tapped.locator("xpath=following-sibling::output").inner_text() in texts


def test_a_screen_reader_has_a_name_for_every_table_and_column(opened: Callable[..., Page]) -> None:
    page = opened(java_script_enabled=True)
    assert page.locator("table").count() == page.locator("table > caption").count() > 0
    assert page.locator("th:not([scope])").count() == 0


def test_without_scripts_nothing_is_missing(opened: Callable[..., Page]) -> None:
    with_scripts = opened()
    with_scripts.evaluate("document.getElementById('chooser').remove()")
    without = opened(java_script_enabled=False)
    assert without.locator("#content").inner_text() == with_scripts.locator("#content").inner_text()
    assert not without.locator("#chooser, #searching").filter(visible=True).count()


BOUNDS: list[dict[str, Any]] = [
    {"target": "cost"},
    {"target": "cost", "market": "spot"},
    {"target": "throughput", "production": True},
    {"target": "latency", "percentile": 50},
    {"target": "latency", "percentile": 95, "latency_ms": 20.0},
    {"target": "throughput", "percentile": 90, "latency_ms": 12.5, "engines": ("openvino",)},
    {"target": "cost", "accuracy": 0.7, "instance_types": ("m5.xlarge",)},
    {"target": "cost", "size_bytes": 20_000_000},
    {"target": "cost", "memory_bytes": 250_000_000},
    {"target": "latency", "percentile": 99, "latency_ms": 0.001},
]
FIELDS = {"engines": "engine", "instance_types": "instance_type"}
VERDICTS = {"best": "best by its mean", "tied": "cannot be told", "loses": "loses"}


def choose(page: Page, network: str, bounds: dict[str, Any]) -> list[tuple[str, ...]]:
    """Instance type, engine, variant and verdict of every row that the page shows then."""
    page.evaluate("document.getElementById('chooser').reset()")
    for name, value in {"network": network, **bounds}.items():
        if name == "production":
            page.locator("[name=production]").check()
        elif name == "accuracy":
            page.locator("[name=accuracy]").fill(str(100 * value))
        elif name.endswith("_bytes"):
            page.locator(f"[name={name.removesuffix('_bytes')}_mb]").fill(str(value / 1e6))
        elif name == "latency_ms":
            page.locator("[name=latency_ms]").fill(str(value))
        else:
            chosen = value[0] if isinstance(value, tuple) else str(value)
            page.locator(f"[name={FIELDS.get(name, name)}]").select_option(chosen)
    cells = page.locator("#chosen tbody tr").evaluate_all(
        "rows => rows.map(row => [0, 1, 2, 3].map(place => row.cells[place].textContent))"
    )
    return [(*names, verdict.partition(":")[0]) for *names, verdict in cells]


@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
def test_within_bounds_the_page_chooses_as_advise_does(
    bounds: dict[str, Any], opened: Callable[..., Page], findings: Findings
) -> None:
    page = opened()
    for choice in findings.choose(Bounds(**bounds)):
        candidates = [(ranked.candidate, VERDICTS[ranked.verdict]) for ranked in choice.ranked]
        left_out = [(refused.candidate, "left out") for refused in choice.refused]
        expected = [
            (
                labels.machine(candidate.machine),
                labels.engine(candidate.treatment.engine),
                labels.VARIANT_LABELS[candidate.treatment.variant],
                verdict,
            )
            for candidate, verdict in candidates + left_out
        ]
        shown = choose(page, choice.network, bounds)
        assert shown[: len(candidates)] == expected[: len(candidates)]
        assert sorted(shown) == sorted(expected)
        if choice.winner:
            assert page.locator("#chosen-says").inner_text().startswith(f"{labels.network(choice.network)}: take ")


def test_a_network_that_is_too_large_for_the_page_is_named_with_why(
    findings: Findings, store: Store, night: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_network = {each.network: len(each.candidates) for each in findings.choosable}
    assert of_network.pop("resnet50") > max(of_network.values())  # it has an INT8 variant
    monkeypatch.setattr(chooser, "MOST", max(of_network.values()))
    fewer = report.compare(store, [night.night])
    assert [each.network for each in fewer.choosable] == list(of_network)
    assert left_out(fewer).startswith("This page does not choose of ResNet-50: it carries ")
    assert left_out(findings) == ""
    monkeypatch.setattr(chooser, "MOST_IN_ALL", sum(of_network.values()) - 1)
    assert len(report.compare(store, [night.night]).choosable) == len(of_network) - 1


def test_a_link_holds_the_choice(opened: Callable[..., Page], browser: Browser) -> None:
    page = opened()
    bounds = {"target": "latency", "percentile": 50, "latency_ms": 30.0, "production": True}
    rows = choose(page, "mobilenetv1", bounds)
    assert {verdict for *_, verdict in rows} > {"left out", "best by its mean"}
    sent = browser.new_page()
    sent.goto(page.url)
    assert sent.locator("#chosen tbody").inner_text() == page.locator("#chosen tbody").inner_text()
    assert sent.locator("[name=latency_ms]").input_value() == "30.0"


def test_a_link_that_says_less_or_something_else_is_as_a_fresh_page_beside_it(opened: Callable[..., Page]) -> None:
    page = opened()
    fresh = page.locator("#chosen tbody").inner_text()
    for fragment in ("latency_ms=5&production=1&percentile=50", "length=1&production=0&percentile=12&network=none&x="):
        page.evaluate(f"location.hash = '#choice?{fragment}'")
        page.wait_for_timeout(100)
    assert page.locator("#chosen tbody").inner_text() == fresh
    assert not page.locator("[name=production]").is_checked()
    assert page.locator("[name=percentile]").input_value() == "95"


def test_a_heading_sorts_its_table_by_numbers_and_what_is_not_known_is_last(opened: Callable[..., Page]) -> None:
    page = opened()
    page.locator("[name=target]").select_option("cost")
    heading = page.locator("#chosen th", has_text="img/s")
    rates = page.locator("#chosen tbody td:nth-child(7)")

    def shown() -> list[float]:
        return [float(text.partition(" ")[0]) for text in rates.all_inner_texts()]

    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert shown() == sorted(shown())
    heading.get_by_role("button").press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    assert shown() == sorted(shown(), reverse=True)


def test_no_row_of_a_table_that_was_sorted_or_searched_says_something_else(opened: Callable[..., Page]) -> None:
    read = """tables => tables.map(table => [...table.tBodies[0].rows].map(row =>
        [...row.cells].map(cell => [cell.textContent.trim(), cell.classList.contains("again")])))"""
    page = opened()
    tables = page.locator("table.sortable")
    expected = []
    for rows in tables.evaluate_all(read):
        for above, row in itertools.pairwise(rows):
            row[:] = [[above[place][0], False] if again else [text, again] for place, (text, again) in enumerate(row)]
        expected.append(sorted([text for text, _ in row] for row in rows))
    page.evaluate("for (const folded of document.querySelectorAll('details')) folded.open = true")
    for heading in page.locator("table.sortable th:last-child button").all():
        heading.click()
    assert [sorted([text for text, _ in row] for row in rows) for rows in tables.evaluate_all(read)] == expected
    assert page.locator("td.again").count() == 0
    assert opened().locator("td.again").count() > 100

    searched = opened()
    searched.locator("#search").fill("openvino")
    names = searched.locator("main table.sortable tbody tr").filter(visible=True).locator("td:first-child")
    assert names.count() > 50
    assert all(names.all_inner_texts())


def test_what_is_searched_for_is_unfolded_and_folded_again(opened: Callable[..., Page]) -> None:
    page = opened()
    folded = page.locator("details", has=page.locator("td", has_text="Inception"))
    assert not folded.first.get_attribute("open")
    page.locator("#search").fill("inception")
    rows = page.locator("main tbody tr").filter(visible=True)
    assert folded.first.get_attribute("open") is not None
    assert page.locator("#hits").inner_text() == f"{rows.count()} rows"
    assert all("inception" in text.lower() for text in rows.all_inner_texts())
    page.locator("#search").fill("")
    assert folded.first.get_attribute("open") is None


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(width: int, scheme: str, opened: Callable[..., Page]) -> None:
    page = opened(width, color_scheme=scheme)
    page.evaluate("for (const folded of document.querySelectorAll('details')) folded.open = true")
    without_figures = {"exclude": [[".figure svg"]]}  # which are one picture each, with a name
    violations = Axe().run(page, without_figures, {"resultTypes": ["violations"]}).response["violations"]
    serious = [each for each in violations if each["impact"] in ("serious", "critical")]
    assert not serious, [(each["id"], each["help"], each["nodes"][0]["html"][:200]) for each in serious]
