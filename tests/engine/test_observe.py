"""What the server shows is believed only of what it was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bulkops.engine.observe import Observer
from bulkops.engine.prober import probe
from bulkops.engine.reader import Refusal
from bulkops.model import Batch, Operation, Outcome, Route, Status, merge_items
from bulkops.rules.operations import SPECS
from bulkops.rules.reads import Before
from tests.rigging import V8, serving

ROUTE = Route("Products", "500", "Deals")
LINES = (Operation(1, "11"), Operation(2, "12"))
GIVEN_UP = Outcome(1, Status.UNKNOWN, "no_answer", "given up after 3 tries")
#: A list that was not narrowed down to what was asked for, or whose rows cannot be told.
NONSENSE: list[list[Any]] = [
    [{"id": "77"}],
    [{"id": "11"}, {"id": "77"}],
    [{"name": "no id"}],
    ["11"],
]


class Server:
    """Shows the same rows to everybody."""

    def __init__(self, rows: list[Any]) -> None:
        self._rows = rows

    async def answer(self, _request: web.Request) -> web.Response:
        return web.json_response({"data": self._rows, "info": {"more_records": True}})


@pytest.mark.parametrize("rows", NONSENSE)
@pytest.mark.parametrize("spec", ["unlink", "link"])
async def test_a_list_of_others_does_not_tell_what_a_call_did(
    tmp_path: Path, rows: list[Any], spec: str
) -> None:
    """That an id is not on a page of other ids is no sign that it is gone."""
    async with serving(Server(rows), tmp_path / "log") as run:
        told = await probe(run.reader, V8, Batch(1, spec, ROUTE, LINES), LINES, GIVEN_UP)
    assert [Status.UNKNOWN] * 2 == [each.status for each in told]


@pytest.mark.parametrize("rows", NONSENSE)
async def test_a_list_of_others_does_not_tell_what_was_there(
    tmp_path: Path, rows: list[Any]
) -> None:
    """An undo would take away what it believes was not there before."""
    async with serving(Server(rows), tmp_path / "log") as run:
        found = await Observer(run.reader, V8).before(SPECS["link"], ROUTE, merge_items(LINES))
    assert isinstance(found, Refusal)


async def test_what_was_asked_for_is_believed(tmp_path: Path) -> None:
    """Ids may come as numbers."""
    async with serving(Server([{"id": 11}]), tmp_path / "log") as run:
        observer = Observer(run.reader, V8)
        there = await observer.present(SPECS["unlink"], ROUTE, merge_items(LINES))
        before = await observer.before(SPECS["unlink"], ROUTE, merge_items(LINES))
    assert there == {("11", "")}
    assert before == {"11": Before({}), "12": Before(None)}
