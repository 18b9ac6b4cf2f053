"""The pages in a real browser, beside a real run: quiet, alone, alive, and true."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bulkops.engine.ctl import ask
from bulkops.engine.derive import derive
from bulkops.errors import ExitCode
from tests.e2e.harness import Bench, emulator
from tests.e2e.test_steering import couples, hurry
from tests.engine.report.browser import CHROMIUM, Page, browser
from tests.engine.report.runs import log, note, outcome, sent, unlinks
from tests.engine.serve.test_verb import serving

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed here; the pages are not opened"
)
_SINGLY = {"BULKOPS_LIMITS__IDS_PER_CALL": "1", "BULKOPS_LIMITS__CONCURRENCY": "4"}
_ROWS, _BAD = 150, 6


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


def until(page: Page, expression: str, seconds: float = 60) -> Any:
    """Return what an expression becomes in the page, once it is true."""
    deadline = time.monotonic() + seconds
    while not (value := page.value(expression)):
        assert time.monotonic() < deadline, (expression, page.value("document.body.innerText"))
        time.sleep(0.02)
    return value


def number_of(page: Page, name: str) -> str:
    """What stands under a name among the numbers of a run."""
    found = page.value(
        "[...document.querySelectorAll('.keys div')].filter(e => e.querySelector('dt')"
        f".textContent === {json.dumps(name)}).map(e => e.querySelector('dd').firstChild.nodeValue)"
    )
    assert len(found) == 1, (name, found)
    return str(found[0])


def quiet(page: Page, root: str) -> None:
    """Hold that nothing went wrong, and that nobody else was asked for anything."""
    assert [] == page.complaints()
    asked = {f"{each.scheme}://{each.netloc}" for each in map(urlsplit, page.requests())}
    assert {root} == asked


def by_log(bench: Bench) -> Counter[str]:
    return Counter(each["status"] for each in bench.records() if each["type"] == "outcome")


def test_a_run_is_watched_from_its_begin_to_its_report(tmp_path: Path, page: Page) -> None:
    """List, live page and report of one run; what they show at the end is what the log says."""
    manifest, world = couples(tmp_path, _ROWS)
    with manifest.open("a", encoding="utf-8") as file:
        file.writelines(f"unlink,Deals,{9000 + at},Contact_Roles,1\n" for at in range(_BAD))
    slow = {"latency_median_s": 0.1, "latency_sigma": 0.0}
    with emulator(tmp_path, world, **slow) as bench, serving(tmp_path) as (_, line):
        address = line.strip()
        root = address.removesuffix("/")
        page.look(width=1440, dark=False)
        page.open(address)
        assert "No run yet" in page.value("document.querySelector('main').innerText")
        process = bench.begin("run", str(manifest), "--yes", **_SINGLY)
        try:
            # The list is open, and nobody loads it again.
            until(page, "document.querySelector('.badge.going') !== null")
            quiet(page, root)
            link = page.value("document.querySelector('.runs th a').href")

            page.open(link)
            assert "Running." == until(page, "document.querySelector('.state strong').innerText")
            before = page.value("document.getElementById('rows-done').value")
            until(page, f"document.getElementById('rows-done').value > {before + 3}")
            assert f"{_ROWS + _BAD}" in page.value("document.querySelector('output').innerText")
            ask(bench.run_directory, "pause")
            until(page, "document.querySelector('.state strong').innerText === 'Paused.'")
            assert "Held by ctl" in page.value("document.querySelector('.state').innerText")
            assert "not known" == number_of(page, "Time to go")
            held_at(page, bench, process)
            ask(bench.run_directory, "resume")
            hurry(bench)
            # The end comes by itself, with the way to the report.
            until(page, "document.querySelector('.state strong').innerText.startsWith('Finished')")
            until(page, "document.querySelector('.state .button') !== null")
            process.communicate(timeout=60)
            quiet(page, root)
        finally:
            process.kill()
            process.wait()
        assert 3 == process.returncode
        log = by_log(bench)
        shown = page.value(
            "Object.fromEntries([...document.querySelectorAll('table.statuses tbody tr')].map("
            "e => [e.children[0].innerText.trim(), Number(e.children[1].innerText)]))"
        )
        assert dict(log) == shown
        assert {"succeeded": _ROWS, "failed": _BAD} == shown
        calls = sum(each["type"] == "sent" for each in bench.records())
        assert str(calls) == number_of(page, "Calls")
        assert str(_BAD) == number_of(page, "Not in the wanted state")
        assert "INVALID_DATA" in page.value(
            "document.querySelector('#refusals').parentNode.innerText"
        )

        page.open(page.value("document.querySelector('.state .button').href"))
        assert "Report of run" in page.value("document.title")
        assert [] == page.complaints()
        assert {root} == {f"http://{urlsplit(each).netloc}" for each in page.requests()}
        page.open(address)
        assert f"{_BAD} failed" in page.value("document.querySelector('.runs tbody').innerText")
        quiet(page, root)


def held_at(page: Page, bench: Bench, process: subprocess.Popen[str]) -> None:
    """Hold that a page of a held run shows what the log says, once it stands still."""
    assert process.poll() is None
    until(
        page,
        "[...document.querySelectorAll('.keys div')].some(e => e.innerText.startsWith("
        "'Calls in flight') && /\\n0\\n/.test(e.innerText))",
    )
    told = ask(bench.run_directory, "status")
    until(page, f"document.getElementById('rows-done').value === {told['settled']}")
    assert told["settled"] == sum(by_log(bench).values())
    assert f"{told['calls']:,}" == number_of(page, "Calls")


@pytest.fixture
def stood(tmp_path: Path) -> Iterator[str]:
    """The address of a server with a finished run whose name and refusals are made to do harm."""
    harm = "<script>alert(1)</script><img src=https://evil.example/x onerror=alert(2)>"
    made = log(
        unlinks(tmp_path, 40),
        note(0, "run.started"),
        sent(1, 1),
        *(outcome(2, line) for line in range(1, 31)),
        *(outcome(2, line, "failed", code=harm, message=harm) for line in range(31, 41)),
        note(3, "run.finished", reason=""),
    )
    derive(made, ExitCode.INCOMPLETE, finished=False)
    name = f"{'long-name-of-a-run-' * 4}{harm.replace('/', '')}"
    made.run.path.rename(tmp_path / "runs" / name)
    with serving(tmp_path) as (_, line):
        yield line.strip()


def test_every_page_fits_every_screen_in_both_schemes(page: Page, stood: str) -> None:
    """As wide as the screen, in the scheme's colours, with nothing asked for elsewhere."""
    root = stood.removesuffix("/")
    for path in ("/", "run"):
        for width in (390, 820, 1440):
            for dark in (False, True):
                page.look(width=width, dark=dark, mobile=width < 600)
                page.open(stood)
                if path == "run":
                    page.open(page.value("document.querySelector('.runs th a').href"))
                    assert "Finished, exit code 3" in page.value("document.body.innerText")
                quiet(page, root)
                wide = page.value("document.documentElement.scrollWidth")
                assert width == wide, (path, width, wide)
                paper = "rgb(20, 23, 29)" if dark else "rgb(255, 255, 255)"
                assert paper == page.value("getComputedStyle(document.body).backgroundColor")
                assert 0 == page.value("document.querySelectorAll('main script, main img').length")


