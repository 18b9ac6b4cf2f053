"""
How a report says numbers, times and texts that others wrote.

Nothing here knows HTML: what is to be escaped for it is escaped by the templates, always.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

#: C0 and C1 controls, what breaks a line or turns its direction, and halves of characters.
_CONTROLS: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff\ufffe\uffff]"
)
_UNITS: Final = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
_CLOSE = 100


def plain(text: object, *, most: int = 400) -> str:
    """Return a text with its control characters written out, cut after `most` characters."""
    shown = _CONTROLS.sub(lambda found: repr(found[0])[1:-1], str(text))
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def number(value: float) -> str:
    """Return a whole number with separators; a small one that is not whole with a digit more."""
    if value == int(value) or abs(value) >= _CLOSE:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 1 else f"{value:,.2g}"


def share(part: int, whole: int) -> str:
    """Return a part in per cent; none that is there becomes 0 %, and none that lacks 100 %."""
    if not whole or not part:
        return _with_unit("0", "%")
    percent = 100 * part / whole
    if part < whole and not 1 < percent < 99:
        return _with_unit(f"{min(max(percent, 0.01), 99.99):.2f}", "%")
    return _with_unit(f"{percent:.1f}".removesuffix(".0"), "%")


def sentence(text: str) -> str:
    """Return words with a capital letter and a full stop."""
    return f"{text[:1].upper()}{text[1:]}."


def duration(seconds: float) -> str:
    """Return a time span in its two largest units."""
    if 0 < seconds < 10:
        return _with_unit(f"{seconds:.2g}", "s")
    rest = round(seconds)
    parts: list[str] = []
    for unit, size in _UNITS:
        if rest >= size:
            parts.append(_with_unit(f"{rest // size}", unit))
        elif parts:
            # Two units that are not neighbours would say more than is meant.
            parts.append("")
        rest %= size
    return " ".join(filter(None, parts[:2])) or _with_unit("0", "s")


def _with_unit(amount: str, unit: str) -> str:
    """Return an amount that no line end parts from its unit."""
    return f"{amount}\N{NO-BREAK SPACE}{unit}"


def when(t: float) -> str:
    """Return a moment, given in seconds since 1970, to the second."""
    return f"{datetime.fromtimestamp(t, UTC):%Y-%m-%d %H:%M:%S} UTC"
