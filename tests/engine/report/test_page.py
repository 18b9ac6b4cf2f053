"""The page of a report: whole, readable for everybody, and closed to everything foreign."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from bulkops.engine.report import read_figures, write_report
from bulkops.files.prepare import Prepared
from tests.engine.report.outline import Element, outline
from tests.engine.report.runs import HEADER, job, log, note, outcome, planned, sent, unlinks

_EVIL = '<script>alert("1")</script>'
_WORSE = '"><img src=https://evil.example/x onerror=alert(2)>'


def page_of(made: Prepared) -> str:
    return write_report(made.run).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of a run in which everything that may be named is named to do harm."""
    folder = tmp_path_factory.mktemp("hostile")
    column = f"note{_EVIL}"
    quoted = column.replace('"', '""')
    rows = (
        HEADER.strip() + f',"{quoted}"\n'
        "unlink,Leads,1,Campaigns,2,x\nunlink,Leads,1,Campaigns,3,x\n"
        f'unlink,"{_EVIL.replace(chr(34), "")}",1,Campaigns,4,x\n'
        f'"<b>fly</b>\x1b[31m",Leads,"\u202e1<svg onload=alert(3)>",Campaigns,5,{{{{fields}}}}\n'
    )
    made = planned(folder, rows, name="<img src=y onerror=alert(4)>.csv")
    log(
        made,
        note(0, "run.started"),
        outcome(0, 3, "invalid", code="not_a_name", message=f"module {_EVIL}", batch=None),
        outcome(0, 4, "invalid", code="unknown_op", message="</td></table>", batch=None),
        sent(1, 1),
        outcome(2, 1, "failed", code=_EVIL, message=_WORSE),
        note(2.5, "run.held", reason=_WORSE),
        note(3, "run.released", reason=_WORSE),
        outcome(4, 2, "failed", code="A\x00B", message="line\u2028end\r\n]]>--><!--"),
        note(4, "group.aborted", code=_EVIL),
        note(5, "run.stopped", reason=_EVIL),
    )
    return page_of(made)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A report with every section there is."""
    made = log(
        unlinks(tmp_path_factory.mktemp("full"), 6),
        note(0, "run.started"),
        sent(1, 1),
        job(2, 1, "70"),
        outcome(2, 2),
        outcome(3, 3, "failed", code="INVALID_DATA", message="no"),
        note(3, "run.held", reason="ctl"),
        note(9, "run.released", reason="ctl"),
        outcome(10, 1, job_id="70"),
        outcome(10, 4, "unchanged"),
        note(12, "run.stopped", reason="interrupted"),
        note(20, "run.started"),
        outcome(21, 5, "unknown"),
        outcome(22, 6, "skipped", code="X"),
        note(25, "run.finished", reason=""),
    )
    (made.run.path / "failed.csv").write_text("x", encoding="utf-8")
    (made.run.path / "verification.json").write_text(
        '{"v": 1, "at": 1700000000, "checked": 3, "disagreeing": 1, "unreadable": 0, "statuses": '
        '{"succeeded": {"checked": 3, "disagreeing": 1, "unreadable": 0}}}',
        encoding="utf-8",
    )
    return page_of(made)


def test_what_others_wrote_is_text(hostile: str) -> None:
    """Names, codes, messages, files and columns make no element, and stand there to be read."""
    page = outline(hostile)

    assert [] == page.all("img", "iframe", "object", "embed", "a")
    assert "fly" not in [each.text for each in page.all("b")]
    assert [] == [each for each in page.all() if any(name[:2] == "on" for name in each.attributes)]
    (script,) = page.all("script")
    assert "alert" not in script.text
    words = page.words
    for said in (_EVIL, _WORSE, "<img src=y onerror=alert(4)>.csv", "</td></table>"):
        assert said in words


def test_control_characters_are_written_out(hostile: str) -> None:
    """Nothing turns the direction of the text, hides it, or ends a line of it."""
    assert r"A\x00B" in hostile
    assert r"line\u2028end\r\n" in hostile
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e]", hostile)


def test_nothing_is_loaded_from_anywhere(full: str, hostile: str) -> None:
    """No address but those of the run's own files; the policy forbids the rest."""
    for text in (full, hostile):
        page = outline(text)
        addresses = [
            each.attributes[name]
            for each in page.all()
            for name in ("src", "href", "action", "data", "xlink:href", "srcset", "poster")
            if name in each.attributes
        ]
        assert set(addresses) <= {"failed.csv", "outcomes.csv"}
        assert "url(" not in page.all("style")[0].text
        assert [] == page.all("link", "base", "iframe")
        policy = page.all("meta")[1].attributes["content"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "unsafe" not in policy
        # What the policy would refuse to run or to apply is not there.
        assert [] == [each for each in page.all() if "style" in each.attributes]


def test_headings_are_in_order(full: str) -> None:
    """One title, and no level left out below it."""
    page = outline(full)
    levels = [int(each.tag[1]) for each in page.all("h1", "h2", "h3", "h4", "h5", "h6")]

    assert [1] == [level for level in levels if level == 1]
    assert 1 == levels[0]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert "en" == page.all("html")[0].attributes["lang"]
    assert page.all("title")[0].text.startswith("Report of run ")


def test_tables_say_what_they_are(full: str) -> None:
    """A caption each, headers with their scope, and as many cells as columns in every row."""
    tables = outline(full).all("table")

    assert len(tables) >= 8
    for table in tables:
        assert table.all("caption")[0].text.strip()
        assert {each.attributes.get("scope") for each in table.all("th")} <= {"col", "row"}
        widths = {len(row.all("th", "td")) for row in table.all("tr")}
        assert 1 == len(widths), table.all("caption")[0].text


def test_each_chart_has_words_and_a_name(full: str) -> None:
    """A chart is drawn for wide and narrow pages, named for those who hear it, and put in words."""
    figures = outline(full).all("figure")

    assert 6 == len(figures)
    for figure in figures:
        charts = figure.all("svg")
        assert ["chart wide", "chart narrow"] == [each.attributes["class"] for each in charts]
        words = figure.all("figcaption")[0].text
        assert all("img" == each.attributes["role"] for each in charts)
        assert {words} == {each.attributes["aria-label"] for each in charts}
        assert figure.all("li")


def test_what_is_named_by_another_is_there_once(full: str) -> None:
    """Identifiers are unique, and every reference has its target."""
    page = outline(full)
    names = [each.attributes["id"] for each in page.all() if "id" in each.attributes]
    named = [
        each.attributes[name]
        for each in page.all()
        for name in ("aria-labelledby", "for", "aria-describedby")
        if name in each.attributes
    ]
    assert len(names) == len(set(names))
    assert set(named) <= set(names)


def contrast(one: str, other: str) -> float:
    """The ratio of two colours. https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio"""

    def luminance(colour: str) -> float:
        digits = colour if len(colour) == 6 else "".join(each * 2 for each in colour)
        parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1])
