r"""
The exact reading of CSV: records one after another, each with its cells or with what is wrong.

Every line of the file ends up in exactly one record, good or refused, but for the blank ones
(nothing but spaces and tabs), which are no records. A quote inside an unquoted field is text.
Where a quoted field goes wrong nobody can say which lines are records, so each line that it
covers is refused by itself: if it is followed by other text, up to there; if it is not closed
within `LONGEST_FIELD` characters, up to a line with an odd number of quotes, or to the end.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from bulkops.files.manifest.source import LONGEST_FIELD, LONGEST_LINE, LONGEST_RAW

_NAMES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    A record that is none: a lower_snake `code`, `words` for people, and its text as it stands.
    """

    code: str
    words: str
    raw: str


class _OpenQuoteError(Exception):
    """A quoted field was not closed in time; the argument says how it went on."""


class _LongLineError(Exception):
    """A line is longer than is read."""


class _Feed:
    """
    The lines of one record after another, for `csv.reader`; `taken` are those of this record.
    """

    def __init__(self, lines: Iterator[str], *, delimiter: str) -> None:
        self._lines = lines
        self._blanks = " \t\r\n".replace(delimiter, "")
        self.taken: list[str] = []
        self.length = 0
        self.has_nul = False
        self.ended = False

    def begin(self) -> None:
        """Let the next line begin a record."""
        self.taken = []
        self.length = 0
        self.has_nul = False

    def is_blank(self, line: str) -> bool:
        """Tell whether `line` is no record at all."""
        return not line.strip(self._blanks)

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        if self.length > LONGEST_FIELD:
            raise _OpenQuoteError(f"is not closed within {LONGEST_FIELD:,} characters")
        line = next(self._lines, None)
        while line is not None and not self.taken and self.is_blank(line):
            line = next(self._lines, None)
        if line is None:
            self.ended = True
            if self.taken:
                raise _OpenQuoteError("is never closed")
            raise StopIteration
        within = bool(self.taken)
        self.taken.append(line)
        self.length += len(line)
        self.has_nul = self.has_nul or "\0" in line
        if len(line) > LONGEST_LINE:
            if within:
                raise _OpenQuoteError(f"is not closed within {LONGEST_FIELD:,} characters")
            raise _LongLineError
        return line

    def rest_of_field(self, quote: str) -> Iterator[str]:
        """Yield the lines of an open field, up to the one where its quote may be closed."""
        for line in self._lines:
            if not self.is_blank(line):
                yield line
            if line.count(quote) % 2:
                return


def records(
    lines: Iterator[str], *, delimiter: str, quote: str, header: tuple[str, ...] = ()
) -> Iterator[tuple[int, list[str] | Refusal]]:
    """
    Yield number and cells (as many as `header` has), or number and refusal.

    The header itself is record 0. Without `header` the number of cells is not looked at.
    """
    feed = _Feed(lines, delimiter=delimiter)
    reader = csv.reader(feed, delimiter=delimiter, quotechar=quote, strict=True)
    number = 0
    while not feed.ended:
        feed.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except _LongLineError:
            yield number, _refusal(number, "line_too_long", _too_long("line"), feed.taken[0])
        except _OpenQuoteError as error:
            for refusal in _open_quote(feed, quote=quote, number=number, how=str(error)):
                yield number, refusal
                number += 1
            continue
        except csv.Error as error:
            for refusal in _bad_quote(feed, number=number, error=error):
                yield number, refusal
                number += 1
            continue
        else:
            wrong = _wrong(cells, feed=feed, header=header if number else ())
            if wrong is None:
                yield number, cells
            else:
                yield number, _refusal(number, *wrong, "".join(feed.taken))
        number += 1


def _wrong(cells: list[str], *, feed: _Feed, header: tuple[str, ...]) -> tuple[str, str] | None:
    """Return code and words of what is wrong with `cells`, or nothing."""
    if header and len(cells) != len(header):
        names = ", ".join(header[:_NAMES_SHOWN]) + (", ..." if len(header) > _NAMES_SHOWN else "")
        code = "too_many_fields" if len(cells) > len(header) else "too_few_fields"
        fields = "1 field" if len(cells) == 1 else f"{len(cells):,} fields"
        return code, f"{fields}, expected {len(header):,} ({names})"
    if feed.length > LONGEST_FIELD:
        for place, cell in enumerate(cells):
            if len(cell) > LONGEST_FIELD:
                column = header[place] if header else str(place + 1)
                return "field_too_long", f"column {column}: {_too_long('field')}"
    if feed.has_nul:
        place = next(place for place, cell in enumerate(cells) if "\0" in cell)
        column = header[place] if header else str(place + 1)
        return "nul_byte", f"column {column}: found a NUL byte, expected text"
    return None


def _bad_quote(feed: _Feed, *, number: int, error: csv.Error) -> Iterator[Refusal]:
    """Refuse each line of a record whose quoted field is followed by text, or too long."""
    if "field limit" in str(error):
        code, words = "field_too_long", _too_long("field")
    else:
        code, words = "bad_quote", "text follows the closing quote of a field, expected a delimiter"
    yield _refusal(number, code, words, feed.taken[0])
    words = f"lies inside the broken quoted field that begins in line {number}"
    covered = (line for line in feed.taken[1:] if not feed.is_blank(line))
    for later, line in enumerate(covered, number + 1):
        yield _refusal(later, "inside_bad_quote", words, line)


def _open_quote(feed: _Feed, *, quote: str, number: int, how: str) -> Iterator[Refusal]:
    """Refuse the line where a quote is left open, and each line that it covers."""
    words = f"a quoted field begins here and {how}"
    yield _refusal(number, "unclosed_quote", words, feed.taken[0])
    words = f"comes after the quote that is left open in line {number}"
    covered = (line for line in feed.taken[1:] if not feed.is_blank(line))
    for later, line in enumerate(chain(covered, feed.rest_of_field(quote)), number + 1):
        yield _refusal(later, "after_unclosed_quote", words, line)


def _too_long(what: str) -> str:
    limit = LONGEST_LINE if what == "line" else LONGEST_FIELD
    return f"found a {what} of more than {limit:,} characters, expected at most that"


def _refusal(number: int, code: str, words: str, text: str) -> Refusal:
    return Refusal(code, f"line {number}: {words}", text.rstrip("\r\n")[:LONGEST_RAW])
