"""
Say of a row which operation it is, or why it is none: SQL made from the specs.

Ids are judged as text and never cast: a cast turns `4.87688E+18` into digits that look right.
The first trouble found in a row is its reason; the words say what was found and expected. This
takes its time, so rows that are plainly good do not come here (see `sound.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import duckdb

from bulkops.files.manifest.sql import literal
from bulkops.files.planner.macros import MACROS
from bulkops.rules.operations import OPS, SPECS
from bulkops.rules.operations.related_records import MIRRORS
from bulkops.rules.spec import Column, Kind, Spec

#: The columns whose few values say which operation a row is, on what.
NAMES = tuple(
    dict.fromkeys(
        [
            "op",
            *(
                column.name
                for spec in SPECS.values()
                for column in spec.columns
                if column.kind is Kind.NAME
            ),
        ]
    )
)

_TROUBLE = {
    Kind.ID: "id_trouble",
    Kind.IDS: "ids_trouble",
    Kind.NAME: "name_trouble",
    Kind.FLAG: "flag_trouble",
}


def judge(
    connection: duckdb.DuckDBPyConnection,
    *,
    rows: str,
    product: str,
    relations: Mapping[str, str],
) -> None:
    """
    Make the table `judged` from the SELECT `rows` of `manifest`, in the words of the specs.

    Columns: `line`, `op`, `spec`, `module`, `record_id`, `related_list`, `item`, `members`,
    `fields` (JSON or NULL), `target` (what it must come before), `code` and `words` (both NULL
    for a row that is an operation).
    """
    connection.execute(MACROS)
    specs = tuple(SPECS.values())
    connection.execute(f"""
        CREATE TABLE judged AS
        WITH named AS (SELECT *, {which(specs)} AS spec FROM ({rows})),
        troubled AS (
            SELECT *, CASE
                WHEN refused IS NOT NULL THEN trouble(refused_code, refused)
                WHEN op IS NULL THEN trouble('missing_op',
                    'op is empty; expected ' || {literal(", ".join(OPS))})
                WHEN spec IS NULL THEN trouble('unknown_op',
                    shown(op) || ' is not an operation; expected ' || {literal(", ".join(OPS))})
                {cases(specs, lambda spec: _troubles(spec, product, relations))}
            END AS found
            FROM named
        )
        SELECT line, op, spec, {own(specs, "module")}, {own(specs, "record_id")},
            {own(specs, "related_list")},
            CASE {cases(specs, lambda spec: spec.item)} END AS item,
            CASE {cases(specs, members)} END AS members,
            CASE {cases(specs, fields)} END AS fields,
            CASE {cases(specs, lambda spec: spec.ordered_by or "NULL")} END AS target,
            found.code AS code, found.words AS words
        FROM troubled
    """)


def sound_names(
    connection: duckdb.DuckDBPyConnection,
    *,
    rows: str,
    product: str,
    relations: Mapping[str, str],
) -> None:
    """
    Make the table `names`: those of the SELECT `rows` whose names are the ones of an operation.

    Has the columns of `rows` (`NAMES`), then `spec`, `own_module` and `own_list`, which are NULL
    where the operation does not read them. What else must be in a row is not looked at.
    """
    connection.execute(MACROS)
    specs = tuple(SPECS.values())
    connection.execute(f"""
        CREATE TABLE names AS
        WITH named AS (SELECT *, {which(specs)} AS spec FROM ({rows}))
        SELECT {", ".join(NAMES)}, spec, {own(specs, "module", "own_module")},
            {own(specs, "related_list", "own_list")}
        FROM named
        WHERE spec IS NOT NULL
            AND (CASE {cases(specs, lambda spec: _troubles(spec, product, relations, NAMES))} END)
                IS NULL
    """)


def which(specs: Iterable[Spec]) -> str:
    """Return SQL for the name of a row's spec; those of one related list come first."""
    ordered = sorted(specs, key=lambda spec: spec.related_list is None)
    cases = [
        f"WHEN op = {literal(spec.op)}"
        + (f" AND related_list = {literal(spec.related_list)}" if spec.related_list else "")
        + f" THEN {literal(spec.name)}"
        for spec in ordered
    ]
    return f"CASE {' '.join(cases)} END"


def cases(specs: Iterable[Spec], expression: Callable[[Spec], str]) -> str:
    """Return the branches of a SQL CASE: for each spec what `expression` makes of it."""
    return "\n".join(f"WHEN spec = {literal(spec.name)} THEN {expression(spec)}" for spec in specs)


