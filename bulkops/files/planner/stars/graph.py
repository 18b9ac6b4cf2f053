"""
The bipartite graph of a manifest's relations, and what a choice of centres costs in it.

A choice is an array of one truth per edge: whether the right end is the centre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

Codes = npt.NDArray[np.int32]
Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Side:
    """
    One side: the code of each edge's end there, how many codes, and the leaves of a call.
    """

    code: Codes
    size: int
    cap: int

    def count(self, edges: Mask | None = None) -> Counts:
        """Return how many edges each code has, of those marked."""
        return np.bincount(self.code if edges is None else self.code[edges], minlength=self.size)

    def calls(self, centred: Mask) -> Counts:
        """Return the calls of each code, where `centred` marks the edges it is the centre of."""
        return -(-self.count(centred) // self.cap)


@dataclass(frozen=True, slots=True)
class Graph:
    """
    Both sides, and the component of each left and each right code.
    """

    left: Side
    right: Side
    left_component: Codes
    right_component: Codes
    components: int

    @property
    def edge_component(self) -> Codes:
        """The component of each edge."""
        return self.left_component[self.left.code]

    def calls(self, centre_right: Mask) -> Counts:
        """Return the calls of each component; they are whole numbers far below 2**53."""
        total = self.per_component(
            self.left.calls(~centre_right).astype(np.float64),
            self.right.calls(centre_right).astype(np.float64),
        )
        return total.astype(np.int64)

    def per_component(self, left: Floats, right: Floats) -> Floats:
        """Return the sums of what each left and each right code has."""
        sums = [
            np.bincount(component, weights=values, minlength=self.components)
            for component, values in ((self.left_component, left), (self.right_component, right))
        ]
        return np.add(*sums).astype(np.float64)

    def part(self, edges: Mask | Counts) -> Graph:
        """Return the graph of some edges, marked or numbered; codes and components stay."""
        return Graph(
            left=Side(self.left.code[edges], self.left.size, self.left.cap),
            right=Side(self.right.code[edges], self.right.size, self.right.cap),
            left_component=self.left_component,
            right_component=self.right_component,
            components=self.components,
        )


def make_side(code: Codes, *, cap: int) -> Side:
    """Return a side of codes from 0; a call of no leaf is a ValueError."""
    if cap < 1:
        raise ValueError(f"a call has at least one leaf, not {cap}")
    if code.size and int(code.min()) < 0:
        raise ValueError(f"codes begin at 0, found {int(code.min())}")
    return Side(code, int(code.max()) + 1 if code.size else 0, cap)


def make_graph(left: Codes, right: Codes, *, cap_left: int, cap_right: int) -> Graph:
    """Return the graph of pairs of codes; arrays of different lengths are a ValueError."""
    if left.shape != right.shape:
        raise ValueError(f"{left.size} left ends and {right.size} right ends make no edges")
    one, other = make_side(left, cap=cap_left), make_side(right, cap=cap_right)
    nodes = one.size + other.size
    links = csr_array(
        (np.ones(left.size, dtype=np.int8), (left, right + np.int32(one.size))),
        shape=(nodes, nodes),
    )
    components, label = connected_components(links, directed=False)
    return Graph(one, other, label[: one.size], label[one.size :], int(components))
