"""
Choose the centres: a few begins, each improved, and in each component the best of them.

The begins are a smallest cover, which is the optimum without the cap, and where the climb to a
bound leans. A manifest's own orientation and either side alone are compared with what comes of
them, so the choice is never worse than these. Only components not proven to be at their fewest
calls are worked on. A component in which nothing is saved stays as given.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bulkops.files.planner.stars.bound import (
    EDGES_WHOLE,
    WORK,
    Bound,
    bound_by_size,
    held_whole,
    simply_proven,
    summed,
)
from bulkops.files.planner.stars.climb import Climbed, climb
from bulkops.files.planner.stars.cover import centres, smallest_cover
from bulkops.files.planner.stars.graph import Codes, Counts, Graph, Mask, make_graph
from bulkops.files.planner.stars.load import by_load
from bulkops.files.planner.stars.paths import push
from bulkops.files.planner.stars.remainders import move

#: How much is given up at once: much first, then little.
SHARES = (1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01)
#: Of more edges than these only every fourth share is tried, for the time that it takes.
EVERY_SHARE = 200_000
#: Rounds of improvement of one begin; they end where nothing more is found.
ROUNDS = 8
#: Edges that lean less than this to an end are undecided.
UNDECIDED = 0.02


@dataclass(frozen=True, slots=True)
class Fewest:
    """
    For each edge whether its right end is the centre, and what no choice can beat.
    """

    centre_right: Mask
    bound: Bound


def choose(
    left: Codes,
    right: Codes,
    *,
    cap_left: int,
    cap_right: int,
    given: Mask | None = None,
    work: int = WORK,
    edges_whole: int = EDGES_WHOLE,
) -> Mask:
    """Return the choice of `fewest` without its bound."""
    return fewest(
        left,
        right,
        cap_left=cap_left,
        cap_right=cap_right,
        given=given,
        work=work,
        edges_whole=edges_whole,
    ).centre_right


def fewest(
    left: Codes,
    right: Codes,
    *,
    cap_left: int,
    cap_right: int,
    given: Mask | None = None,
    work: int = WORK,
    edges_whole: int = EDGES_WHOLE,
) -> Fewest:
    """
    Return a choice of no more calls than `given` has, nor than either side alone, and a bound.

    Edge i joins left code `left[i]` and right code `right[i]`; each pair is there once.
    `cap_left` leaves are in a call whose centre is a left code, `cap_right` in one whose centre
    is a right code. More than `edges_whole` edges are planned by the cheaper method, which looks
    only at how many each code has. `work` is how many edges are looked at while climbing.
    """
    if given is not None and given.shape != left.shape:
        raise ValueError(f"{given.size} given centres for {left.size} edges")
    if not held_whole(left.size, edges_whole):
        choice = by_load(left, right, cap_left=cap_left, cap_right=cap_right, given=given)
        return Fewest(choice, bound_by_size(left.size, max(cap_left, cap_right)))
    graph = make_graph(left, right, cap_left=cap_left, cap_right=cap_right)
    cover = smallest_cover(graph)
    known = simply_proven(graph, cover)
    least = known.max(axis=0)
    best = centres(graph, cover)
    best = _try(graph, best, begin=best, least=least)
    climbed = climb(graph, cover.matched, known=least, aim=graph.calls(best), work=work)
    proven = np.vstack([known, climbed.proven])
    least = proven.max(axis=0)
    for begin in _leanings(climbed, best):
        best = _try(graph, best, begin=begin, least=least)
    best = _better(graph, best, np.zeros_like(best))
    best = _better(graph, best, np.ones_like(best))
    if given is not None:
        best = _better(graph, given, best)
    return Fewest(best, summed(proven))


def _leanings(climbed: Climbed, best: Mask) -> Iterator[Mask]:
    """Yield the choices that the climb leans to: of all edges, and of the decided ones alone."""
    leaning = climbed.leaning > 0
    yield leaning
    yield np.where(np.abs(climbed.leaning) < UNDECIDED, best, leaning)


def _try(graph: Graph, best: Mask, *, begin: Mask, least: Counts) -> Mask:
    """Improve a begin where the best has more calls than the least; return the better of both."""
    open_edges = (graph.calls(best) > least)[graph.edge_component]
    tried = begin.copy()
    if open_edges.any():
        tried[open_edges] = _improve(graph.part(open_edges), begin[open_edges])
    return _better(graph, best, tried)


def _improve(graph: Graph, begin: Mask) -> Mask:
    """Return the choice after rounds of moving remainders and pushing along paths."""
    choice = begin
    shares = SHARES if begin.size <= EVERY_SHARE else SHARES[::4]
    for _ in range(ROUNDS):
        before = int(graph.calls(choice).sum())
        choice = _better(graph, choice, ~move(graph.left, graph.right, ~choice))
        choice = _better(graph, choice, move(graph.right, graph.left, choice))
        for share in shares:
            choice = push(graph, choice, share=share)
        if int(graph.calls(choice).sum()) == before:
            break
    return choice


def _better(graph: Graph, one: Mask, other: Mask) -> Mask:
    """Return in each component the one of fewer calls; `one` where they tie."""
    less = graph.calls(other) < graph.calls(one)
    chosen: Mask = np.where(less[graph.edge_component], other, one)
    return chosen
