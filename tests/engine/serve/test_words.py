"""What pages call the states and numbers of a run."""

from __future__ import annotations

from typing import Any

import pytest

from bulkops.engine.serve.entry import Entry
from bulkops.engine.serve.pages import Pager, _coded
from bulkops.engine.serve.words import announcement, parts_of, state_of, unwanted
from bulkops.model import Status


@pytest.mark.parametrize(
    ("facts", "word", "tone", "why"),
    [
        ({"state": "running"}, "running", "going", ""),
        ({"state": "holding", "held": {"ctl": "x"}}, "paused", "holding", "held by ctl, x"),
        ({"state": "ending", "stopped_because": "x"}, "ending", "holding", "x"),
        ({"state": "planned"}, "planned", "idle", ""),
        ({"state": "finished", "exit": 0}, "finished, exit code 0", "good", ""),
        ({"state": "finished", "exit": 3}, "finished, exit code 3", "bad", ""),
        ({"state": "finished", "exit": 6}, "finished, exit code 6", "bad", ""),
        ({"state": "finished"}, "finished", "good", ""),
        ({"state": "unfinished", "ended": 1.0, "exit": 5}, "paused", "holding", ""),
        ({"state": "unfinished", "ended": 1.0, "exit": 4}, "stopped", "bad", ""),
        ({"state": "unfinished", "ended": 1.0, "exit": 130}, "interrupted", "holding", ""),
        ({"state": "unfinished", "ended": 1.0, "exit": 143}, "interrupted", "holding", ""),
        ({"state": "unfinished", "ended": 1.0}, "stopped", "bad", ""),
        ({"state": "unreadable", "problem": "x"}, "unreadable", "bad", "x"),
        ({"state": "of a later version"}, "of a later version", "idle", ""),
    ],
)
def test_a_state_is_a_word_a_colour_and_why(
    facts: dict[str, Any], word: str, tone: str, why: str
) -> None:
    """By how the last process ended, where none is on the run."""
    said = state_of(Entry(name="x", **facts))
    assert (word, tone, why) == (said.word, said.tone, said.why)


def test_a_killed_run_says_that_nobody_said_why() -> None:
    """There is no end in its log."""
    said = state_of(Entry(name="x", state="unfinished"))
    assert ("cut off", "bad") == (said.word, said.tone)
    assert "does not say why" in said.why


def test_the_parts_of_a_bar_add_up() -> None:
    """One after the other, in the order of the statuses, each as wide as its share."""
    parts = parts_of({"failed": 100, "succeeded": 300}, 800)
    assert [("succeeded", 0.0, 375.0), ("failed", 375.0, 125.0)] == [
        (each.status.value, each.begin, each.width) for each in parts
    ]
    assert [] == list(parts_of({}, 0))


def test_what_is_not_wanted_leaves_out_repeats_and_what_is_under_way() -> None:
    """A duplicate shares the fate of its line, and is counted there."""
    assert 6 == unwanted({each.value: 1 for each in Status} | {"failed": 2})


def test_what_is_read_out_changes_seldom() -> None:
    """Every tenth of the rows, and with the state."""
    said = {
        announcement(Entry(name="x", state="running", rows=1000, settled=at))
        for at in range(0, 1001, 7)
    }
    assert 10 == len(said)


@pytest.mark.parametrize(
    ("page", "pages", "expected"),
    [
        (1, 1, [1]),
        (1, 9, [1, 2, 0, 9]),
        (5, 9, [1, 0, 4, 5, 6, 0, 9]),
        (9, 9, [1, 0, 8, 9]),
        (2, 3, [1, 2, 3]),
    ],
)
def test_a_long_list_has_few_links(page: int, pages: int, expected: list[int]) -> None:
    """First, last, and those around; zeros are gaps."""
    assert expected == list(Pager(page, pages).links)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("run `a b`.", "run <code>a b</code>."),
        ("a ` alone", "a ` alone"),
        ("`<b>` & <i>", "<code>&lt;b&gt;</code> &amp; &lt;i&gt;"),
        ("\x1b`\x1b`", "\\x1b<code>\\x1b</code>"),
    ],
)
def test_commands_in_words_are_shown_as_such(text: str, expected: str) -> None:
    """And everything is escaped all the same."""
    assert expected == str(_coded(text))
