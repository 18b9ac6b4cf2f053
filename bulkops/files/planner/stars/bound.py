"""
What no choice of centres can beat: a lower bound of the calls, with what proves it.

Give every edge a weight, none below 0. Sort a code's edges by weight and cut them into full
calls; each of these calls of weight above 1 has an excess, what it weighs above 1. Then

    calls of any plan >= all weights - all excesses, over the codes of both sides.

Proof. A code with k calls is the centre of at most k * cap edges, which weigh no more than its k
heaviest calls do, so no more than k + its excesses. Each edge has one centre, so the weights of
all edges are at most all calls + all excesses. Components share nothing, and calls are whole:
the bound of each is rounded up before they are added.

Two choices of weights are well known: 1 for each edge of a matching, and 1 / cap for all. Others
are found by climbing. Whatever the weights, and wherever the climb ends, the bound holds.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bulkops.files.planner.stars.climb import climb
from bulkops.files.planner.stars.cover import Cover, centres, smallest_cover
from bulkops.files.planner.stars.graph import Codes, Counts, Graph, Mask, make_graph
from bulkops.files.planner.stars.weights import EXACT

#: As many edges are held whole: some 150 bytes each, and 20 CPU seconds a million at the worst.
EDGES_WHOLE = 3_000_000
#: Edges looked at while climbing, all steps together: some ten CPU seconds.
WORK = 60_000_000


class Argument(enum.Enum):
    """
    What proves a bound.
    """

    #: Calls take so many edges, and no more.
    SIZE = "size"
    #: Edges without a common end are in calls of their own.
    MATCHING = "matching"
    #: Weights of edges, found by climbing.
    WEIGHTS = "weights"


@dataclass(frozen=True, slots=True)
class Bound:
    """
    No plan has fewer calls than `calls`.

    `shares` says how many of these are in components where each argument proves the most; where
    several prove as much, the first of them in `Argument` counts.
    """

    calls: int
    shares: Mapping[Argument, int]

    @property
    def argument(self) -> Argument:
        """The argument that proves most of it."""
        return max(Argument, key=lambda argument: self.shares[argument])


def lower_bound(
    left: Codes,
    right: Codes,
    *,
    cap_left: int,
    cap_right: int,
    plan: Mask | None = None,
    work: int = WORK,
    edges_whole: int = EDGES_WHOLE,
) -> Bound:
    """
    Return a lower bound of the calls of any choice.

    `plan` is a choice to be proven good: the climb ends in components where its calls are
    proven to be needed, and is steered by them elsewhere. `work` is how many edges are looked
    at while climbing. Of more than `edges_whole` edges only their number bounds the calls.
    """
    if not held_whole(left.size, edges_whole):
        return bound_by_size(left.size, max(cap_left, cap_right))
    graph = make_graph(left, right, cap_left=cap_left, cap_right=cap_right)
    cover = smallest_cover(graph)
    aim = graph.calls(centres(graph, cover) if plan is None else plan)
    known = simply_proven(graph, cover)
    climbed = climb(graph, cover.matched, known=known.max(axis=0), aim=aim, work=work)
    return summed(np.vstack([known, climbed.proven]))


def held_whole(edges: int, edges_whole: int) -> bool:
    """Return whether so few edges are held whole; sums of their weights are exact then."""
    return edges <= min(edges_whole, EXACT)


def bound_by_size(edges: int, cap: int) -> Bound:
    """Return the bound by the number of all edges alone."""
    calls = -(-edges // cap)
    return Bound(calls, {argument: calls * (argument is Argument.SIZE) for argument in Argument})


def simply_proven(graph: Graph, cover: Cover) -> Counts:
    """Return what size and matching prove in each component: a row each."""
    size = np.bincount(graph.edge_component, minlength=graph.components)
    return np.stack([-(-size // max(graph.left.cap, graph.right.cap)), cover.sizes(graph)])


def summed(proven: Counts) -> Bound:
    """Return the bound of what each argument, a row each, proves in each component."""
    best, most = proven.argmax(axis=0), proven.max(axis=0)
    shares = {argument: int(most[best == row].sum()) for row, argument in enumerate(Argument)}
    return Bound(int(most.sum()), shares)
