"""
Tell the rows that are plainly operations from those that need a closer look, and number them.

Nearly all rows of a manifest are good, and a row is plainly good if its names are those of an
operation and its ids are digits as a number prints them. Such a row is a few numbers, which sort
and compare several times faster than text. All others go to `judge.py`, which finds words for
what is wrong with them; those that are good after all (an id of 20 digits, or one that begins
with 0) get numbers too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from bulkops.files.manifest import some
from bulkops.files.manifest.sql import literal, pattern
from bulkops.files.manifest.stored import PLAIN_DIGITS
from bulkops.files.planner.judge import NAMES, cases, fields, judge, sound_names
from bulkops.files.planner.kinds import add_kinds, number_kinds
from bulkops.rules.operations import SPECS
from bulkops.rules.spec import Column, Kind, Spec

#: Codes from here on are not ids but places in the table `odd`.
ODD = 10**PLAIN_DIGITS
_MOST_NAMES = 1000
_MACROS = f"""
CREATE OR REPLACE TEMP MACRO plain_id(v) AS
    TRY_CAST(v AS UBIGINT) BETWEEN 1 AND {ODD - 1} AND CAST(TRY_CAST(v AS UBIGINT) AS VARCHAR) = v;
"""
_PLAIN_IDS = f"[1-9][0-9]{{0,{PLAIN_DIGITS - 1}}}(;[1-9][0-9]{{0,{PLAIN_DIGITS - 1}}})*"


@dataclass(frozen=True, slots=True)
class Edges:
    """
    What is in the table `edges`: whether any row has odd ids, members, or fields.
    """

    odd: bool
    members: bool
    fields: bool

    def id_text(self, code: str) -> str:
        """Return SQL for the id that the column `code` stands for, where `join_odd` is joined."""
        text = f"CAST({code} AS VARCHAR)"
        return f"coalesce(odd.id, {text})" if self.odd else text

    def join_odd(self, code: str) -> str:
        """Return the SQL of the join that `id_text` needs."""
        return f"LEFT JOIN odd ON odd.code = {code}" if self.odd else ""


def sort_out(
    connection: duckdb.DuckDBPyConnection,
    *,
    product: str,
    relations: Mapping[str, str],
    folder: Path,
) -> Edges:
    """
    Make `edges`, the rows of `manifest` that are operations, and `judged`, all that needed words.

    `edges` has `line`, `kind` (of the table `kinds`), `record` and `item` (UBIGINT: the id, or
    from `ODD` on a code in `odd(id, code)`; `record` is 0 where the item is the record itself or
    there is none), `members` (a sorted list of ids, or NULL), `fields` (JSON, or NULL) and
    `target` (the id it must come before). A file in `folder` holds them. The rows of `judged`
    that have no `code` are in `edges` too.
    """
    connection.execute(_MACROS)
    sound_names(
        connection,
        rows=f"SELECT {', '.join(NAMES)} FROM manifest GROUP BY ALL "
        f"ORDER BY count(*) DESC, {', '.join(NAMES)} LIMIT {_MOST_NAMES}",
        product=product,
        relations=relations,
    )
    number_kinds(connection)
    found = _write_edges(connection, folder / "edges.parquet")
    judge(
        connection,
        rows=some(connection, "manifest", lines=f"SELECT line FROM {found} WHERE kind IS NULL"),
        product=product,
        relations=relations,
    )
    add_kinds(connection)
    late = _number_judged(connection)
    more = "UNION ALL FROM late" if late else ""
    connection.execute(
        f"CREATE TEMP VIEW edges AS SELECT * FROM {found} WHERE kind IS NOT NULL {more}"
    )
    told = connection.execute(
        "SELECT (SELECT count(*) > 0 FROM odd), count(members) > 0, count(fields) > 0 FROM edges"
    ).fetchone()
    assert told is not None
    return Edges(*map(bool, told))


def _write_edges(connection: duckdb.DuckDBPyConnection, file: Path) -> str:
    """
    Write a row for each of `manifest` and return the SQL to read them.

    A row that is not plainly good has no kind. Columns that no row has are not in the file.
    """
    present = connection.execute("SELECT DISTINCT spec FROM names ORDER BY spec").fetchall()
    specs = [SPECS[name] for (name,) in present] or list(SPECS.values())
    same = " AND ".join(f"manifest.{name} IS NOT DISTINCT FROM names.{name}" for name in NAMES)
    more = {
        "members": f"CAST({_chosen(specs, _members)} AS VARCHAR[])",
        "fields": f"CAST({_chosen(specs, fields)} AS VARCHAR)",
        "target": f"CAST({_chosen(specs, lambda spec: spec.ordered_by or 'NULL')} AS VARCHAR)",
    }
    never = {name: value for name, value in more.items() if value.startswith("CAST(NULL AS")}
    written = "".join(f", {more[name]} AS {name}" for name in more if name not in never)
    connection.execute(f"""
        COPY (
            SELECT line, CASE WHEN {_chosen(specs, _plain)} THEN kind END AS kind,
                {_chosen(specs, _record)} AS record,
                {_chosen(specs, lambda spec: f"{spec.item}_number")} AS item {written}
            FROM manifest LEFT JOIN (
                SELECT names.*, kind FROM names JOIN kinds ON names.spec = kinds.spec
                    AND own_module IS NOT DISTINCT FROM kinds.module
                    AND own_list IS NOT DISTINCT FROM kinds.related_list
            ) AS names ON {same}
        ) TO {literal(str(file))} (FORMAT parquet, COMPRESSION lz4)
    """)
    read = ", ".join(f"{never.get(name, name)} AS {name}" for name in more)
    return (
        f"(SELECT line, kind, record, item, {read}"
        f" FROM read_parquet({literal(pattern(file))}, hive_partitioning = false))"
    )


def _chosen(specs: Sequence[Spec], expression: Callable[[Spec], str]) -> str:
    """Return SQL for what `expression` makes of the row's spec; no CASE, if that is always one."""
    found = {spec.name: expression(spec) for spec in specs}
    if len(set(found.values())) == 1:
        return found[specs[0].name]
    return f"CASE {cases(specs, lambda spec: found[spec.name])} END"


