"""Every bipartite graph of up to seven edges, compared with all choices of centres there are."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations, product

import numpy as np
import pytest

from bulkops.files.planner.stars import calls, fewest

#: Edges looked at while climbing: some 300 steps.
WORK = 2_000
#: A graph: the right codes that each left code meets, as a set of bits.
Rows = tuple[int, ...]
#: Graphs without lone codes by number of edges, up to the names of the codes (OEIS A049311).
KNOWN = (1, 3, 6, 16, 34, 90, 211)


def turned(rows: Rows) -> Rows:
    """The same graph, with the sides exchanged."""
    width = max(rows).bit_length()
    return tuple(
        sum((row >> bit & 1) << place for place, row in enumerate(rows)) for bit in range(width)
    )


def canonical(rows: Rows) -> tuple[bool, Rows]:
    """The least way to write a graph: any order of the shorter side, the other side sorted."""
    wide = len(rows) > len(turned(rows))
    shorter = turned(rows) if wide else rows
    ways = (tuple(sorted(turned(order))) for order in permutations(shorter))
    return wide, min(ways)


def grown(rows: Rows) -> Iterator[Rows]:
    """All graphs of one more edge: between codes that are there, or new ones."""
    width = max(rows).bit_length()
    for place, bit in product(range(len(rows) + 1), range(width + 1)):
        row = rows[place] if place < len(rows) else 0
        if not row >> bit & 1:
            yield (*rows[:place], row | 1 << bit, *rows[place + 1 :])


def graphs(edges: int) -> list[list[Rows]]:
    """All graphs of 1, 2, ... edges, each class once."""
    layers: list[list[Rows]] = [[(1,)]]
    while len(layers) < edges:
        found: dict[object, Rows] = {}
        for rows in {tuple(sorted(bigger)) for small in layers[-1] for bigger in grown(small)}:
            found.setdefault(canonical(rows), rows)
        layers.append(list(found.values()))
    return layers


def pairs(rows: Rows) -> list[tuple[int, int]]:
    """The edges of a graph."""
    return [
        (place, bit)
        for place, row in enumerate(rows)
        for bit in range(row.bit_length())
        if row >> bit & 1
    ]


def best_of_all(edges: list[tuple[int, int]], caps: tuple[int, int]) -> int:
    """The calls of the best of all choices."""
    left, right = np.array(edges).T
    choices = np.arange(2 ** len(edges))[:, None] >> np.arange(len(edges)) & 1
    total = np.zeros(len(choices), dtype=np.int64)
    for code in set(left.tolist()):
        total -= -(1 - choices)[:, left == code].sum(axis=1) // caps[0]
    for code in set(right.tolist()):
        total -= -choices[:, right == code].sum(axis=1) // caps[1]
    return int(total.min())


@pytest.mark.parametrize("caps", [(2, 2), (3, 3), (2, 3)], ids=str)
def test_all_small_graphs(caps: tuple[int, int]) -> None:
    """
    The bound is at most the optimum, and the optimum at most our calls. In graphs so small all
    three are equal: the optimum is found, and proven.
    """
    layers = graphs(7)
    assert list(KNOWN) == [len(layer) for layer in layers]
    ours_best = bound_best = total = 0
    for rows in (rows for layer in layers for rows in layer):
        edges = pairs(rows)
        left, right = np.array(edges, dtype=np.int32).T
        found = fewest(left, right, cap_left=caps[0], cap_right=caps[1], work=WORK)
        bound = found.bound.calls
        ours = calls(left, right, found.centre_right, cap_left=caps[0], cap_right=caps[1])
        optimum = best_of_all(edges, caps)
        assert bound <= optimum <= ours, rows
        total += 1
        ours_best += ours == optimum
        bound_best += bound == optimum
    assert (total, total) == (ours_best, bound_best)
