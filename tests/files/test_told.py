"""A log that is told in parts says what it says at once, and needs no more than there is."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.engine.report import Counted, count_lines
from bulkops.files.failed_file import write_failed
from bulkops.files.outcomes import copy_outcomes, count_outcomes, write_outcomes
from bulkops.files.prepare import Prepared
from bulkops.files.told import Told, opened, telling
from tests.engine.report.runs import job, log, outcome, planned, sent

_ROWS = 12
_HEADER = "op,module,record_id,related_list,related_id,ours\n"


@pytest.fixture(scope="module", autouse=True)
def near() -> Iterator[None]:
    """Few lines stand together in the table of a log, so that there are several stretches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bulkops.files.told._PARTS", 2)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """A planned manifest with a column of its own, one cell of which is guarded."""
    lines = (
        f"unlink,{('Leads', 'Deals')[each % 2]},1,Campaigns,{each},{'=1' if each == 9 else each}\n"
        for each in range(1, _ROWS + 1)
    )
    return planned(tmp_path_factory.mktemp("told"), _HEADER + "".join(lines))


def _entries(line: int) -> st.SearchStrategy[Mapping[str, Any]]:
    status = st.sampled_from(["succeeded", "unchanged", "failed", "skipped", "unknown"])
    codes = st.sampled_from([{}, {"code": "A", "message": "first"}, {"code": "A", "message": "b"}])
    settled = st.builds(
        lambda status, more, aborted: outcome(1, line, status, **more, aborted=aborted),
        status,
        codes,
        st.booleans(),
    )
    return settled | st.builds(lambda each: job(1, line, each), st.sampled_from(["7", "8"]))


_LOGS = st.lists(st.integers(1, _ROWS).flatmap(_entries), min_size=8, max_size=40).map(
    lambda entries: _settled_once([sent(0.5, 1), *entries])
)


def _settled_once(entries: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Leave out what no run would write: a second final outcome of a line."""
    final: set[int] = set()
    kept = []
    for each in entries:
        may_change = each.get("status") in {"unknown", "skipped"} or each.get("aborted")
        if each["type"] == "outcome" and not may_change:
            if each["line"] in final:
                continue
            final.add(each["line"])
        kept.append(each)
    return kept


def _said(made: Prepared, told: Told) -> tuple[bytes, bytes, int, list[dict[str, Any]], Counted]:
    """All that is made of a log for the run directory."""
    table, failed = made.run.path / "told.csv", made.run.path / "told-failed.csv"
    write_outcomes(made.run, told, table)
    number = write_failed(made.run, made.description, target=failed, told=told)
    counted = count_lines(made.run, told)
    # Any message of a count will do.
    counts = [{**each, "message": None} for each in count_outcomes(made.run, told)]
    return table.read_bytes(), failed.read_bytes(), number, counts, counted


@settings(max_examples=8)
@given(entries=_LOGS, part=st.sampled_from([4, 5, _ROWS - 1, _ROWS + 1]))
def test_a_log_told_in_parts_says_what_it_says_at_once(
    run: Prepared, entries: list[Mapping[str, Any]], part: int
) -> None:
    """However short the parts are, in whatever order the lines stand in the log."""
    made = log(run, *entries)
    with opened(made.run) as connection:
        expected = _said(made, Told(connection))
    with telling(made.run, made.rows, long_bytes=0, part=part) as told:
        assert part == told.part
        assert made.rows == told.rows
        assert expected == _said(made, told)
    copy_outcomes(made.run, made.run.path / "told.csv")
    assert expected[0] == (made.run.path / "told.csv").read_bytes()


def _all_succeeded(made: Prepared) -> Prepared:
    return log(made, sent(0.5, 1), *(outcome(1, line) for line in range(1, _ROWS + 1)))


def test_nothing_is_left_of_what_a_log_was_gathered_in(run: Prepared) -> None:
    """Its table is gone with its last question, and no part of a file stays."""
    made = _all_succeeded(run)
    before = set(made.run.path.iterdir())
    with telling(made.run, made.rows, long_bytes=0, part=5) as told:
        assert 1 == len(set(made.run.path.iterdir()) - before)
        write_outcomes(made.run, told, made.run.path / "all.csv")
    assert {made.run.path / "all.csv"} == set(made.run.path.iterdir()) - before


def test_a_short_log_is_asked_itself(run: Prepared) -> None:
    """It makes no table."""
    made = _all_succeeded(run)
    before = set(made.run.path.iterdir())
    with telling(made.run, made.rows) as told:
        assert told.rows is None
        assert before == set(made.run.path.iterdir())
        assert [(_ROWS,)] == list(told.ask("SELECT count(*) FROM told"))


def test_a_log_without_room_for_its_table_is_asked_itself(
    run: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says the same, with more memory."""
    made = _all_succeeded(run)

    def full(*_given: object, **_more: object) -> Iterator[Told]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", full)
    with telling(made.run, made.rows, long_bytes=0) as told:
        assert told.rows is None
        assert [(_ROWS,)] == list(told.ask("SELECT count(*) FROM told"))


def test_rows_too_long_for_the_memory_of_a_part_are_told_with_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is made of them is begun anew, and whole."""
    cell = "x" * 60_000
    rows = "".join(f"unlink,Leads,1,Campaigns,{each},{each}{cell}\n" for each in range(1, 1201))
    made = planned(tmp_path, _HEADER + rows)
    made = log(made, sent(0.5, 1), *(outcome(1, line) for line in range(1, 1201)))
    tries: list[int] = []

    def counted(written: Callable[[], None]) -> Callable[[], None]:
        def once_more() -> None:
            tries.append(1)
            written()

        return once_more

    target = tmp_path / "all.csv"
    with telling(made.run, made.rows, long_bytes=0) as told:
        told.answer(counted(lambda: write_outcomes(made.run, told, target)))
    assert 2 == len(tries)
    with target.open() as file:
        assert 1201 == sum(1 for _ in file)


def test_what_no_memory_is_enough_for_is_a_fault(run: Prepared) -> None:
    """It is tried twice and not for ever."""
    made = _all_succeeded(run)
    tries = chain([duckdb.OutOfMemoryException("first"), duckdb.OutOfMemoryException("second")])

    def never() -> None:
        raise next(tries)

    with (
        telling(made.run, made.rows, long_bytes=0) as told,
        pytest.raises(duckdb.OutOfMemoryException, match="second"),
    ):
        told.answer(never)