def _plain(spec: Spec) -> str:
    checks = [check for column in spec.columns if (check := _plain_cell(column))]
    if spec.any_of:
        checks.append("(" + " OR ".join(f"{name} IS NOT NULL" for name in spec.any_of) + ")")
    if spec.ordered_by:
        checks.append(f"{spec.ordered_by} IS DISTINCT FROM {spec.item}")
    return f"({' AND '.join(checks)})"


def _plain_cell(column: Column) -> str:
    """Return SQL that tells whether a cell is plainly good; nothing for names and free text."""
    name = column.name
    match column.kind:
        case Kind.ID:
            check = f"{name}_number IS NOT NULL"
        case Kind.IDS:
            several = f"regexp_full_match({name}, '{_PLAIN_IDS}')"
            check = f"CASE WHEN {name}_number IS NOT NULL THEN true ELSE {several} END"
        case Kind.FLAG:
            check = f"lower({name}) IN ('true', 'false', '1', '0', 'yes', 'no')"
        case Kind.TEXT:
            return f"{name} IS NOT NULL" if column.required else ""
        case Kind.NAME:
            return ""
    return check if column.required else f"({name} IS NULL OR {check})"


def _record(spec: Spec) -> str:
    read = "record_id" in spec.column_names and spec.item != "record_id"
    return "record_id_number" if read else "CAST(0 AS UBIGINT)"


def _members(spec: Spec) -> str:
    if not spec.member:
        return "NULL"
    several = f"list_sort(list_distinct(string_split({spec.member}, ';')))"
    return f"CASE WHEN {spec.member}_number IS NOT NULL THEN [{spec.member}] ELSE {several} END"


def _number_judged(connection: duckdb.DuckDBPyConnection) -> bool:
    """Make `late`, the rows of `judged` that are operations, and `odd`; return if there are any."""
    connection.execute(f"""
        CREATE TABLE good AS
        SELECT *, CASE WHEN NOT {_item_is_record()} THEN record_id END AS record FROM judged
        WHERE code IS NULL
    """)
    connection.execute(f"""
        CREATE TABLE odd AS
        SELECT id, CAST({ODD} + row_number() OVER (ORDER BY id) - 1 AS UBIGINT) AS code
        FROM (SELECT record AS id FROM good UNION SELECT item FROM good)
        WHERE id IS NOT NULL AND plain_id(id) IS NOT TRUE
    """)
    made = connection.execute("""
        CREATE TABLE late AS
        SELECT line, kind, coalesce(records.code, TRY_CAST(record AS UBIGINT), 0) AS record,
            coalesce(items.code, TRY_CAST(item AS UBIGINT)) AS item, members, fields, target
        FROM good JOIN kinds ON good.spec = kinds.spec
            AND good.module IS NOT DISTINCT FROM kinds.module
            AND good.related_list IS NOT DISTINCT FROM kinds.related_list
        LEFT JOIN odd AS records ON records.id = record
        LEFT JOIN odd AS items ON items.id = item
    """).fetchone()
    connection.execute("DROP TABLE good")
    return made is not None and bool(made[0])


def _item_is_record() -> str:
    names = [literal(spec.name) for spec in SPECS.values() if spec.item == "record_id"]
    return f"spec IN ({', '.join(names)})" if names else "false"
