"""
Climb to the weights that prove the most, and see on the way where the centres want to be.

Edges in the excess of neither end gain weight, edges in that of both lose it. The sum they prove
is concave in the weights, so this leads to the top: what the best linear program of this kind
proves. On the way an edge is now in the excess of one end, now of the other; the one that it is
in more often is where a centre pays. That is a choice to begin with, and mostly a very good one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bulkops.files.planner.stars.graph import Counts, Floats, Graph, Mask
from bulkops.files.planner.stars.weights import Scale, rounded

#: Steps at most, for few edges.
STEPS = 2_000
#: After so many steps without gain in a component, its steps are halved.
PATIENCE = 20
#: How much the last step counts in where the edges lean; the others fade.
FRESH = 0.03
#: Edges of components that are done are put aside when no more than this share is left.
WORTH_SHRINKING = 0.8


@dataclass(frozen=True, slots=True)
class Climbed:
    """
    What weights prove in each component, and how much each edge leans to its right end.

    Components where the aim was known to be needed are left out: 0 for them, and their edges.
    """

    proven: Counts
    leaning: Floats


def climb(graph: Graph, matched: Mask, *, known: Counts, aim: Counts, work: int) -> Climbed:
    """
    Climb until the aim is proven in each component, or `work` edges have been looked at.

    `aim` is the calls of a plan, `known` what is proven already, `matched` a largest matching.
    A step goes as far as would reach the aim, were the slope to stay as it is (Polyak's rule).
    """
    found = np.zeros(graph.components)
    stride = np.ones(graph.components)
    idle = np.zeros(graph.components, dtype=np.int64)
    leaning = np.zeros(matched.size)
    edges = np.flatnonzero((known < aim)[graph.edge_component])
    scale = Scale.of(graph.part(edges))
    weights = scale.begin(matched[edges])
    for _ in range(STEPS):
        if not edges.size or work < edges.size:
            break
        work -= edges.size
        height, left, right = scale.weigh(weights)
        leaning[edges] += FRESH * (right - left - leaning[edges])
        slope = 1 - left - right
        slope[(weights <= 0) & (slope < 0)] = 0
        steepness = np.bincount(scale.component, weights=slope * slope, minlength=graph.components)
        idle = np.where(height > found, 0, idle + 1)
        found = np.maximum(height, found)
        stride[idle >= PATIENCE] /= 2
        idle[idle >= PATIENCE] = 0
        step = stride * (aim - height) / np.maximum(steepness, 1)
        weights = rounded(weights + step[scale.component] * slope)
        still = ((np.ceil(found) < aim) & (steepness > 0))[scale.component]
        if still.mean() < WORTH_SHRINKING:
            edges, weights = edges[still], weights[still]
            scale = Scale.of(scale.graph.part(still))
    return Climbed(np.ceil(found).astype(np.int64), leaning)
