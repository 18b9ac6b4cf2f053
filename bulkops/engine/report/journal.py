"""
The log of a run as tables of DuckDB: one pass over it, whatever its length.

A line of the log is kept only by what a report asks of it: outcomes are counted by call, moment
and status. Not for damage (`bulkops repair`): a line that cannot be read is left out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb

from bulkops.files.database import connect, room_of
from bulkops.files.manifest.sql import literal, pattern
from bulkops.files.rundir import RunDirectory
from bulkops.model import Status

#: DuckDB's share of what a report may take; what is more goes to the run directory for a while.
MEMORY = "256MB"

#: Threads that read: each more takes memory of its own, 32 MB of it for a piece of the log.
_MOST_THREADS = 4
#: A log of about a million lines, which one thread reads in half a second.
_SHORT_BYTES = 192 << 20
_COLUMNS = """{type: 'VARCHAR', event: 'VARCHAR', status: 'VARCHAR', batch: 'BIGINT',
    call: 'BIGINT', job_id: 'VARCHAR', t: 'DOUBLE', reason: 'VARCHAR', code: 'VARCHAR',
    spec: 'VARCHAR', "limit": 'VARCHAR', lines: 'VARCHAR',
    exit: 'BIGINT'}"""
_TYPES = ("run", "sent", "answer", "outcome", "job", "note")


@dataclass(frozen=True, slots=True)
class Note:
    """
    Something worth knowing that the log says, with its facts.
    """

    t: float
    event: str
    facts: dict[str, Any]

    @property
    def reason(self) -> str:
        """Why, if the note says so."""
        return str(self.facts.get("reason") or "")


@dataclass(frozen=True, slots=True)
class Session:
    """
    From when to when a process was on the run. `ended` is its last sign if nothing says its end.
    """

    begun: float
    ended: float
    said: bool


class Journal:
    """
    The log of `run`, read: tables `entries` and `calls` of `connection`, and the notes.
    """

    def __init__(self, run: RunDirectory, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self._log = (
            f"read_json({literal(pattern(run.checkpoint))}, format = 'newline_delimited', "
            f"ignore_errors = true, columns = {_COLUMNS})"
        )
        # Enums and numbers make narrow groups: there are as many as calls, and more.
        connection.execute(f"CREATE TYPE type_of_entry AS ENUM ({_words(_TYPES)})")
        connection.execute(f"CREATE TYPE status_of_line AS ENUM ({_words(Status)})")
        connection.execute(f"""
            CREATE TEMP TABLE entries AS
            SELECT TRY_CAST(type AS type_of_entry) AS type,
                TRY_CAST(status AS status_of_line) AS status, batch, call, t,
                type = 'note' AND event = 'call.read' AS is_read,
                CASE WHEN type = 'note' AND event <> 'call.read' THEN CAST(to_json({{
                    event: event, reason: reason, code: code, spec: spec, "limit": "limit",
                    lines: lines, exit: exit
                }}) AS VARCHAR) END AS facts, count(*) AS number
            FROM {self._log} WHERE t IS NOT NULL GROUP BY ALL
        """)
        first, last = self._row("SELECT min(t), max(t) FROM entries")
        self.begun: float = first or 0.0
        self.ended: float = last or 0.0
        self.notes = tuple(self._read_notes())
        self.sessions = tuple(self._read_sessions())
        self._make_calls()

    def _row(self, query: str) -> tuple[Any, ...]:
        found = self.connection.execute(query).fetchone()
        assert found is not None
        return tuple(found)

    def _read_notes(self) -> Iterator[Note]:
        rows = self.connection.execute(
            "SELECT t, facts FROM entries WHERE facts IS NOT NULL ORDER BY t, facts"
        ).fetchall()
        for t, facts in rows:
            known = {key: each for key, each in json.loads(facts).items() if each is not None}
            yield Note(t, known.pop("event", ""), known)

    def _read_sessions(self) -> Iterator[Session]:
        starts = [note.t for note in self.notes if note.event == "run.started"]
        ends = [note.t for note in self.notes if note.event in {"run.stopped", "run.finished"}]
        for place, begun in enumerate(starts):
            following = starts[place + 1] if place + 1 < len(starts) else None
            said = [t for t in ends if begun <= t and (following is None or t <= following)]
            if said:
                yield Session(begun, said[-1], said=True)
                continue
            before = f"WHERE t < {following!r}" if following is not None else ""
            (last,) = self._row(f"SELECT max(t) FROM entries {before}")
            yield Session(begun, max(begun, last or begun), said=False)

    def _make_calls(self) -> None:
        """
        Make the table `calls`: when each was logged as sent, and when it was over.

        It was over when its answer was logged; or, if none of its lines was left, when they were
        settled; or else when the same batch was sent again, or the process ended.
        """
        sessions = [(each.begun, each.ended) for each in self.sessions] or [
            (self.begun, self.ended)
        ]
        self.connection.execute("CREATE TEMP TABLE sessions (begun DOUBLE, ended DOUBLE)")
        self.connection.executemany("INSERT INTO sessions VALUES (?, ?)", sessions)
        self.connection.execute("""
            CREATE TEMP TABLE calls AS
            WITH sent AS (
                SELECT batch, call, min(t) AS begun,
                    lead(min(t)) OVER (PARTITION BY batch ORDER BY call) AS again
                FROM entries WHERE type = 'sent' GROUP BY batch, call
            ),
            answers AS (
                SELECT batch, call, max(t) AS t FROM entries WHERE type = 'answer'
                GROUP BY batch, call
            ),
            settled AS (
                SELECT DISTINCT batch, t FROM entries WHERE type = 'outcome' AND batch IS NOT NULL
            ),
            heard AS (
                SELECT sent.*, answers.t AS answered FROM sent LEFT JOIN answers USING (batch, call)
            ),
            known AS (
                SELECT heard.*, coalesce(answered, settled.t) AS over
                FROM heard ASOF LEFT JOIN settled
                    ON heard.batch = settled.batch AND heard.begun <= settled.t
            )
            SELECT known.batch, known.begun,
                greatest(known.begun, least(over, again, sessions.ended)) AS ended
            FROM known ASOF LEFT JOIN sessions ON known.begun >= sessions.begun
        """)

    def jobs(self) -> str:
        """Return a query: when each remote job was begun, and when its last line was settled."""
        return f"""
            SELECT job_id, min(t) FILTER (type = 'job') AS begun,
                max(t) FILTER (type = 'outcome') AS ended
            FROM {self._log} WHERE job_id <> '' AND type IN ('job', 'outcome') GROUP BY job_id
        """


def connected(run: RunDirectory) -> duckdb.DuckDBPyConnection:
    """Return a connection for the report of `run`: within bounds, and in no certain order."""
    short = run.checkpoint.stat().st_size <= _SHORT_BYTES
    threads = 1 if short else min(_MOST_THREADS, os.cpu_count() or 1)
    return connect(room_of(run), memory=MEMORY, threads=threads, ordered=False)


def _words(words: Iterable[str]) -> str:
    return ", ".join(map(literal, words))


@contextmanager
def opened_journal(run: RunDirectory) -> Iterator[Journal]:
    """Read the log of `run`, which must be there; it is forgotten when the block ends."""
    with connected(run) as connection:
        yield Journal(run, connection)
