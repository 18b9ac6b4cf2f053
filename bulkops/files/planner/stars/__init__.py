"""
Choose the centre of each relation's star, so that a manifest takes few calls, and prove how few.

A relation that can be called from either side is an edge of a bipartite graph; a call is a star:
one centre and as many leaves as a call may have. `fewest` says for each edge which end is the
centre, and what no choice can beat; `calls` counts what a choice costs.

Functions of arrays only: codes from 0 come in, answers per edge go out. This knows nothing of
ids, manifests or batches. The same input gives the same output.
"""

from __future__ import annotations

from bulkops.files.planner.stars.bound import EDGES_WHOLE, WORK, Argument, Bound, lower_bound
from bulkops.files.planner.stars.choice import Fewest, choose, fewest
from bulkops.files.planner.stars.load import calls

__all__ = [
    "EDGES_WHOLE",
    "WORK",
    "Argument",
    "Bound",
    "Fewest",
    "calls",
    "choose",
    "fewest",
    "lower_bound",
]
