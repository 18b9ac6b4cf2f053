"""
Whether what is there has the values that are wished: exact, whatever JSON type they came in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

import orjson

from bulkops.model import Json
from bulkops.rules.operations.related_records import NUMBER


def wishes(fields: Mapping[str, Json]) -> dict[str, Json]:
    """Return the values that are wished: an empty cell wishes none, but 0 and false are values."""
    return {name: value for name, value in fields.items() if value is not None and value != ""}


def agree(
    wished: Mapping[str, Json], values: Mapping[str, Json], *, decisive: Sequence[str] = ()
) -> bool | str:
    """
    Return whether what is there has the values that are wished, or the column that is not shown.

    Values that are not wished do not matter; of the `decisive` columns the first that is wished
    stands for all of them.
    """
    said = wishes(wished)
    first = next((name for name in decisive if name in said), None)
    for name, value in said.items():
        if name in decisive and name != first:
            continue
        if name not in values:
            return name
        if not same(value, values[name]):
            return False
    return True


def same(wished: Json, held: Json) -> bool:
    """
    Compare as text and as numbers: a cell of a CSV file is text, the server's value may be one.

    Never as floating point: two ids may differ in their last digit alone. What JSON does not take
    for a number is text: 007 is not 7.
    """
    one, other = _text(wished), _text(held)
    if one == other:
        return True
    numbers = re.fullmatch(NUMBER, one) and re.fullmatch(NUMBER, other)
    return bool(numbers) and Decimal(one) == Decimal(other)


def _text(value: Json) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
