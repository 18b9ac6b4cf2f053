"""
Say of each row which operation it is, or why it is none: SQL made from the specs.

Ids are judged as text and never cast: a cast turns `4.87688E+18` into digits that look right.
The first trouble found in a row is its reason; the words say what was found and expected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import duckdb

from bulkops.manifest.sql import literal
from bulkops.operations import OPS, SPECS
from bulkops.operations.related_records import MIRRORS
from bulkops.spec import Column, Kind, Spec

_MACROS = """
CREATE OR REPLACE TEMP MACRO bare(v) AS regexp_replace(v, '^[\\s\\pZ]+|[\\s\\pZ]+$', '', 'g');
CREATE OR REPLACE TEMP MACRO shown(v) AS
    '''' || CASE WHEN length(v) > 60 THEN left(v, 60) || '…' ELSE v END || '''';
CREATE OR REPLACE TEMP MACRO trouble(c, w) AS {'code': c, 'words': w};
CREATE OR REPLACE TEMP MACRO id_trouble(name, v) AS CASE
    WHEN v IS NULL OR regexp_full_match(v, '[0-9]{1,20}') THEN NULL
    WHEN regexp_full_match(bare(v), '[0-9]+([.,][0-9]+)?[eE][+]?[0-9]+') THEN trouble(
        'mangled_number', name || ' ' || shown(v) || ' is a number mangled by a spreadsheet: its '
        || 'last digits are lost; expected the id as digits')
    WHEN regexp_full_match(bare(v), '[0-9]+[.,]0*') THEN trouble(
        'mangled_number', name || ' ' || shown(v) || ' is a number with a decimal part, as '
        || 'spreadsheets write it; expected the id as digits')
    WHEN regexp_full_match(bare(v), '[0-9]+') AND v <> bare(v) THEN trouble(
        'not_an_id', name || ' ' || shown(v) || ' has white space around it; expected digits alone')
    WHEN regexp_full_match(v, '[0-9]+') THEN trouble(
        'not_an_id', name || ' ' || shown(v) || ' has ' || length(v) || ' digits; expected at most '
        || '20')
    WHEN regexp_full_match(bare(v), '[0-9]+([ ,;|/]+[0-9]+)+') THEN trouble(
        'not_an_id', name || ' ' || shown(v) || ' looks like several ids; expected one')
    ELSE trouble('not_an_id', name || ' ' || shown(v) || ' is not an id; expected digits, at most '
        || '20')
END;
CREATE OR REPLACE TEMP MACRO id_list(v) AS CASE
    WHEN v IS NULL THEN NULL
    WHEN bare(v) LIKE '[%' THEN from_json(TRY_CAST(v AS JSON), '["VARCHAR"]')
    ELSE list_transform(string_split(v, ';'), lambda x: trim(x))
END;
CREATE OR REPLACE TEMP MACRO ids_trouble(name, v) AS CASE
    WHEN v IS NULL THEN NULL
    WHEN id_list(v) IS NULL OR len(id_list(v)) = 0 THEN trouble(
        'not_an_id', name || ' ' || shown(v) || ' is not a list of ids; expected an id, ids joined '
        || 'with ;, or a JSON list of ids')
    ELSE list_extract(list_filter(list_transform(id_list(v), lambda x: id_trouble(name,
        coalesce(x, 'null'))), lambda t: t IS NOT NULL), 1)
END;
CREATE OR REPLACE TEMP MACRO name_trouble(name, v) AS CASE
    WHEN v IS NULL OR regexp_full_match(v, '[A-Za-z_][A-Za-z0-9_]{0,99}') THEN NULL
    ELSE trouble('not_a_name', name || ' ' || shown(v) || ' is not an API name; expected letters, '
        || 'digits and _, at most 100')
END;
CREATE OR REPLACE TEMP MACRO flag_trouble(name, v) AS CASE
    WHEN v IS NULL OR lower(v) IN ('true', 'false', '1', '0', 'yes', 'no') THEN NULL
    ELSE trouble('not_a_flag', name || ' ' || shown(v) || '; expected true or false')