def own(specs: Sequence[Spec], column: str, called: str = "") -> str:
    """Return SQL for a column where the row's operation reads it, and NULL elsewhere."""
    readers = [literal(spec.name) for spec in specs if column in spec.column_names]
    return f"CASE WHEN spec IN ({', '.join(readers)}) THEN {column} END AS {called or column}"


def members(spec: Spec) -> str:
    """Return SQL for the ids within a row's item, each once and sorted."""
    return f"list_sort(list_distinct(id_list({spec.member})))" if spec.member else "NULL"


def fields(spec: Spec) -> str:
    """Return SQL for what else the item of a row says, as JSON or NULL."""
    if spec.relation_fields is not None:
        return "fields"
    if not spec.field_columns:
        return "NULL"
    kinds = {column.name: column.kind for column in spec.columns}
    pairs = ", ".join(
        f"{literal(name)}, {_flag(name) if kinds[name] is Kind.FLAG else name}"
        for name in spec.field_columns
    )
    return f"CAST(json_object({pairs}) AS VARCHAR)"


def _flag(name: str) -> str:
    return f"CASE WHEN lower({name}) IN ('true', '1', 'yes') THEN 'true' ELSE 'false' END"


def _troubles(
    spec: Spec, product: str, relations: Mapping[str, str], only: Sequence[str] | None = None
) -> str:
    """Return SQL for the first trouble of a row of this spec, or NULL; of columns `only`."""
    if product in spec.unavailable:
        return f"trouble('not_in_product', {literal(spec.unavailable[product])})"
    looked_at = [column for column in spec.columns if only is None or column.name in only]
    required = [column.name for column in looked_at if column.required]
    checks = ["NULL", *(_column_trouble(column) for column in looked_at)]
    if required:
        checks.insert(0, _emptiness(spec, required))
    if spec.modules is not None:
        listed = ", ".join(literal(module) for module in spec.modules)
        what = f"{spec.op} of {spec.related_list}" if spec.related_list else spec.op
        words = f" cannot be used with {what}; expected {' or '.join(spec.modules)}"
        checks.append(
            f"CASE WHEN module NOT IN ({listed}) THEN trouble('unsupported_module', "
            f"'module ' || shown(module) || {literal(words)}) END"
        )
    if spec.relations is not None:
        checks.append(_unsafe_relation(spec.relations, relations))
    if only is not None:
        return f"coalesce({', '.join(checks)})"
    if spec.any_of:
        empty = " AND ".join(f"{name} IS NULL" for name in spec.any_of)
        words = f"{' and '.join(spec.any_of)} are empty; one of them is needed"
        checks.append(f"CASE WHEN {empty} THEN trouble('missing_value', {literal(words)}) END")
    if spec.ordered_by:
        words = f"{spec.ordered_by} is the {spec.item} itself"
        checks.append(
            f"CASE WHEN {spec.ordered_by} = {spec.item} "
            f"THEN trouble('points_at_itself', {literal(words)}) END"
        )
    return f"coalesce({', '.join(checks)})"


def _emptiness(spec: Spec, names: Sequence[str]) -> str:
    required = ", ".join(column.name for column in spec.columns if column.required)
    words = f" is empty; {spec.op} needs {required}"
    empty = " ".join(
        f"WHEN {name} IS NULL THEN trouble('missing_value', {literal(name + words)})"
        for name in names
    )
    return f"CASE {empty} END"


def _column_trouble(column: Column) -> str:
    macro = _TROUBLE.get(column.kind)
    return f"{macro}({literal(column.name)}, {column.name})" if macro else "NULL"


def _unsafe_relation(known: frozenset[tuple[str, str]], relations: Mapping[str, str]) -> str:
    declared = {*relations, *relations.values()} - {""}
    safe = sorted({f"{module}.{related}" for module, related in known} | declared)
    words = (
        " is not a relation that the API documents for unlinking. Where a list owns its records "
        "(Notes, Attachments) the same call may delete the record itself. If this list only "
        "relates records, declare it under [relations]"
    )
    listed = ", ".join(literal(each) for each in safe)
    return (
        f"CASE WHEN module || '.' || related_list NOT IN ({listed}) THEN "
        f"trouble('unsafe_relation', shown(module || '.' || related_list) || {literal(words)}) END"
    )


def mirrors(relations: Mapping[str, str]) -> dict[tuple[str, str], tuple[str, str]]:
    """Return every relation that can be called from either side, documented and declared."""
    declared: dict[tuple[str, str], tuple[str, str]] = {}
    for left, right in relations.items():
        if right:
            one, other = _pair(left), _pair(right)
            declared |= {one: other, other: one}
    return {**MIRRORS, **declared}


def _pair(name: str) -> tuple[str, str]:
    module, _, related_list = name.partition(".")
    return module, related_list
