"""The report in a real browser: quiet, alone, and alive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bulkops.engine.report import write_report
from tests.engine.report.browser import CHROMIUM, Page, browser
from tests.engine.report.runs import log, note, outcome, sent, unlinks

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed here; the page is not opened"
)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of twenty rows, every second of which failed, under a name made to do harm."""
    made = unlinks(tmp_path_factory.mktemp("run"), 20)
    code = "<script>alert(1)</script><img src=https://evil.example/x>"
    log(
        made,
        note(0, "run.started"),
        sent(0, 1),
        *(outcome(1 + line, line) for line in range(1, 21, 2)),
        *(
            outcome(1 + line, line, "failed", code=code, message=f"refusal {line}")
            for line in range(2, 21, 2)
        ),
        note(30, "run.finished", reason=""),
    )
    return write_report(made.run)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.mark.parametrize("width", [390, 820, 1400])
@pytest.mark.parametrize("dark", [False, True])
def test_it_asks_for_nothing_and_complains_of_nothing(
    page: Page, report: Path, width: int, dark: bool
) -> None:
    """One file is all there is; and it is as wide as the screen, whatever that is."""
    page.look(width=width, dark=dark, mobile=width < 600)
    page.open(report.as_uri())

    assert [report.as_uri()] == page.requests()
    assert [] == page.complaints()
    assert width == page.value("document.documentElement.scrollWidth")
    # Its style was let in, and knows the scheme.
    paper = "rgb(20, 23, 29)" if dark else "rgb(255, 255, 255)"
    assert paper == page.value("getComputedStyle(document.body).backgroundColor")
    shown = page.value(
        "[...document.querySelectorAll('svg.chart')].filter(e => e.getBoundingClientRect().width)"
        ".map(e => e.classList[1])"
    )
    assert {"narrow" if width < 600 else "wide"} == set(shown)


def test_failed_rows_can_be_searched(page: Page, report: Path) -> None:
    """Rows that do not have all the words go away, and come back."""
    page.look(width=820, dark=False)
    page.open(report.as_uri())
    shown = "[...document.querySelectorAll('#failed-rows tbody tr')].filter(e => !e.hidden).length"
    search = (
        "document.getElementById('search').value = '{}';"
        "document.getElementById('search').dispatchEvent(new Event('input'));"
        "document.getElementById('found').textContent"
    )
    assert 10 == page.value(shown)
    assert "1 of 10 rows shown" == page.value(search.format("REFUSAL 18"))
    assert 1 == page.value(shown)
    assert "" == page.value(search.format(""))
    assert 10 == page.value(shown)


def test_without_scripts_it_is_all_there(page: Page, report: Path) -> None:
    """Only the search is missing, and so is its box."""
    page.ask("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.look(width=820, dark=False)
        page.events.clear()
        page.ask("Page.navigate", url=report.as_uri())
        page.wait_for_load()
    finally:
        page.ask("Emulation.setScriptExecutionDisabled", value=False)
    height = "document.getElementById('{}').getBoundingClientRect().height"
    assert 0 == page.value(height.format("search-form"))
    assert page.value(height.format("failed-rows")) > 100


def test_on_paper_it_is_black_on_white(page: Page, report: Path) -> None:
    """Whatever the screen's scheme was; and the settings, folded on a screen, are printed."""
    page.look(width=820, dark=True)
    page.open(report.as_uri())
    scheme = {"name": "prefers-color-scheme", "value": "dark"}
    page.ask("Emulation.setEmulatedMedia", media="print", features=[scheme])
    try:
        ink = page.value("getComputedStyle(document.body).color")
        assert "rgb(27, 31, 39)" == ink
        settings = "[...document.querySelectorAll('details table')].at(-1).getBoundingClientRect()"
        assert page.value(f"{settings}.height") > 100
    finally:
        page.ask("Emulation.setEmulatedMedia", media="", features=[])