def test_texts_can_be_read_in_both_schemes(page: Page, stood: str) -> None:
    """Every text has a contrast of 4.5 to what is behind it (WCAG 2.2, 1.4.3)."""
    for dark in (False, True):
        page.look(width=1440, dark=dark)
        page.open(stood)
        for follow in (False, True):
            if follow:
                page.open(page.value("document.querySelector('.runs th a').href"))
            assert [] == page.value(_CONTRASTS)


def test_without_scripts_it_is_all_there_and_loads_anew(page: Page, stood: str) -> None:
    """A page of its own, as of its loading, that asks to be loaded again."""
    page.ask("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.look(width=820, dark=False)
        page.events.clear()
        page.ask("Page.navigate", url=stood)
        page.wait_for_load()
    finally:
        page.ask("Emulation.setScriptExecutionDisabled", value=False)
    assert "10 failed" in page.value("document.querySelector('.runs tbody').innerText")
    assert "10" == page.value("document.querySelector('meta[http-equiv=refresh]').content")


def test_headings_tables_and_what_is_read_out(page: Page, stood: str) -> None:
    """One first heading, none left out; headers for every column; a polite live region."""
    page.look(width=1440, dark=False)
    page.open(stood)
    page.open(page.value("document.querySelector('.runs th a').href"))
    levels = page.value("[...document.querySelectorAll('h1,h2,h3')].map(e => Number(e.tagName[1]))")
    assert 1 == levels.count(1) == levels[0]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.value(
        "[...document.querySelectorAll('table')].every(e => e.caption && "
        "[...e.tHead.rows[0].cells].every(c => c.scope === 'col'))"
    )
    said = "document.querySelector('#said[aria-live=polite]').textContent"
    assert until(page, said).startswith("finished, exit code 3.")


def test_a_page_finds_its_server_again(page: Page, tmp_path: Path) -> None:
    """It says that the connection is lost, and goes on by itself when there is one again."""
    page.look(width=820, dark=False)
    with serving(tmp_path) as (process, line):
        address = urlsplit(line.strip())
        page.open(line.strip())
        until(page, "performance.getEntriesByType('resource').length > 0")
        process.terminate()
        process.wait(timeout=20)
        until(page, "!document.getElementById('link').hidden")
        assert "connection is lost" in page.value("document.getElementById('link').innerText")
    (tmp_path / "runs" / "new-run").mkdir(parents=True)
    (tmp_path / "runs" / "new-run" / "run.json").write_text("{}")
    with serving(tmp_path, "--port", str(address.port)):
        until(page, "document.querySelector('main').innerText.includes('new-run')", 60)
        assert page.value("document.getElementById('link').hidden")


#: Texts whose contrast is too low: colours as the browser mixes them, over the nearest background.
_CONTRASTS = """
[...document.querySelectorAll('body *')].flatMap(e => {
  const own = [...e.childNodes].some(n => n.nodeType === 3 && n.nodeValue.trim());
  const box = e.getBoundingClientRect();
  if (!own || !box.width || e.closest('[hidden], .unseen, .skip, script, noscript')) return [];
  const read = text => text.match(/[\\d.]+/g).map(Number);
  let at = e, back = [0, 0, 0, 0];
  while (at && (back[3] === 0)) {
    const found = read(getComputedStyle(at).backgroundColor);
    back = found.length === 3 ? [...found, 1] : found;
    at = at.parentElement;
  }
  const light = c => {
    const [r, g, b] = c.slice(0, 3).map(v => v / 255).map(
      v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [a, b] = [light(read(getComputedStyle(e).color)), light(back)].sort((x, y) => y - x);
  const ratio = (a + 0.05) / (b + 0.05);
  return ratio < 4.5 ? [`${e.tagName} ${e.className} ${ratio.toFixed(2)}`] : [];
})
"""
