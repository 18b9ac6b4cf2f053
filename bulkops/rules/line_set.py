"""
Sets of line numbers, of which a run has millions.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

_DIGITS = bytes.maketrans(b"\0\1", b"01")
_MARKS = bytes.maketrans(b"01", b"\0\1")


class LineSet:
    """
    A set of line numbers, one byte each: a call's lines are looked up and marked together.
    """

    __slots__ = ("_count", "_marks")

    def __init__(self) -> None:
        self._marks = bytearray()
        self._count = 0

    @classmethod
    def from_text(cls, digits: str) -> LineSet:
        """Return the lines whose digit is 1, the first being line 0's; see `to_text`."""
        found = cls()
        found._marks = bytearray(digits.encode().translate(_MARKS))
        found._count = found._marks.count(1)
        return found

    def add(self, line: int) -> bool:
        """Add a line; return whether it is new."""
        return bool(self.update((line,)))

    def update(self, lines: Collection[int]) -> Sequence[int]:
        """Add lines; return those that are new."""
        marks = self._marks
        end = max(lines, default=0) + 1
        if end > len(marks):
            marks.extend(bytes(max(end - len(marks), 1 << 15)))
        if isinstance(lines, range) and lines.step == 1 and marks.find(1, lines.start, end) < 0:
            # By far most calls: lines that follow each other, none of them settled.
            marks[lines.start : lines.stop] = b"\1" * len(lines)
            self._count += len(lines)
            return lines
        news = []
        for line in lines:
            if not marks[line]:
                marks[line] = 1
                news.append(line)
        self._count += len(news)
        return news

    def discard(self, lines: LineSet) -> None:
        """Take out those of `lines` that are in it."""
        kept = int.from_bytes(self._marks, "little") & ~int.from_bytes(lines._marks, "little")
        self._marks = bytearray(kept.to_bytes(len(self._marks), "little"))
        self._count = self._marks.count(1)

    def __contains__(self, line: int) -> bool:
        return line < len(self._marks) and bool(self._marks[line])

    def __len__(self) -> int:
        return self._count

    def to_text(self, length: int) -> str:
        """Return for each of the first `length` lines a digit: 1 if it is in the set."""
        return self._marks[:length].ljust(length, b"\0").translate(_DIGITS).decode()
