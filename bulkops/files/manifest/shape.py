"""
The columns of the table as SQL, over cells of CSV or over the text of JSON objects.

Text stays text: nothing is cast, and only the empty string becomes NULL. JSON is put together
by concatenation, because DuckDB's merging functions drop nulls inside of values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import orjson

from bulkops.files.manifest.apostrophes import MARK, plain_sql
from bulkops.files.manifest.layout import Layout
from bulkops.files.manifest.sql import literal, name

#: The SQL of a column that no record has.
ABSENT = "NULL::VARCHAR"
#: Texts of JSON lines that DuckDB reads otherwise than they stand, or that only it would read:
#: not an object; a fraction or exponent (printed anew as a rounded double), -0, NaN and
#: Infinity; a trailing comma; an escaped control character (spelled otherwise than by orjson).
#: It may also fit text within a string, which costs time, not truth.
_ODD_JSON = r"^\s*[^{\s]|[:\[,]\s*-?([0-9]+[.eE]|[NIi]|n[aA])|[:\[,]\s*-0|,\s*[\]}]|\\u00[01]"


def odd_json(text: str, keys: str) -> str:
    """
    Return SQL that tells whether DuckDB may read the JSON `text` otherwise than it stands.

    `keys` are those of the object. Where nothing is escaped or nested, and every key is followed
    by a string at once, no other value is in it, and the long look is saved; a key that is a colon
    would be counted for another.
    """
    strings = f"strlen({text}) - strlen(replace({text}, '\":\"', '')) = 3 * len({keys})"
    flat = " AND ".join(
        f"NOT contains({within}, '{mark}')"
        for within, mark in ((text, "\\"), (text, "["), (f"substr({text}, 2)", "{"))
    )
    plain = f"{flat} AND ends_with({text}, '\"}}') AND {strings} AND NOT list_contains({keys}, ':')"
    return f"CASE WHEN {plain} THEN false ELSE regexp_matches({text}, {literal(_ODD_JSON)}) END"


def csv_columns(
    layout: Layout, *, header: Sequence[str], cell: Callable[[int], str]
) -> dict[str, str]:
    """Return our name -> SQL for records of CSV; `cell(i)` is the SQL of the i-th cell."""
    stands = (lambda place: plain_sql(cell(place))) if MARK in header else cell
    places = {column: place for place, column in enumerate(header)}

    def value(ours: str, theirs: str) -> str:
        if ours in layout.fixed:
            return _text(literal(layout.fixed[ours]))
        return _text(stands(places[theirs])) if theirs in places else ABSENT

    known = {ours: value(ours, theirs) for ours, theirs in layout.known.items()}
    said = {
        ours: value(ours, theirs)
        for ours, theirs in layout.fields.items()
        if ours in layout.fixed or theirs in places
    }
    fields = _object([_member(ours, f"to_json({each})") for ours, each in said.items()])
    if said:
        # Most rows of most manifests have none, which is soon seen.
        fields = f"CASE WHEN coalesce({', '.join(said.values())}) IS NOT NULL THEN {fields} END"
    extra = [
        _member(column, f"to_json(coalesce({stands(place)}, ''))")
        for place, column in enumerate(header)
        if column not in layout.used and column != MARK
    ]
    return {**known, "fields": fields, "extra": _object(extra)}


def jsonl_columns(layout: Layout) -> dict[str, str]:
    """
    Return our name -> SQL for JSON objects.

    `json` is their text, and `cells` are the texts of their members at `pointers`.
    """
    known = {
        ours: _text(literal(layout.fixed[ours]) if ours in layout.fixed else f"cells[{place}]")
        for place, ours in enumerate(layout.known, 1)
    }
    fields = []
    for place, (ours, theirs) in enumerate(layout.fields.items(), len(known) + 1):
        # The object is read again only for those that are there.
        value = f"json_extract(json, {literal(_pointer(theirs))})::VARCHAR"
        value = f"CASE WHEN {_text(f'cells[{place}]')} IS NOT NULL THEN {value} END"
        if ours in layout.fixed:
            value = f"to_json({_text(literal(layout.fixed[ours]))})"
        fields.append(_member(ours, value))
    taken = orjson.dumps(dict.fromkeys(sorted(layout.used))).decode()
    extra = f"nullif(json_merge_patch(json, {literal(taken)})::VARCHAR, '{{}}')"
    return {**known, "fields": _object(fields), "extra": extra}


def pointers(layout: Layout) -> str:
    """Return the SQL list of the pointers of the known members and the relation fields."""
    keys = [*layout.known.values(), *layout.fields.values()]
    return f"[{', '.join(literal(_pointer(key)) for key in keys)}]::VARCHAR[]"


def select_list(columns: dict[str, str]) -> str:
    """Return `columns` as a select list."""
    return ", ".join(f"{value} AS {name(ours)}" for ours, value in columns.items())


def _text(value: str) -> str:
    return f"nullif({value}, '')"


def _pointer(key: str) -> str:
    """Return the JSON pointer of a member, https://www.rfc-editor.org/rfc/rfc6901."""
    return "/" + key.replace("~", "~0").replace("/", "~1")


def _member(key: str, value: str) -> str:
    """Return the SQL of a member's text, NULL if its value is."""
    return f"{literal(orjson.dumps(key).decode() + ':')} || {value}"


def _object(members: Sequence[str]) -> str:
    """Return the SQL of the text of an object of those members that are not NULL."""
    if not members:
        return ABSENT
    return f"nullif('{{' || concat_ws(',', {', '.join(members)}) || '}}', '{{}}')"
