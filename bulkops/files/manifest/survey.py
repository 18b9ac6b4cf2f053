"""
The file's own count: how many records it must have, told without parsing it.

Counts bytes outside quotes, at the speed of `bytes.count`. It decides nothing but whether the
fast reader may be believed; where a file is anything but plain, it may not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_TAIL = 64
#: Bytes below this one are control characters.
_FIRST_PLAIN = 32


@dataclass(slots=True)
class Survey:
    """
    Counts over a whole file: line ends and delimiters outside quotes, and what spoils trust.
    """

    newlines: int = 0
    returns: int = 0
    delimiters: int = 0
    #: Line ends at the end of the file beyond the first.
    surplus: int = 0
    #: The last line has no end of its own.
    unended: bool = False
    #: A quote is open at the end.
    open: bool = False
    #: A NUL byte, or spaces between a quote and a delimiter or quote, which DuckDB forgives.
    odd: bool = False
    #: Control characters but line ends and tabs; counted where nothing is quoted.
    controls: int = 0

    @property
    def lines(self) -> int:
        """Lines outside quotes, without blank ones at the end."""
        return self.newlines + self.unended - self.surplus

    def fits_csv(self, *, rows: int, width: int) -> bool:
        """
        Tell whether `rows` records of `width` cells and a header are all that is in the file.

        With one column a blank line cannot be told from an empty cell, so that never fits.
        """
        return (
            width > 1
            and not self.odd
            and not self.open
            and self.returns in (0, self.newlines)
            and self.lines == rows + 1
            and self.delimiters == (rows + 1) * (width - 1)
        )

    def fits_lines(self, *, rows: int) -> bool:
        """Tell whether `rows` lines, with all blank ones, are all that is in the file."""
        plain = not self.odd and self.returns in (0, self.newlines)
        return plain and self.newlines + self.unended == rows

    def fits_alike(self, *, rows: int) -> bool:
        """Tell whether that is so, and no string of them can have a control character."""
        return not self.controls and self.fits_lines(rows=rows)


def survey(
    pieces: Iterable[bytes],
    *,
    delimiter: str = "",
    quote: str = "",
    heard: Callable[[int], None] | None = None,
) -> Survey:
    """
    Return the counts of a file. Without `quote` nothing is quoted (JSON lines).

    `heard` is told the line ends so far after every piece.
    """
    found, tail = Survey(), b""
    quoted = _Quoted(found, delimiter=delimiter.encode(), quote=quote.encode()) if quote else None
    for piece in pieces:
        outside = quoted.outside(piece, before=tail[-1:]) if quoted else piece
        ends = outside.count(b"\n")
        found.newlines += ends
        # Where nothing is quoted, nearly always these are the only control characters.
        below = 0 if quoted else int(np.count_nonzero(_bytes(piece) < _FIRST_PLAIN)) - ends
        if quoted or below:
            found.odd = found.odd or b"\0" in piece
            returns = outside.count(b"\r") if b"\r" in outside else 0
            found.returns += returns
            found.controls += below and below - returns - piece.count(b"\t")
        if delimiter:
            found.delimiters += outside.count(delimiter.encode())
        tail = (tail + piece[-_TAIL:])[-_TAIL:]
        if heard:
            heard(found.newlines)
    last = tail[len(tail.rstrip(b"\r\n")) :].count(b"\n")
    found.surplus = max(last - 1, 0)
    found.unended = bool(tail) and not last
    return found


def _bytes(piece: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(piece, np.uint8)


class _Quoted:
    """
    What lies outside quotes, piece by piece. A doubled quote closes and opens, so parity counts.
    """

    def __init__(self, found: Survey, *, delimiter: bytes, quote: bytes) -> None:
        self._found = found
        self._quote = quote
        self._near = (b" " + quote, quote + b" ")
        self._dropped = bytes(set(range(256)) - set(delimiter + quote + b"\r\n"))
        cut, mark = re.escape(delimiter), re.escape(quote)
        self._spaced = re.compile(
            b"(?:^|["
            + cut
            + b"\r\n]) +"
            + mark
            + b"|"
            + mark
            + b" +(?:["
            + cut
            + mark
            + b"\r\n]|$)"
        )

    def outside(self, piece: bytes, *, before: bytes) -> bytes:
        """Return the delimiters and line ends of `piece` outside quotes (all of it if simple)."""
        found, quote = self._found, self._quote
        found.odd = found.odd or before + piece[:1] in self._near
        if quote not in piece:
            return b"" if found.open else piece
        near = any(near in piece for near in self._near)
        found.odd = found.odd or (near and bool(self._spaced.search(piece)))
        # Within a run of quotes only whether their number is odd matters.
        parts = piece.translate(None, self._dropped).replace(quote * 2, b"").split(quote)
        outside = parts[found.open :: 2]
        found.open ^= len(parts) % 2 == 0
        return b"".join(outside)
