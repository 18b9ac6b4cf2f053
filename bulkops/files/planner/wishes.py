"""
Find the rows that wish the same, and those that wish opposite things.

A relation that can be called from either side is one relation: `Leads/1/Campaigns/2` and
`Campaigns/2/Leads/1` are compared under one key. Rows about several territories of a record
are compared territory by territory. Few rows of a manifest are about the same: a short hash of
what each is about tells which ones may be, and those alone are compared in earnest, under
128-bit digests.
"""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter

import duckdb

from bulkops.files.database import fetched
from bulkops.files.manifest.sql import literal
from bulkops.files.planner.sound import Edges
from bulkops.rules.operations.related_records import NUMBER, NUMERIC


def compare(connection: duckdb.DuckDBPyConnection, edges: Edges, *, last_wins: bool) -> None:
    """
    Make the tables `conflicts(line, of_line)` and `duplicates(line, of_line)` from `edges`.

    In `conflicts`, `of_line` is a line that wishes otherwise. With `last_wins` a line is in
    conflict only with a later one that is to be sent. A duplicate names the first line of its
    wish that is to be sent.
    """
    _suspect(connection, edges)
    connection.execute(f"""
        CREATE TABLE wishes AS
        WITH keyed AS (
            SELECT line, members, concat_ws('|', pair, one, other) AS key,
                concat_ws('|', wish, {sent_alike("fields")}) AS wish
            FROM suspects
        )
        SELECT line, md5_number(key) AS key, md5_number(wish) AS wish,
            md5_number(concat_ws('|', key, wish, array_to_string(members, ';'))) AS same
        FROM keyed WHERE members IS NULL
        UNION ALL
        SELECT line, md5_number(key || '|' || unnest(members)), md5_number(wish),
            md5_number(concat_ws('|', key, wish, array_to_string(members, ';')))
        FROM keyed WHERE members IS NOT NULL
    """)
    connection.execute("""
        CREATE TABLE disputes AS
        SELECT wishes.* FROM wishes SEMI JOIN (
            SELECT key FROM wishes GROUP BY key HAVING min(wish) <> max(wish)
        ) USING (key)
    """)
    connection.execute("CREATE TABLE conflicts (line BIGINT, of_line BIGINT)")
    if last_wins:
        _let_last_win(connection)
    else:
        connection.execute("""
            INSERT INTO conflicts
            WITH sides AS (
                SELECT key, wish, min(line) AS first_line FROM disputes GROUP BY key, wish
            ),
            -- The first line that wishes otherwise: the key's first, or for those who agree with
            -- it the first of any other wish.
            firsts AS (
                SELECT key, arg_min(wish, first_line) AS wish,
                    list_sort(min(first_line, 2)) AS lines
                FROM sides GROUP BY key
            )
            SELECT disputes.line, min(CASE WHEN disputes.wish = firsts.wish THEN lines[2]
                ELSE lines[1] END)
            FROM disputes JOIN firsts USING (key)
            GROUP BY disputes.line
        """)
    connection.execute("""
        CREATE TABLE duplicates AS
        WITH told AS (SELECT DISTINCT line, same FROM wishes ANTI JOIN conflicts USING (line)),
        repeated AS (SELECT same, min(line) AS of_line FROM told GROUP BY same HAVING count(*) > 1)
        SELECT line, of_line FROM told JOIN repeated USING (same) WHERE line > of_line
    """)
    for table in ("suspects", "wishes", "disputes"):
        connection.execute(f"DROP TABLE {table}")


def sent_alike(fields: str) -> str:
    """
    Return SQL for the JSON of relation fields, with what is sent as one number written as one.

    A price of 10, of 10.0 and of the text "10" are one wish. Whether the server takes any other
    text for a number nobody knows, so there it is another wish. So are numbers too large to be
    compared without loss.
    """
    for each in sorted(NUMERIC):
        value = f"json_extract_string({fields}, {literal(f'$.{each}')})"
        number = f"TRY_CAST({value} AS DOUBLE)"
        same = f"json_merge_patch({fields}, json_object({literal(each)}, {number}))"
        fields = (
            f"CASE WHEN regexp_full_match({value}, {literal(NUMBER)}) AND abs({number}) < 1e15 "
            f"THEN CAST({same} AS VARCHAR) ELSE {fields} END"
        )
    return fields


def _suspect(connection: duckdb.DuckDBPyConnection, edges: Edges) -> None:
    """
    Make `suspects`: every row of `edges` that is about the same as another, and few besides.

    `pair`, `one` and `other` name what it is about, the same from either side.
    """
    connection.execute("""
        CREATE TEMP VIEW about AS
        SELECT line, pair, CASE WHEN flip THEN item ELSE record END AS one,
            CASE WHEN flip THEN record ELSE item END AS other, members, wish, fields
        FROM edges JOIN traits USING (kind)
    """)
    hashed = "SELECT line, hash(pair, one, other) AS hash FROM about"
    if edges.members:
        hashed = (
            f"{hashed} WHERE members IS NULL UNION ALL "
            "SELECT line, hash(pair, one, other, unnest(members)) FROM about "
            "WHERE members IS NOT NULL"
        )
    connection.execute(
        f"CREATE TABLE repeated AS SELECT hash FROM ({hashed}) GROUP BY hash HAVING count(*) > 1"
    )
    connection.execute(f"""
        CREATE TABLE suspects AS FROM about SEMI JOIN (
            SELECT line FROM ({hashed}) SEMI JOIN repeated USING (hash)
        ) USING (line)
    """)
    connection.execute("DROP TABLE repeated")


def _let_last_win(connection: duckdb.DuckDBPyConnection) -> None:
    """
    Fill `conflicts` from the last disputed line back: one that contradicts a later one loses.

    Only a line that is sent itself can beat another, which no single query can say: a row about
    several territories may lose one of them and with it all.
    """
    rows = connection.cursor().execute("SELECT line, key, wish FROM disputes ORDER BY line DESC")
    holder: dict[int, tuple[int, int]] = {}
    lost: list[tuple[int, int]] = []
    for line, about in groupby(fetched(rows, 10_000), key=itemgetter(0)):
        wishes = {key: wish for _, key, wish in about}
        rivals = [
            holder[key][0] for key, wish in wishes.items() if holder.get(key, (0, wish))[1] != wish
        ]
        if rivals:
            lost.append((line, min(rivals)))
        else:
            holder.update({key: (line, wish) for key, wish in wishes.items() if key not in holder})
    connection.execute(
        "INSERT INTO conflicts SELECT unnest(?::BIGINT[]), unnest(?::BIGINT[])",
        [[line for line, _ in lost], [rival for _, rival in lost]],
    )
