"""
Open DuckDB within bounds: so much memory, so many threads, and a known place for what is more.

Left alone it takes most of the machine's memory, and puts the rest into the working directory,
which may be read-only, small, or somebody else's. Not for the planner and the reconciliation:
their tables lie in a file of their own, and what they spill beside it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import orjson

from bulkops.files.rundir import RunDirectory

#: Enough to look at a run; what joins or sorts its lines asks for more.
MEMORY = "256MB"
#: Made when the memory is full, and gone with the connection. Several may share it.
SPILL = "spill.tmp"


def said(error: duckdb.Error) -> str:
    """Return an error of DuckDB as one line: the innermost words where it wraps them in JSON."""
    line = str(error).partition("\n")[0]
    head, wrapped, inner = line.partition('{"exception_type"')
    if not wrapped:
        return line
    try:
        return str(orjson.loads(wrapped + inner)["exception_message"])
    except (orjson.JSONDecodeError, KeyError):
        return head.rstrip(": ") or line


def connect(
    room: Path | None, *, memory: str = MEMORY, threads: int = 0, ordered: bool = True
) -> duckdb.DuckDBPyConnection:
    """
    Return a connection to tables in memory; what that cannot hold goes to a folder in `room`.

    Nothing is written to `room` unless it must be; without one it is the system's folder for
    temporary files. `threads` are as many as there are processors if it is 0. Unless `ordered`,
    rows may come in another order than they were read, which takes less memory.
    """
    config: dict[str, Any] = {
        "memory_limit": memory,
        "temp_directory": str((room or Path(tempfile.gettempdir())).absolute() / SPILL),
        "preserve_insertion_order": ordered,
    }
    if threads:
        config["threads"] = threads
    return duckdb.connect(config=config)


def room_of(run: RunDirectory) -> Path:
    """Return where readers of `run` may spill: `temp_directory` of its [plan], or its folder."""
    described = (run.read_description() or {}).get("config", {})
    named = Path(described.get("plan", {}).get("temp_directory") or "")
    # What is relative was so to the working directory of another process.
    return named if named.is_absolute() else run.path


def fetched(result: duckdb.DuckDBPyConnection, at_once: int = 1_000) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a result, of which no more than `at_once` are Python's at a time."""
    while rows := result.fetchmany(at_once):
        yield from rows
