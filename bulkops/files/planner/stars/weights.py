"""
Weigh edges: what a choice of weights proves in each component, and how to change it for more.

Weights are whole multiples of 1 / GRAIN, and at most 1. So sums of up to `EXACT` of them are
exact in a float, and so is what they prove.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bulkops.files.planner.stars.graph import Codes, Counts, Floats, Graph, Mask, Side

#: Weights are whole multiples of one part in so many.
GRAIN = 2.0**28
#: So many weights of 1 have an exact sum.
EXACT = 2**25


@dataclass(frozen=True, slots=True)
class Calls:
    """
    The calls that a side's codes would make of all their edges, the heaviest edges first.

    Codes with one call need no order; `edges` are those of the others, `by_code` their codes,
    and `begins` where each call begins when they are ordered by code.
    """

    side: Side
    single: Mask
    edges: Counts
    by_code: Counts
    begins: Counts

    def excess(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return the excess of each code, and 1 for each edge in a call that has one, else 0."""
        side = self.side
        weight = np.bincount(side.code, weights=weights, minlength=side.size)
        excess = np.where(self.single, np.maximum(weight - 1, 0), 0)
        above = (self.single & (weight > 1))[side.code].astype(np.float64)
        if self.edges.size:
            # One key of whole numbers sorts faster than two: by code, then the heaviest first.
            key = (self.by_code << 29) - (weights[self.edges] * GRAIN).astype(np.int64)
            ordered = self.edges[np.argsort(key, kind="stable")]
            call = np.add.reduceat(weights[ordered], self.begins)
            code = side.code[ordered[self.begins]]
            excess += np.bincount(code, weights=np.maximum(call - 1, 0), minlength=side.size)
            lengths = np.diff(self.begins, append=ordered.size)
            above[ordered] = np.repeat((call > 1).astype(np.float64), lengths)
        return excess, above


def _calls(side: Side) -> Calls:
    degree = side.count()
    single = degree <= side.cap
    edges = np.flatnonzero(~single[side.code])
    by_code = side.code[edges].astype(np.int64)
    ordered = np.sort(by_code)
    first = np.flatnonzero(np.diff(ordered, prepend=-1))
    place = np.arange(ordered.size) - np.repeat(first, np.diff(first, append=ordered.size))
    return Calls(side, single, edges, by_code, np.flatnonzero(place % side.cap == 0))


@dataclass(frozen=True, slots=True)
class Scale:
    """
    What weighs the edges of one graph, from both sides.
    """

    graph: Graph
    component: Codes
    left: Calls
    right: Calls

    @classmethod
    def of(cls, graph: Graph) -> Scale:
        return cls(graph, graph.edge_component, _calls(graph.left), _calls(graph.right))

    def weigh(self, weights: Floats) -> tuple[Floats, Floats, Floats]:
        """
        Return what the weights prove in each component, and which edges are in an excess.

        1 for an edge in an excess of its left end, else 0; then the same of its right end.
        """
        left_excess, in_left = self.left.excess(weights)
        right_excess, in_right = self.right.excess(weights)
        all_weights = np.bincount(self.component, weights=weights, minlength=self.graph.components)
        return all_weights - self.graph.per_component(left_excess, right_excess), in_left, in_right

    def begin(self, matched: Mask) -> Floats:
        """Return weights to begin with: in each component the best of three simple ones."""
        cap = max(self.graph.left.cap, self.graph.right.cap)
        best = np.full(matched.size, 1 / cap)
        for weights in (matched.astype(np.float64), self._by_remainder()):
            better = self.weigh(weights)[0] > self.weigh(best)[0]
            best = np.where(better[self.component], weights, best)
        return rounded(best)

    def _by_remainder(self) -> Floats:
        """Return weights with which the last, unfilled call of each code weighs 1 at most."""
        last = [
            ((side.count() - 1) % side.cap + 1)[side.code]
            for side in (self.graph.left, self.graph.right)
        ]
        return rounded(1 / np.maximum(*last))


def rounded(weights: Floats) -> Floats:
    """Return weights from 0 to 1 in whole grains, none greater than before."""
    down: Floats = np.floor(np.clip(weights, 0, 1) * GRAIN) / GRAIN
    return down
