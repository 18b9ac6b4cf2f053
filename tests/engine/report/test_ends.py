"""How the last process on a run ended: written in its log, and said by the report and `status`."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkops.engine.report import read_figures, to_json, write_report
from bulkops.engine.standing import by_log
from bulkops.errors import ExitCode
from bulkops.files.prepare import Prepared
from tests.engine.report.outline import outline
from tests.engine.report.runs import log, note, outcome, sent, unlinks

_LATER = "the day's credits are used up. Run the same command again from 2026-11-23 06:00 on."


def state_of(made: Prepared) -> str:
    """The words at the top of the page."""
    page = outline(write_report(made.run).read_text(encoding="utf-8"))
    words = [each.text for each in page.all("p") if "state" in each.attributes.get("class", "")]
    return " ".join(" ".join(words).split())


def unfinished(folder: Path, *more: dict[str, object]) -> Prepared:
    """A run of two lines, one of them settled."""
    begun = (note(0, "run.started"), sent(1, 1), outcome(2, 1))
    return log(unlinks(folder, 2), *begun, *more)


@pytest.mark.parametrize(
    ("code", "reason", "meaning"),
    [
        (4, "6 of 100 lines sent have failed", "stopped by a threshold"),
        (5, _LATER, "paused; run again later"),
        (130, "interrupted", "interrupted; run again to go on"),
    ],
)
def test_an_unfinished_run_says_with_which_code_and_why(
    tmp_path: Path, code: int, reason: str, meaning: str
) -> None:
    """Report, its figures and `status` agree; when to come back is part of the reason."""
    made = unfinished(tmp_path, note(3, "run.stopped", exit=code, reason=reason))
    told, status = to_json(read_figures(made.run)), by_log(made.run)
    assert (code, reason) == (told["exit"], told["stopped_because"])
    assert (code, reason) == (status["exit"], status["stopped_because"])
    assert f"ended with exit code {code} ({meaning}): {reason}" in state_of(made)


def test_a_log_of_an_earlier_version_says_why_and_no_code(tmp_path: Path) -> None:
    """What is not written down is not made up."""
    made = unfinished(tmp_path, note(3, "run.stopped", reason="out of credits"))
    told, status = to_json(read_figures(made.run)), by_log(made.run)
    assert (None, "out of credits") == (told["exit"], told["stopped_because"])
    assert (None, "out of credits") == (status["exit"], status["stopped_because"])
    assert "The last process on it stopped: out of credits" in state_of(made)


def test_a_run_that_was_killed_says_nothing_of_the_end_before(tmp_path: Path) -> None:
    """What an earlier process wrote down is not how the last one ended."""
    before = note(3, "run.stopped", exit=5, reason=_LATER)
    made = unfinished(tmp_path, before, note(4, "run.started"))
    told, status = to_json(read_figures(made.run)), by_log(made.run)
    assert (None, "") == (told["exit"], told["stopped_because"])
    assert (None, "") == (status["exit"], status["stopped_because"])
    assert "exit code" not in state_of(made)


@pytest.mark.parametrize(
    ("written", "expected"),
    [({}, ExitCode.INCOMPLETE), ({"exit": 3}, ExitCode.INCOMPLETE), ({"exit": 6}, ExitCode.AUTH)],
)
def test_a_finished_run_has_the_code_that_is_written_down(
    tmp_path: Path, written: dict[str, int], expected: ExitCode
) -> None:
    """6 where all was refused for want of a right; the lines tell where an old log does not."""
    refused = outcome(2, 1, "failed", code="NO_PERMISSION")
    ended = note(3, "run.finished", reason="", **written)
    made = log(unlinks(tmp_path, 1), note(0, "run.started"), sent(1, 1), refused, ended)
    assert (int(expected), int(expected)) == (
        to_json(read_figures(made.run))["exit"],
        by_log(made.run)["exit"],
    )
    assert f"(exit code {int(expected)})" in state_of(made)


def test_a_code_that_this_version_does_not_know_is_none(tmp_path: Path) -> None:
    """A later version may end in ways of its own; its log can still be drawn."""
    made = unfinished(tmp_path, note(3, "run.stopped", exit=99, reason="of another kind"))
    assert (None, None) == (read_figures(made.run).exit, by_log(made.run)["exit"])
    assert "of another kind" in state_of(made)


def test_a_run_that_has_not_begun_has_no_end(tmp_path: Path) -> None:
    """Planned is all it is."""
    made = unlinks(tmp_path, 1)
    assert (None, None) == (to_json(read_figures(made.run))["exit"], by_log(made.run)["exit"])
