"""
What became of every row of a run, one by one or as a file.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext
from errno import EPIPE
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypedDict, cast

import duckdb
import orjson

from bulkops.errors import BulkopsError, UsageError
from bulkops.files.config import Config
from bulkops.files.outcomes import copy_outcomes, known_statuses, read_outcomes, to_line
from bulkops.library.runs import Run, directory_of

Shape = Literal["jsonl", "csv", "parquet"]


class OutcomeRow(TypedDict, total=False):
    """
    What became of one line, and what the manifest said there; what is absent is left out.
    """

    line: int
    file: str
    file_line: int
    op: str
    module: str
    record_id: str
    related_list: str
    related_id: str
    territory_id: str
    transfer_to_id: str
    status: str
    code: str
    message: str
    raw: str
    http_status: int
    attempts: int
    batch: int
    job_id: str
    of_line: int
    learnt: str
    finished_at: str
    #: Relation fields, and columns that mean nothing to us.
    extra: dict[str, Any]


def outcomes(
    run: Run, *, status: Collection[str] = (), config: Config | None = None
) -> Iterator[OutcomeRow]:
    """
    Yield what became of each line, in manifest order; lines without an outcome yet are left out.

    `status` keeps these alone. None at all where the run has not begun.
    """
    directory, known = directory_of(run, config), _known(status)
    if not directory.checkpoint.exists():
        return iter(())
    return (cast("OutcomeRow", _plain(each)) for each in read_outcomes(directory, known))


def outcome_lines(
    run: Run, *, status: Collection[str] = (), config: Config | None = None
) -> Iterator[bytes]:
    """Yield the same as lines of JSON, numbers as the manifest has them."""
    return map(to_line, read_outcomes(directory_of(run, config), _known(status)))


def write_outcomes(
    run: Run,
    target: Path | BinaryIO,
    *,
    shape: Shape = "jsonl",
    status: Collection[str] = (),
    config: Config | None = None,
) -> None:
    """
    Write the outcomes of a run that has begun; cells of CSV are never formulas.

    Only lines of JSON can go to a stream that is open. Raises `BulkopsError` if the target cannot
    be written, `BrokenPipeError` if nobody reads it.
    """
    directory, known = directory_of(run, config), _known(status)
    with writing(target):
        if isinstance(target, Path) and shape != "jsonl":
            copy_outcomes(directory, target, known, parquet=shape == "parquet")
            return
        if shape != "jsonl":
            raise UsageError(f"{shape}: expected a path to write it to")
        with target.open("wb") if isinstance(target, Path) else nullcontext(target) as sink:
            sink.writelines(outcome_lines(directory.path, status=known))
            sink.flush()


@contextmanager
def writing(target: object) -> Iterator[None]:
    """Raise `BulkopsError` for what the block cannot write; a reader who left is no error."""
    try:
        yield
    except BrokenPipeError:
        raise
    except (OSError, duckdb.IOException) as error:
        if "Broken pipe" in str(error):
            raise BrokenPipeError(EPIPE, "nobody reads") from None
        file = isinstance(target, Path) and not target.is_relative_to("/dev/stdout")
        where = target if file else "standard output"
        raise BulkopsError(f"{where}: the outcomes cannot be written: {error}") from None


def _known(statuses: Collection[str]) -> tuple[str, ...]:
    """Return the statuses, of which one may be given as it is."""
    return known_statuses((statuses,) if isinstance(statuses, str) else statuses)


def _plain(value: Any) -> Any:
    """Return a JSON value in types of Python: numbers that no 64 bits hold are kept as text."""
    match value:
        case dict():
            return {name: _plain(each) for name, each in value.items()}
        case list():
            return [_plain(each) for each in value]
        case orjson.Fragment():
            return json.loads(orjson.dumps(value))
    return value
