"""DuckDB within bounds: what its memory cannot hold goes where it may, and is gone afterwards."""

from __future__ import annotations

import ast
import tempfile
from pathlib import Path

import duckdb
import pytest

from bulkops.files.database import SPILL, connect, fetched, room_of, said
from bulkops.files.rundir import RunDirectory

PACKAGE = Path(__file__).parent.parent.parent / "bulkops"
#: These have a file for their tables, and spill into the folder they made for it.
WITH_A_FILE = {"engine/reconcile/tables.py", "files/planner/__init__.py"}
#: More text than 32 MB hold.
_MUCH = (
    "SELECT range AS line, repeat(CAST(range % 20 AS VARCHAR), 100) || range FROM range(500_000)"
)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("IO Error: no room\nLINE 1: SELECT", "IO Error: no room"),
        (
            r'IO Error: Async: {"exception_type":"IO","exception_message":"No room in \"x\""}',
            'No room in "x"',
        ),
        ('IO Error: failed: {"exception_type":', "IO Error: failed"),
    ],
)
def test_an_error_is_told_in_one_line_without_json(words: str, expected: str) -> None:
    """Somebody has to read it."""
    assert expected == said(duckdb.IOException(words))


def test_what_spills_stays_out_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes to a folder in the room that was given, which is empty again afterwards."""
    room, here = tmp_path / "room", tmp_path / "here"
    room.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    with connect(room, memory="32MB", threads=1) as connection:
        connection.execute(f"CREATE TEMP TABLE much AS {_MUCH}")
        assert list((room / SPILL).iterdir())
        assert [] == list(here.iterdir())
        # The first to close takes nothing from another.
        with connect(room, memory="32MB", threads=1) as other:
            other.execute(f"CREATE TEMP TABLE much AS {_MUCH}")
        assert (500_000,) == connection.execute("SELECT count(DISTINCT line) FROM much").fetchone()
    assert [] == [*room.iterdir(), *here.iterdir()]


def test_nothing_is_written_that_fits(tmp_path: Path) -> None:
    """A run directory that is only looked at may be read-only, or gone."""
    with connect(tmp_path / "nowhere") as connection:
        assert [(3,)] == connection.execute("SELECT 1 + 2").fetchall()
    assert [] == list(tmp_path.iterdir())


def test_without_a_room_it_is_the_folder_of_the_system() -> None:
    """Never the working directory."""
    with connect(None) as connection:
        found = connection.execute("SELECT current_setting('temp_directory')").fetchone()
    assert (str(Path(tempfile.gettempdir()) / SPILL),) == found


def test_bounds_are_as_asked(tmp_path: Path) -> None:
    """Memory, threads and order."""
    with connect(tmp_path, memory="100MB", threads=1, ordered=False) as connection:
        found = connection.execute(
            "SELECT current_setting('memory_limit'), current_setting('threads'), "
            "current_setting('preserve_insertion_order')"
        ).fetchone()
    assert ("95.3 MiB", 1, False) == found


@pytest.mark.parametrize("named", ["", "relative"])
def test_a_run_is_its_own_room(tmp_path: Path, named: str) -> None:
    """Unless [plan] named another, and not one that depends on who looks."""
    run = RunDirectory(tmp_path)
    assert tmp_path == room_of(run)
    run.describe({"config": {"plan": {"temp_directory": named}}})
    assert tmp_path == room_of(run)
    run.describe({"config": {"plan": {"temp_directory": str(tmp_path / "wide")}}})
    assert tmp_path / "wide" == room_of(run)


@pytest.mark.parametrize("at_once", [1, 2, 1_000])
def test_rows_come_some_at_a_time(at_once: int) -> None:
    """All of them, in their order."""
    with connect(None) as connection:
        result = connection.execute("SELECT range FROM range(5)")
        assert [(each,) for each in range(5)] == list(fetched(result, at_once))


def test_nobody_opens_duckdb_in_another_way() -> None:
    """A connection that is opened without a room spills into the working directory."""
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "duckdb"
        and node.attr in vars(duckdb)
        and callable(getattr(duckdb, node.attr))
        and not isinstance(getattr(duckdb, node.attr), type)
    }
    assert {*WITH_A_FILE, "files/database.py"} == found
