"""
Move whole remainders to the other side, together, where that saves calls.

A code with 120 leaves and calls of 100 has a remainder of 20 that costs a call. If 30 such codes
share their neighbours, 20 calls from the other side take all 30 remainders. Moving them one by
one never pays, so all remainders of a side are put up at once, and the cheapest takers found
greedily: a taker is worth as many edges as its call takes, a code that keeps its remainder is
worth what was left of it.
"""

from __future__ import annotations

import numpy as np

from bulkops.files.planner.stars.graph import Counts, Mask, Side

#: A round takes everything worth at least this share of the best; nearer 1 is better and slower.
NEAR_THE_BEST = 0.9


def move(givers: Side, takers: Side, at_giver: Mask) -> Mask:
    """
    Return which edges the givers keep; `at_giver` marks those they are the centre of now.

    The result may cost more than before: the caller compares.
    """
    kept = at_giver.copy()
    wanted = givers.count(kept) % givers.cap
    offered = np.flatnonzero(kept & (wanted[givers.code] > 0))
    _fill_free_places(givers, takers, kept=kept, wanted=wanted, offered=offered)
    keepers = np.zeros(givers.size, dtype=np.bool_)
    while True:
        offered = offered[kept[offered] & (wanted[givers.code[offered]] > 0)]
        if not offered.size:
            break
        worth = np.bincount(takers.code[offered], minlength=takers.size)
        # More than a call takes is worth as many full calls.
        places = np.where(worth > takers.cap, worth // takers.cap * takers.cap, worth)
        worth = np.minimum(worth, takers.cap)
        best_taker, best_keeper = int(worth.max()), int(wanted.max())
        if best_keeper > best_taker:
            keep = wanted >= max(best_taker + 1, best_keeper * NEAR_THE_BEST)
            keepers |= keep
            wanted[keep] = 0
            continue
        least = max(best_keeper, best_taker * NEAR_THE_BEST)
        taken = _take(
            givers, takers, offered=offered, wanted=wanted, worth=worth, places=places, least=least
        )
        kept[taken] = False
        wanted -= np.bincount(givers.code[taken], minlength=givers.size)
    kept |= at_giver & keepers[givers.code]
    return kept


def _fill_free_places(
    givers: Side, takers: Side, *, kept: Mask, wanted: Counts, offered: Counts
) -> None:
    """Fill the places left in calls that the takers make anyway, small remainders first."""
    free = -takers.count(~kept) % takers.cap
    edges = offered[free[takers.code[offered]] > 0]
    edges = edges[np.argsort(wanted[givers.code[edges]], kind="stable")]
    edges = edges[rank(takers.code[edges]) < free[takers.code[edges]]]
    edges = edges[rank(givers.code[edges]) < wanted[givers.code[edges]]]
    kept[edges] = False
    wanted -= np.bincount(givers.code[edges], minlength=givers.size)


def _take(
    givers: Side,
    takers: Side,
    *,
    offered: Counts,
    wanted: Counts,
    worth: Counts,
    places: Counts,
    least: float,
) -> Counts:
    """
    Return the edges that takers worth `least` or more take, in the order of their worth.

    What the first ones take is no longer there for the others, so some prove to be worth less;
    they wait for a later round. The first one always gets what it was worth.
    """
    chosen = np.flatnonzero(worth >= least)
    chosen = chosen[np.argsort(-worth[chosen], kind="stable")]
    position = np.full(takers.size, -1, dtype=np.int64)
    position[chosen] = np.arange(chosen.size)
    edges = offered[position[takers.code[offered]] >= 0]
    edges = edges[np.argsort(position[takers.code[edges]], kind="stable")]
    edges = edges[rank(givers.code[edges]) < wanted[givers.code[edges]]]
    edges = edges[rank(takers.code[edges]) < places[takers.code[edges]]]
    got = np.bincount(takers.code[edges], minlength=takers.size)
    # Of a taker of many calls, full calls only: the rest is counted again.
    full = np.where(got > takers.cap, got // takers.cap * takers.cap, got)
    edges = edges[rank(takers.code[edges]) < full[takers.code[edges]]]
    return edges[np.minimum(full, takers.cap)[takers.code[edges]] >= least]


def rank(codes: np.ndarray[tuple[int], np.dtype[np.int32]]) -> Counts:
    """Return how many equal codes stand before each one."""
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    places = np.arange(codes.size)
    begins = np.flatnonzero(np.diff(ordered, prepend=-1))
    places -= np.repeat(begins, np.diff(begins, append=codes.size))
    ranks = np.empty_like(places)
    ranks[order] = places
    return ranks
