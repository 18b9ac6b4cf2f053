"""Sets of line numbers: lines that follow each other are marked at once, and mean the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bulkops.rules.line_set import LineSet

LINES = st.integers(min_value=1, max_value=60)
FOLLOWING = st.builds(range, LINES, LINES)


@given(st.lists(st.lists(LINES, unique=True) | FOLLOWING))
def test_lines_are_new_once_however_they_come(groups: list[list[int] | range]) -> None:
    """A set of lines is a set, told in order which of them are new, as a list or as a range."""
    lines, expected = LineSet(), set[int]()

    for group in groups:
        news = [line for line in group if line not in expected]
        expected.update(group)

        assert news == list(lines.update(group))
        assert len(expected) == len(lines)

    assert [line in expected for line in range(70)] == [line in lines for line in range(70)]


def test_a_range_is_longer_than_all_before() -> None:
    """The set grows to what it is given, however far that lies."""
    lines = LineSet()

    assert range(100_000, 100_100) == lines.update(range(100_000, 100_100))
    assert [] == lines.update(range(100_000, 100_100))
    assert [100_100] == lines.update(range(100_050, 100_101))
    assert 101 == len(lines)