def test_colours_can_be_told_apart_in_both_schemes(full: str, scheme: int) -> None:
    """Text has 4.5 to 1 on paper and on cards, marks and lines 3 to 1."""
    style = outline(full).all("style")[0].text
    blocks = re.findall(r":root \{([^}]+--paper[^}]+)\}", style)
    colours = dict(re.findall(r"--([a-z]+): #([0-9a-f]+)", blocks[scheme]))

    for text in ("ink", "soft", "link"):
        assert contrast(colours[text], colours["paper"]) >= 4.5, text
        assert contrast(colours[text], colours["card"]) >= 4.5, text
    marks = set(colours) - {"paper", "card", "ink", "soft", "link", "rule", "held", "away"}
    assert 13 == len(marks)
    for mark in marks:
        assert contrast(colours[mark], colours["paper"]) >= 3, mark


def rows_of(page: Element, caption: str) -> list[list[str]]:
    """The cells of the table with this caption, row by row."""
    (table,) = (each for each in page.all("table") if each.all("caption")[0].text == caption)
    return [
        [" ".join(cell.words.split()) for cell in row.all("th", "td")] for row in table.all("tr")
    ]


def test_the_numbers_of_the_page_are_the_figures(full: str) -> None:
    """What became of the rows, and how many calls that took."""
    page = outline(full)
    header, *rows = rows_of(page, "Rows by operation, module and status")

    assert [
        *("Operation", "Module", "succeeded", "unchanged", "failed", "skipped", "unknown", "all")
    ] == header
    assert ["unlink", "Leads", "2", "1", "1", "1", "1", "6"] == rows[0]
    assert ["all", "", "2", "1", "1", "1", "1", "6"] == rows[-1]
    words = " ".join(page.words.split())
    assert "Finished; 3 of 6 rows are not in their wanted state" in words
    assert "1 calls were sent for 1 calls of the plan" in words
    assert ["held: ctl", "2023-11-14 22:13:23", "6 s"] in rows_of(
        page, "When no call left, and why"
    )


