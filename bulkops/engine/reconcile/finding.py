"""
Find the difference: load what is wished, read what is there, and compare.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import orjson

from bulkops.engine.opened import opened_reader
from bulkops.engine.reconcile.asking import Asking
from bulkops.engine.reconcile.desired import load_desired
from bulkops.engine.reconcile.difference import (
    Numbers,
    compare,
    note_unread,
    to_refused,
    to_unread,
    write_changes,
)
from bulkops.engine.reconcile.means import Means
from bulkops.engine.reconcile.parents import add_parents
from bulkops.engine.reconcile.questions import count_calls, left_to_ask, make_questions
from bulkops.engine.reconcile.reading import Reading, Unread
from bulkops.engine.reconcile.reading_log import cut_torn_tail, load_actual, load_whole
from bulkops.engine.reconcile.snapshot import load_snapshot
from bulkops.engine.reconcile.tables import number, opened_tables
from bulkops.engine.telemetry import Errand
from bulkops.errors import ExitCode
from bulkops.files.config import Config
from bulkops.files.manifest import gather
from bulkops.files.manifest.apostrophes import guarded
from bulkops.files.planner.rows import known_columns
from bulkops.files.prepare import Asked
from bulkops.files.rundir import RunDirectory


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """
    What a reconciliation found, and the run that is to carry it out.

    `reads` are the calls that this process made to read; `forbidden` says that nothing could be
    read for want of a permission.
    """

    run: RunDirectory
    rows: int
    numbers: Numbers
    fields: tuple[str, ...]
    reads: int = 0
    forbidden: bool = False

    @property
    def changes(self) -> Path:
        """The difference, as a manifest."""
        return self.run.path / "changes.jsonl"

    @property
    def at_best(self) -> ExitCode:
        """The best that it can end with: not 0 where something is not known."""
        if self.forbidden:
            return ExitCode.AUTH
        lacking = self.numbers.unread or self.numbers.refused
        return ExitCode.INCOMPLETE if lacking else ExitCode.OK

    def asked(self, *, confirm: bool) -> Asked:
        """Return what is to be asked to carry the difference out."""
        return Asked(self.changes, fields=self.fields, confirm=confirm)

    def facts(self) -> dict[str, Any]:
        """Return its numbers for programs, as JSON values."""
        return {"rows": self.rows, "reads": self.reads, **asdict(self.numbers)}

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values, to be found again by `found_before`."""
        return {
            "v": 1,
            "rows": self.rows,
            "numbers": asdict(self.numbers),
            "fields": list(self.fields),
            "forbidden": self.forbidden,
        }


@dataclass(frozen=True, slots=True)
class Preview:
    """
    What reading is going to cost: at least so many calls, of which so many were made before.
    """

    records: int
    calls: int
    read_already: int


def found_before(run: RunDirectory) -> Found | None:
    """Return what was found when the run's `changes.jsonl` was made; `None` if it is not yet."""
    if not (run.path / "changes.jsonl").exists():
        return None
    content: Mapping[str, Any] = orjson.loads((run.path / "reconcile.json").read_bytes())
    return Found(
        run=run,
        rows=content["rows"],
        numbers=Numbers(**content["numbers"]),
        fields=tuple(content["fields"]),
        forbidden=content["forbidden"],
    )


async def find(
    asking: Asking,
    config: Config,
    means: Means,
    run: RunDirectory,
    preview: Callable[[Preview], None],
) -> Found:
    """Load what is wished, read what is there, and write the difference to `proposed.jsonl`."""
    rules, product = config.reconcile, config.api.product
    with opened_tables(config) as connection:
        manifest = gather(asking.desired, file_format=asking.file_format)
        rows = load_desired(connection, manifest, asking, product=product)
        if asking.parents:
            add_parents(connection, asking.parents, asking)
        reads, unread = 0, list[Unread]()
        if asking.actual:
            load_snapshot(connection, asking.actual, asking, product=product)
        else:
            make_questions(connection, prune=rules.prune)
            reads, unread = await _read(connection, config, means, run, preview)
        note_unread(connection, unread)
        numbers = compare(connection, prune=rules.prune, territories=asking.territories)
        write_changes(connection, run.path / "proposed.jsonl")
        _write(run.path / "unread.csv", _UNREAD, to_unread(connection))
        _write(run.path / "refused.csv", _REFUSED, to_refused(connection))
        fields = _fields(connection)
    forbidden = bool(unread) and all(each.forbidden for each in unread) and not numbers.actual
    return Found(
        run=run, rows=rows, numbers=numbers, fields=fields, reads=reads, forbidden=forbidden
    )


async def _read(
    connection: duckdb.DuckDBPyConnection,
    config: Config,
    means: Means,
    run: RunDirectory,
    preview: Callable[[Preview], None],
) -> tuple[int, list[Unread]]:
    """Ask what was not read whole before; make `actual`. Return the calls, and what is unread."""
    log = run.path / "actual.jsonl"
    cut_torn_tail(log)
    since = time.time() - 3600 * config.reconcile.max_age_h
    first = load_whole(connection, log, since=since)
    of_record = "USING (spec, module, list, holder, part)"
    connection.execute(f"CREATE TABLE asking AS FROM questions ANTI JOIN whole {of_record}")
    left = number(connection, "SELECT count(*) FROM asking")
    calls = count_calls(connection, "asking")
    total = number(connection, "SELECT count(*) FROM questions")
    preview(Preview(records=total, calls=calls, read_already=total - left))
    reads, unread = 0, list[Unread]()
    if left:
        errand = Errand(name="reconcile", run=run.name)
        async with opened_reader(config, log, means.manner, errand) as opened:
            reading = Reading(
                opened.reader,
                opened.api,
                opened.log,
                first=first,
                many=config.follow.bulk_read == "auto",
                told=lambda count: means.told(count, left, opened.tally.held),
            )
            await reading.read(left_to_ask(connection), at_once=config.limits.ceiling)
        reads, unread = opened.tally.calls, reading.unread
        load_whole(connection, log, since=since)
    load_actual(connection, log)
    return reads, unread


_UNREAD = ("module", "record_id", "related_list", "desired_rows", "why")
_REFUSED = ("line", "code", "message")


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a file of what people look at, formulas guarded; none, if there is nothing in it."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    before = text.tell()
    for row in rows:
        writer.writerow([guarded(cell) if isinstance(cell, str) else cell for cell in row])
    if text.tell() == before:
        path.unlink(missing_ok=True)
    else:
        path.write_text(text.getvalue(), encoding="utf-8")


def _fields(connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    """Return the columns of the difference that are fields of relations."""
    named = connection.execute(
        "SELECT DISTINCT unnest(json_keys(fields)) FROM changes WHERE fields IS NOT NULL"
    ).fetchall()
    return tuple(sorted({name for (name,) in named} - set(known_columns())))
