"""
What may be wrong with ids that are legal: told before anything is sent, never refused.

Each hint is a guess from how the ids of one manifest look beside each other. That ids of an
organisation share their first digits, that they are of about one length, and that a record is in
one module only, is how Zoho's ids have looked to everybody; no page of the API promises it. So
a hint stops nothing: the rows are in the plan, and the reader decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb

from bulkops.files.database import connect
from bulkops.files.manifest.sql import literal
from bulkops.files.planner.rows import sent_sql
from bulkops.rules.operations import SPECS
from bulkops.rules.operations.related_records import MIRRORS
from bulkops.rules.spec import Kind

#: Digits at the end of an id that count records; those before them are the organisation's.
_SERIAL = 12
#: Digits from which on an id says anything about its organisation.
_LONG = 15
#: Ids that must look alike, and their share of all, before another one is odd.
_ENOUGH = 10
_MOST = 0.9
#: Digits that an id must lack to be short.
_LACKING = 4
#: Digits that a spreadsheet keeps of a number.
_KEPT = 15
#: Digits from which on a rounded id is seldom a chance: one in 1,000 ends like that by itself.
_ROUNDED = 18
#: Ids that are looked at to find records of two modules. Of more, an even part is.
_LOOKED_AT = 1_000_000
_EXAMPLES = 3
#: Modules that have two names.
_SAME: Mapping[str, str] = {
    "Potentials": "Deals",
    "Pipelines": "Deals",
    "Appointments__s": "Appointments",
    "Services__s": "Services",
}


@dataclass(frozen=True, slots=True)
class Hint:
    """
    Ids that look odd in one way: how many cells or ids, the first lines, and what it may mean.

    `column` is empty where it is not about one.
    """

    code: str
    column: str
    count: int
    lines: tuple[int, ...]
    words: str

    def to_json(self) -> dict[str, Any]:
        """Return the stable machine-readable form."""
        return {**asdict(self), "lines": list(self.lines)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Hint:
        """Read what `to_json` wrote."""
        return cls(**{**value, "lines": tuple(value["lines"])})


def find_hints(
    rows: Path, *, memory: str = "512MB", temp_directory: Path | None = None
) -> tuple[Hint, ...]:
    """
    Return what is odd about the ids of the rows that are to be sent, in a stable order.

    `rows` is what the planner wrote. Memory is bounded; time is that of reading the ids twice.
    """
    with connect(temp_directory, memory=memory) as connection:
        connection.execute(f"CREATE TEMP VIEW sent AS FROM {sent_sql(connection, rows)}")
        connection.execute(f"CREATE TEMP VIEW ids AS {_ids()}")
        return (
            *_odd_shapes(connection),
            *_rounded(connection),
            *_two_modules(connection),
        )


def _ids() -> str:
    """Return SQL for every id of the rows: `line`, `place` (its column) and `id`."""
    readers: dict[tuple[str, Kind], list[str]] = {}
    for spec in SPECS.values():
        for column in spec.columns:
            readers.setdefault((column.name, column.kind), []).append(literal(spec.name))
    return " UNION ALL ".join(
        f"SELECT line, {literal(column)} AS place, {_cell(column, kind)} AS id FROM sent"
        f" WHERE {column} IS NOT NULL AND spec IN ({', '.join(specs)})"
        for (column, kind), specs in sorted(readers.items(), key=str)
        if kind in (Kind.ID, Kind.IDS)
    )


def _cell(column: str, kind: Kind) -> str:
    """Return SQL for the id of a cell, or for each of a list: nothing else in it is digits."""
    return column if kind is Kind.ID else f"unnest(regexp_extract_all({column}, '[0-9]+'))"


def _odd_shapes(connection: duckdb.DuckDBPyConnection) -> Iterator[Hint]:
    """Yield ids that are shorter than the others, and ids of another organisation."""
    connection.execute(f"""
        CREATE TEMP TABLE shapes AS
        SELECT place, length(id) AS digits,
            CASE WHEN length(id) >= {_LONG} THEN left(id, -{_SERIAL}) END AS prefix,
            count(*) AS rows, min(line, {_EXAMPLES}) AS lines
        FROM ids GROUP BY ALL
    """)
    for place, usual, rows, lines in connection.execute(f"""
        WITH lengths AS (SELECT place, digits, sum(rows) AS rows FROM shapes GROUP BY ALL),
        usual AS (
            SELECT place, arg_max(digits, (rows, digits)) AS digits, sum(rows) AS rows
            FROM lengths GROUP BY place
        ),
        alike AS (
            SELECT place, usual.digits, usual.rows,
                sum(lengths.rows) FILTER (lengths.digits >= usual.digits - 1) AS like_it
            FROM usual JOIN lengths USING (place) GROUP BY ALL
        )
        SELECT place, alike.digits, sum(shapes.rows), {_FIRST}
        FROM alike JOIN shapes USING (place)
        WHERE alike.digits >= {_LONG} AND like_it >= {_ENOUGH} AND like_it >= {_MOST} * alike.rows
            AND shapes.digits <= alike.digits - {_LACKING}
        GROUP BY ALL ORDER BY place
    """).fetchall():
        yield Hint(
            "short_id",
            place,
            int(rows),
            tuple(lines),
            f"shorter by {_LACKING} digits or more than the {usual} of the others; were leading"
            " digits lost?",
        )
    for place, usual, rows, lines in connection.execute(f"""
        WITH prefixes AS (
            SELECT prefix, sum(rows) AS rows FROM shapes WHERE prefix IS NOT NULL GROUP BY prefix
        ),
        usual AS (
            SELECT arg_max(prefix, (rows, prefix)) AS prefix, max(rows) AS like_it,
                sum(rows) AS rows
            FROM prefixes
        )
        SELECT place, usual.prefix, sum(shapes.rows), {_FIRST}
        FROM usual JOIN shapes ON shapes.prefix <> usual.prefix
        WHERE like_it >= {_ENOUGH} AND like_it >= {_MOST} * usual.rows
        GROUP BY ALL ORDER BY place
    """).fetchall():
        yield Hint(
            "other_organisation",
            place,
            int(rows),
            tuple(lines),
            f"not beginning with {usual} as the others do; are they of another organisation?",
        )


#: The first lines of several lists of first lines.
_FIRST = f"list_slice(list_sort(flatten(list(lines))), 1, {_EXAMPLES})"


def _rounded(connection: duckdb.DuckDBPyConnection) -> Iterator[Hint]:
    """
    Yield ids that a spreadsheet or a program has rounded, by how many there are of them.

    A few of many end in zeros by chance; told is what is ten times as much as chance gives. Of
    ids that repeat (a record with many rows) the different ones are counted, nearly.
    """
    ends_in_zeros = f"ltrim(substr(id, {_KEPT + 1}), '0') = ''"
    # A double holds every 128th to 2,048th of these numbers.
    is_double = "TRY_CAST(id AS UHUGEINT) = TRY_CAST(TRY_CAST(id AS DOUBLE) AS UHUGEINT)"
    found = connection.execute(f"""
        SELECT place, approx_count_distinct(id) AS different,
            approx_count_distinct(id) FILTER (zeros) AS of_zeros, count(*) FILTER (zeros),
            min(line, {_EXAMPLES}) FILTER (zeros),
            approx_count_distinct(id) FILTER (double AND NOT zeros) AS of_double,
            count(*) FILTER (double AND NOT zeros),
            min(line, {_EXAMPLES}) FILTER (double AND NOT zeros)
        FROM (
            SELECT line, place, id, {ends_in_zeros} AS zeros, {is_double} AS double
            FROM ids WHERE length(id) >= {_ROUNDED}
        ) GROUP BY place ORDER BY place
    """).fetchall()
    for place, different, of_zeros, zeros, zero_lines, of_double, doubles, double_lines in found:
        if of_zeros > max(1, 0.01 * different):
            yield Hint(
                "rounded_id",
                place,
                zeros,
                tuple(zero_lines),
                f"having only zeros after the {_KEPT}th digit, as a spreadsheet leaves them; were"
                " their last digits lost?",
            )
        if of_double >= _ENOUGH and of_double > 0.5 * different:
            yield Hint(
                "rounded_id",
                place,
                doubles,
                tuple(double_lines),
                "that numbers with a decimal point can hold, which few ids are; did a program"
                " round them?",
            )


def _two_modules(connection: duckdb.DuckDBPyConnection) -> Iterator[Hint]:
    """Yield ids that are used as records of two modules, of which one must be wrong."""
    related = " ".join(
        f"WHEN module = {literal(module)} AND related_list = {literal(listed)}"
        f" THEN {literal(_SAME.get(other, other))}"
        for (module, listed), (other, _) in sorted(MIRRORS.items())
    )
    same = " ".join(f"WHEN {literal(one)} THEN {literal(name)}" for one, name in _SAME.items())
    readers = [literal(spec.name) for spec in SPECS.values() if "record_id" in spec.column_names]
    counted = connection.execute("SELECT count(*) FROM sent").fetchone()
    every = (counted[0] if counted else 0) // _LOOKED_AT + 1
    row = connection.execute(f"""
        WITH used AS (
            SELECT line, record_id AS id, CASE module {same} ELSE module END AS kind FROM sent
            WHERE spec IN ({", ".join(readers)}) AND hash(record_id) % {every} = 0
            UNION ALL
            SELECT line, related_id, CASE {related} END FROM sent
            WHERE hash(related_id) % {every} = 0
        ),
        contradicted AS (
            SELECT id, min(kind) AS one, max(kind) AS other, arg_min(line, (kind, line)) AS by_one,
                arg_min(line, (kind <> max_kind, line)) AS by_other
            FROM (
                SELECT *, max(kind) OVER (PARTITION BY id) AS max_kind
                FROM used SEMI JOIN (
                    SELECT id FROM used WHERE kind IS NOT NULL AND length(id) >= {_LONG}
                    GROUP BY id HAVING min(kind) <> max(kind)
                ) USING (id)
                WHERE kind IS NOT NULL
            )
            GROUP BY id
        )
        SELECT count(*), min((greatest(by_one, by_other), id, one, by_one, other, by_other))
        FROM contradicted
    """).fetchone()
    if row is None or not row[0]:
        return
    number, (_, example, one, by_one, other, by_other) = row
    yield Hint(
        "two_modules",
        "",
        number * every,
        tuple(sorted((by_one, by_other))),
        f"that are records of two modules, such as {example} of {one} and of {other}; were record"
        " and related record swapped?",
    )
