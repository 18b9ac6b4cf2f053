"""
The optimum without the cap: the fewest codes that touch every edge, by König's theorem.

In a bipartite graph those are as many as the edges of a largest matching. No two edges of a
matching share an end, so they never share a call: a matching bounds the calls from below too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from bulkops.files.planner.stars.graph import Counts, Graph, Mask


@dataclass(frozen=True, slots=True)
class Cover:
    """
    The codes of a smallest cover by side; the left codes and the edges of a largest matching.
    """

    left: Mask
    right: Mask
    has_partner: Mask
    matched: Mask

    def sizes(self, graph: Graph) -> Counts:
        """Return how many edges of the matching each component has."""
        return np.bincount(graph.left_component[self.has_partner], minlength=graph.components)


def smallest_cover(graph: Graph) -> Cover:
    """Return a smallest cover: what alternating paths from unmatched left codes do not reach."""
    left, right = graph.left, graph.right
    if not left.code.size:
        nothing = np.zeros(0, dtype=np.bool_)
        return Cover(nothing, nothing, nothing, nothing)
    links = csr_array(
        (np.ones(left.code.size, dtype=np.int8), (left.code, right.code)),
        shape=(left.size, right.size),
    )
    partner = maximum_bipartite_matching(links, perm_type="column")
    has_partner = partner >= 0
    partner_of_right = np.full(right.size, -1, dtype=np.int64)
    partner_of_right[partner[has_partner]] = np.flatnonzero(has_partner)

    reached_left, reached_right = ~has_partner, np.zeros(right.size, dtype=np.bool_)
    edges = np.flatnonzero(reached_left[left.code])
    rest = np.flatnonzero(~reached_left[left.code])
    while edges.size:
        found = np.zeros(right.size, dtype=np.bool_)
        found[right.code[edges]] = True
        found &= ~reached_right
        reached_right |= found
        onward = partner_of_right[found]
        reached_left[onward[onward >= 0]] = True
        begins = reached_left[left.code[rest]]
        edges, rest = rest[begins], rest[~begins]
    return Cover(
        left=~reached_left & (left.count() > 0),
        right=reached_right,
        has_partner=has_partner,
        matched=partner[left.code] == right.code,
    )


def centres(graph: Graph, cover: Cover) -> Mask:
    """Return a choice by the cover; an edge with both ends in it goes to the larger degree."""
    in_left, in_right = cover.left[graph.left.code], cover.right[graph.right.code]
    larger = graph.right.count()[graph.right.code] > graph.left.count()[graph.left.code]
    chosen: Mask = np.where(in_left & in_right, larger, in_right)
    return chosen
