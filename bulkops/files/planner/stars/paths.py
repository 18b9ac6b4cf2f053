"""
Give up calls by pushing their edges along paths, to calls that have places left.

Where no neighbour has a place, a neighbour's neighbour may: an edge goes to its other end, which
hands one of its own edges on. What can be pushed at most is a largest flow from the remainders
to be given up to the places in calls that stay. No call is added, so this is never worse.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow

from bulkops.files.planner.stars.graph import Counts, Graph, Mask


def push(graph: Graph, centre_right: Mask, *, share: float) -> Mask:
    """
    Return a choice of no more calls in any component.

    In each one the smallest remainders are given up, as many as fill this share of the places
    in the other calls.
    """
    nodes = graph.left.size + graph.right.size
    left, right = graph.left.code, graph.right.code + np.int32(graph.left.size)
    centre, leaf = np.where(centre_right, right, left), np.where(centre_right, left, right)
    cap = np.repeat([graph.left.cap, graph.right.cap], [graph.left.size, graph.right.size])
    component = np.concatenate([graph.left_component, graph.right_component])

    load = np.bincount(centre, minlength=nodes)
    remainder, free = load % cap, -load % cap
    givers = _givers(remainder, free, component, components=graph.components, share=share)
    free[givers] = 0
    takers = np.flatnonzero(free)
    if not givers.size or not takers.size:
        return centre_right

    # A code that is no centre has no place and hands nothing on.
    arcs = np.flatnonzero(load[leaf] > 0)
    source, sink = nodes, nodes + 1
    network = csr_array(
        (
            np.concatenate([np.ones(arcs.size), remainder[givers], free[takers]]).astype(np.int32),
            (
                np.concatenate([centre[arcs], np.full(givers.size, source), takers]),
                np.concatenate([leaf[arcs], givers, np.full(takers.size, sink)]),
            ),
        ),
        shape=(nodes + 2, nodes + 2),
    )
    flow = maximum_flow(network, source, sink).flow.tocoo()
    along = (flow.data > 0) & (flow.row < nodes) & (flow.col < nodes)
    pushed = np.sort(flow.row[along].astype(np.int64) * nodes + flow.col[along])
    turned = arcs[np.isin(centre[arcs].astype(np.int64) * nodes + leaf[arcs], pushed)]
    changed = centre_right.copy()
    changed[turned] = ~changed[turned]
    return changed


def _givers(
    remainder: Counts, free: Counts, component: Counts, *, components: int, share: float
) -> Counts:
    """Return the codes whose remainder is to be given up: by component, the smallest first."""
    some = np.flatnonzero(remainder)
    some = some[np.lexsort((some, remainder[some], component[some]))]
    begins = np.flatnonzero(np.diff(component[some], prepend=-1))
    lengths = np.diff(begins, append=some.size)

    def so_far(values: Counts) -> Counts:
        sums = np.cumsum(values)
        return sums - np.repeat((sums - values)[begins], lengths)

    places = np.bincount(component, weights=free, minlength=components)[component[some]]
    chosen: Counts = some[so_far(remainder[some]) <= share * (places - so_far(free[some]))]
    return chosen