END;
"""

_TROUBLE = {
    Kind.ID: "id_trouble",
    Kind.IDS: "ids_trouble",
    Kind.NAME: "name_trouble",
    Kind.FLAG: "flag_trouble",
}


def judge(
    connection: duckdb.DuckDBPyConnection, *, product: str, relations: Mapping[str, str]
) -> None:
    """
    Make the table `judged` from `manifest`: one row each, in the words of the specs.

    Columns: `line`, `op`, `spec`, `module`, `record_id`, `related_list`, `item`, `members`,
    `fields` (JSON or NULL), `target` (what it must come before), `family`, `wish`, `code` and
    `words` (both NULL for a row that is an operation).
    """
    connection.execute(_MACROS)
    specs = tuple(SPECS.values())
    connection.execute(f"""
        CREATE TABLE judged AS
        WITH named AS (SELECT *, {which(specs)} AS spec FROM manifest),
        troubled AS (
            SELECT *, CASE
                WHEN refused IS NOT NULL THEN trouble(refused_code, refused)
                WHEN op IS NULL THEN trouble('missing_op',
                    'op is empty; expected ' || {literal(", ".join(OPS))})
                WHEN spec IS NULL THEN trouble('unknown_op',
                    shown(op) || ' is not an operation; expected ' || {literal(", ".join(OPS))})
                {_by_spec(specs, lambda spec: _troubles(spec, product, relations))}
            END AS found
            FROM named
        )
        SELECT line, op, spec, {_own(specs, "module")}, {_own(specs, "record_id")},
            {_own(specs, "related_list")},
            CASE {_by_spec(specs, lambda spec: spec.item)} END AS item,
            CASE {_by_spec(specs, _members)} END AS members,
            CASE {_by_spec(specs, _fields)} END AS fields,
            CASE {_by_spec(specs, lambda spec: spec.ordered_by or "NULL")} END AS target,
            CASE {_by_spec(specs, lambda spec: literal(spec.family))} END AS family,
            CASE {_by_spec(specs, lambda spec: literal(spec.wish.value))} END AS wish,
            found.code AS code, found.words AS words
        FROM troubled
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


def _by_spec(specs: Iterable[Spec], expression: object) -> str:
    assert callable(expression)
    return "\n".join(f"WHEN spec = {literal(spec.name)} THEN {expression(spec)}" for spec in specs)


def _own(specs: Sequence[Spec], column: str) -> str:
    """Return SQL for a column where the row's operation reads it, and NULL elsewhere."""
    readers = [literal(spec.name) for spec in specs if column in spec.column_names]
    return f"CASE WHEN spec IN ({', '.join(readers)}) THEN {column} END AS {column}"


def _members(spec: Spec) -> str:
    return f"list_sort(list_distinct(id_list({spec.member})))" if spec.member else "NULL"


def _fields(spec: Spec) -> str:
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


def _troubles(spec: Spec, product: str, relations: Mapping[str, str]) -> str:
    """Return SQL for the first trouble of a row of this spec, or NULL."""
    if product in spec.unavailable:
        return f"trouble('not_in_product', {literal(spec.unavailable[product])})"
    checks = [_emptiness(spec), *(_column_trouble(column) for column in spec.columns)]
    if spec.modules is not None:
        listed = ", ".join(literal(module) for module in spec.modules)
        words = f" cannot be used with {spec.op}; expected {' or '.join(spec.modules)}"
        checks.append(
            f"CASE WHEN module NOT IN ({listed}) THEN trouble('unsupported_module', "
            f"'module ' || shown(module) || {literal(words)}) END"
        )
    if spec.relations is not None:
        checks.append(_unsafe_relation(spec.relations, relations))
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


def _emptiness(spec: Spec) -> str:
    required = [column.name for column in spec.columns if column.required]
    words = f" is empty; {spec.op} needs {', '.join(required)}"
    cases = " ".join(
        f"WHEN {name} IS NULL THEN trouble('missing_value', {literal(name + words)})"
        for name in required
    )
    return f"CASE {cases} END"


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
