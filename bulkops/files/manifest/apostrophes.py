"""
Keep cells of our CSV files from being formulas, and take that back where they are read again.

A spreadsheet takes a cell that begins with `=` (or one of its kin) for a formula, and may run
programs with it; what a manifest or a server holds must not come that far. Such a cell gets an
apostrophe in front, and so does one that only looks as if it had got one: so each text has one
form, and comes back as it was. Numbers such as -5 are no formulas and stay.
https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from bulkops.files.manifest.sql import literal

#: A column of this name says that the cells of its file are guarded; it is no column of theirs.
#: Nobody else's file is changed: an apostrophe there is their own.
MARK: Final = "bulkops_apostrophes"

_FIRST: Final = r"[=+@\t\r\n-]"
_RISKY: Final = re.compile(rf"'*{_FIRST}")
_GUARDED: Final = re.compile(rf"'(?='*{_FIRST})")
_NUMBER: Final = r"[+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)?([eE][+-]?[0-9]+)?"
_IS_NUMBER: Final = re.compile(_NUMBER)


def guarded(text: str) -> str:
    """Return `text` as a cell that no spreadsheet takes for a formula."""
    harmless = not _RISKY.match(text) or _IS_NUMBER.fullmatch(text)
    return text if harmless else f"'{text}"


def plain(cell: str) -> str:
    """Return the text of a guarded cell."""
    return cell[1:] if _GUARDED.match(cell) else cell


def plain_header(cells: Sequence[str]) -> tuple[str, ...]:
    """Return the names in a header, without apostrophes if the file says that it has them."""
    return tuple(map(plain, cells)) if MARK in cells else tuple(cells)


def guarded_sql(value: str) -> str:
    """Return the SQL of `guarded`."""
    risky = f"regexp_matches({value}, {literal('^' + _RISKY.pattern)})"
    number = f"regexp_full_match({value}, {literal(_NUMBER)})"
    return f"CASE WHEN {risky} AND NOT {number} THEN '''' || {value} ELSE {value} END"


def plain_sql(value: str) -> str:
    """Return the SQL of `plain`."""
    guard = literal(f"^'('*{_FIRST})")
    return f"regexp_replace({value}, {guard}, '\\1')"
