"""Cells that no spreadsheet takes for a formula, and that come back as they were."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bulkops.files.manifest.apostrophes import (
    MARK,
    guarded,
    guarded_sql,
    plain,
    plain_header,
    plain_sql,
)

#: Texts that are likely to be on one side or the other of the rule.
TEXTS = st.text("'=+-@\t\r\n15.,eE aX", max_size=8) | st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), max_size=8
)


@pytest.mark.parametrize(
    "text", ["=cmd|' /C calc'!A0", "+1+cmd", "-2+3", "@SUM(A1)", "\tx", "\rx", "\n=x", "+49 30 1"]
)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    """The first character alone makes a formula."""
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "a=b", "-5", "+5", "-5.25", "-1,5", "-.5", "1e5", "-", "'x"])
def test_numbers_and_ordinary_text_stay(text: str) -> None:
    """A list price of -5 is a number for whoever opens the file."""
    assert guarded(text) == text


@given(TEXTS)
@example("'=1")
@example("'-5")
def test_every_text_comes_back(text: str) -> None:
    """Also one that had such an apostrophe of its own."""
    assert plain(guarded(text)) == text


@given(TEXTS)
def test_what_is_guarded_begins_no_formula(text: str) -> None:
    """But for numbers, no guarded cell begins with a character that makes one."""
    cell = guarded(text)
    assert cell[:1] not in "=+-@\t\r\n" or not cell.strip("0123456789.,eE+-")


def test_only_a_file_that_says_so_has_its_header_changed() -> None:
    """An apostrophe in somebody else's file is their own."""
    assert plain_header(["'=a", "b"]) == ("'=a", "b")
    assert plain_header(["'=a", "b", MARK]) == ("=a", "b", MARK)


@given(st.lists(TEXTS, min_size=1, max_size=20))
def test_the_database_does_the_same(texts: list[str]) -> None:
    """Two spellings of one rule, for rows that never come into Python."""
    with duckdb.connect() as connection:
        found = connection.execute(
            f"SELECT {guarded_sql('x')}, {plain_sql('x')} FROM (SELECT unnest($1) AS x)", [texts]
        ).fetchall()
    assert [(guarded(each), plain(each)) for each in texts] == found
