"""
The exact reading of JSON lines: objects one after another, with numbers kept as they stand.

A number is kept as its own text (`orjson.Fragment`), because any parser rounds `4.15e18` or
`12345678901234567.89` without a word. Of a key that comes twice the last value counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn

import orjson

from bulkops.files.manifest.layout import Layout
from bulkops.files.manifest.records import Refusal
from bulkops.files.manifest.source import LONGEST_LINE, LONGEST_RAW
from bulkops.model import Json

#: A line of nothing else is none.
BLANK = " \t\r\n"
#: Numbers that a parser may round or spell otherwise; it may also fit text within a string.
_RISKY = re.compile(r"[:\[,]\s*(?:-?[0-9]+[.eE]|[0-9]{20}|-[0-9]{19}|-0)|^\s*[-0-9]")
_UNSURE = object()
_KINDS = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}


def objects(lines: Iterator[str]) -> Iterator[tuple[int, dict[str, Json] | Refusal]]:
    """
    Yield number and object, or number and refusal, for every line that is not blank.
    """
    number = 0
    for line in lines:
        if not line.strip(BLANK):
            continue
        number += 1
        found = read_object(line)
        if isinstance(found, dict):
            yield number, found
        else:
            code, words = found
            raw = line.rstrip("\r\n")[:LONGEST_RAW]
            yield number, Refusal(code, f"line {number}: {words}", raw)


def read_object(line: str) -> dict[str, Json] | tuple[str, str]:
    """Return the object of `line`, or code and words of what is wrong with it."""
    if len(line) > LONGEST_LINE:
        return "line_too_long", (
            f"found a line of more than {LONGEST_LINE:,} characters, expected at most that"
        )
    text = line.rstrip("\r\n")
    try:
        value = _plain(text)
        if value is _UNSURE:
            value = _DECODER.decode(text)
            # Half a surrogate pair, or more levels than can be written again, is found here.
            orjson.dumps(value)
    except (ValueError, RecursionError, orjson.JSONEncodeError) as error:
        return "not_json", f"not JSON ({_why(error)}), expected an object"
    if not isinstance(value, dict):
        return "not_an_object", f"found {_KINDS.get(type(value), 'a number')}, expected an object"
    return value


def _plain(text: str) -> Json:
    """Return what the faster parser reads, if that is sure to be what stands there."""
    if _RISKY.search(text):
        return _UNSURE
    try:
        value: Json = orjson.loads(text)
        orjson.dumps(value)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return _UNSURE
    return value


def _why(error: Exception) -> str:
    """Return in words why a line is not JSON."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    if isinstance(error, ValueError):
        return str(error)
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return "half a surrogate pair, or nested too deeply"


def _not_a_number(constant: str) -> NoReturn:
    raise ValueError(f"found {constant}")


_DECODER = json.JSONDecoder(
    parse_int=orjson.Fragment, parse_float=orjson.Fragment, parse_constant=_not_a_number
)


def cell_reader(layout: Layout) -> Callable[[Mapping[str, Json]], list[str | None]]:
    """
    Return what reads the cells of an object, as `shape` has them.

    They are the texts of the known columns, then `fields` and `extra`.
    """
    known = [(theirs, layout.fixed.get(ours)) for ours, theirs in layout.known.items()]
    fields = [(ours, theirs, layout.fixed.get(ours)) for ours, theirs in layout.fields.items()]
    used = layout.used

    def cells(found: Mapping[str, Json]) -> list[str | None]:
        texts = [
            (_text(found.get(theirs)) if fixed is None else fixed) or None
            for theirs, fixed in known
        ]
        values = {
            ours: found.get(theirs) if fixed is None else fixed for ours, theirs, fixed in fields
        }
        kept = {ours: value for ours, value in values.items() if value not in (None, "")}
        extra = {key: value for key, value in found.items() if key not in used}
        texts.append(orjson.dumps(kept).decode() if kept else None)
        texts.append(orjson.dumps(extra).decode() if extra else None)
        return texts

    return cells


def _text(value: Json) -> str | None:
    """Return a string as it is, and any other value as its JSON text."""
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode()