def test_a_run_with_no_calls_has_a_report(tmp_path: Path) -> None:
    """Only rows that are no operations: nothing over time to draw."""
    made = planned(tmp_path, HEADER + "fly,Leads,1,Campaigns,1\n")
    page = outline(page_of(log(made, outcome(0, 1, "invalid", code="unknown_op", batch=None))))

    assert 2 == len(page.all("figure"))
    assert "No call was sent." in page.words


def test_a_planned_run_has_a_report(tmp_path: Path) -> None:
    """The plan alone."""
    page = outline(page_of(unlinks(tmp_path, 3)))

    assert [] == page.all("figure", "script")
    assert "Planned, not begun." in page.words


def test_an_unfinished_run_says_so_and_why(tmp_path: Path) -> None:
    """How far it came, and what ended it."""
    made = log(
        unlinks(tmp_path, 3),
        sent(0, 1),
        outcome(1, 1),
        note(2, "run.started"),
        note(3, "run.stopped", reason="the day's credits are used up"),
    )
    words = " ".join(outline(page_of(made)).words.split())

    assert "Not finished: 1 of 3 rows are settled" in words
    assert "the day's credits are used up" in words


def test_a_finished_run_says_that_all_is_well(tmp_path: Path) -> None:
    """Nothing to search where nothing failed."""
    made = log(unlinks(tmp_path, 1), sent(0, 1), outcome(1, 1))
    page = outline(page_of(made))

    assert "every row is in its wanted state" in page.words
    assert [] == page.all("script", "input")


def test_secrets_do_not_reach_the_page(tmp_path: Path) -> None:
    """Even if somebody put them into `run.json`."""
    made = unlinks(tmp_path, 1)
    text = made.run.description.read_text(encoding="utf-8")
    secret = '"auth": {"client_secret": "hush", "refresh_token": "hush", '
    made.run.description.write_text(text.replace('"auth": {', secret), encoding="utf-8")
    assert '"hush"' in made.run.description.read_text(encoding="utf-8")

    page = page_of(made)
    assert "hush" not in page
    assert "limits.edition" in page


def test_links_lead_to_the_run_from_wherever_the_report_is(tmp_path: Path) -> None:
    """Relative to the report, and only to files that are there."""
    made = log(unlinks(tmp_path, 2), outcome(0, 1, "failed"), outcome(0, 2))
    made.run.path.joinpath("failed.csv").write_text("x", encoding="utf-8")
    folder = tmp_path / "a b"
    folder.mkdir()
    page = outline(write_report(made.run, folder / "r.html").read_text(encoding="utf-8"))

    addresses = {each.attributes["href"] for each in page.all("a")}
    assert {f"../runs/{made.run.name}/failed.csv"} == addresses


def test_a_thousand_rows_are_shown_and_the_rest_is_counted(tmp_path: Path) -> None:
    """The first of the manifest, whatever the order in which they failed."""
    made = unlinks(tmp_path, 1200)
    log(made, *(outcome(line, 1201 - line, "failed", code="X") for line in range(1, 1201)))

    assert list(range(1, 1001)) == [row["line"] for row in read_figures(made.run).failed]
    assert "The first 1,000 of 1,200" in " ".join(outline(page_of(made)).words.split())
