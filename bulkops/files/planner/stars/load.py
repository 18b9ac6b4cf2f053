"""
Choose centres by how many edges each code has: for more edges than are held whole.

Needs a few bytes an edge beside the input, and no order of the edges. It is not for manifests
that fit: it sees no neighbours, so it leaves remainders where they are.
"""

from __future__ import annotations

import numpy as np

from bulkops.files.planner.stars.graph import Codes, Mask, Side, make_side

#: Passes; the later ones hardly change anything.
PASSES = 8


def calls(left: Codes, right: Codes, centre_right: Mask, *, cap_left: int, cap_right: int) -> int:
    """Return the calls of a choice."""
    return _calls(
        make_side(left, cap=cap_left), make_side(right, cap=cap_right), centre_right=centre_right
    )


def _calls(left: Side, right: Side, *, centre_right: Mask) -> int:
    return int(left.calls(~centre_right).sum() + right.calls(centre_right).sum())


def by_load(
    left: Codes, right: Codes, *, cap_left: int, cap_right: int, given: Mask | None = None
) -> Mask:
    """
    Return the best of a few choices in which each edge goes to the end that has more of them.

    At first that is the larger degree; then the larger load of the choice before, so that what
    is small empties. `given` and either side alone are compared with them.
    """
    one, other = make_side(left, cap=cap_left), make_side(right, cap=cap_right)
    begins = [np.zeros(left.size, dtype=np.bool_), np.ones(left.size, dtype=np.bool_)]
    best = min(
        [*([] if given is None else [given]), *begins],
        key=lambda choice: _calls(one, other, centre_right=choice),
    )
    cost = _calls(one, other, centre_right=best)
    load_left, load_right = one.count(), other.count()
    for _ in range(PASSES):
        choice = load_right[right] > load_left[left]
        load_left, load_right = one.count(~choice), other.count(choice)
        if (found := _calls(one, other, centre_right=choice)) < cost:
            best, cost = choice, found
    return best
