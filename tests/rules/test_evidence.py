"""What one parcel's answer says of the others that an earlier silent call carried too."""

from __future__ import annotations

import pytest

from bulkops.model import Alike, Learnt, Operation, Outcome, Status
from bulkops.rules.evidence import done_only_now, relieved
from bulkops.rules.operations import SPECS
from bulkops.rules.parcel import Parcel
from bulkops.rules.settlement import Settlement

_LINES = tuple(Operation(line, str(line)) for line in (1, 2, 3))


def ended(status: Status, learnt: Learnt, *lines: int) -> Settlement:
    outcome = Outcome(lines[0], status, "CODE", learnt=learnt)
    return Settlement((Alike(outcome, lines),))


@pytest.mark.parametrize(
    ("name", "status", "learnt", "expected"),
    [
        ("unlink", Status.SUCCEEDED, Learnt.ANSWERED, {1}),
        ("unlink", Status.SUCCEEDED, Learnt.ECHO, set()),
        ("unlink", Status.FAILED, Learnt.ANSWERED, set()),
        ("link", Status.SUCCEEDED, Learnt.ANSWERED, set()),
        ("remove_territories", Status.SUCCEEDED, Learnt.ANSWERED, set()),
    ],
)
def test_only_what_is_taken_away_now_was_there_before(
    name: str, status: Status, learnt: Learnt, expected: set[int]
) -> None:
    """And only a line that was in doubt says anything about an earlier call."""
    parcel = Parcel(_LINES, doubtful=frozenset({1}))
    assert expected == done_only_now(SPECS[name], parcel, ended(status, learnt, 1, 2))


def test_doubts_about_other_calls_stay() -> None:
    """What the other silent calls did nobody has said."""
    whole, own = frozenset({1, 2, 3}), frozenset({2})
    parcel = Parcel(_LINES, doubtful=frozenset({2, 3}), silent=frozenset({whole, own}))
    assert Parcel(_LINES, doubtful=own, silent=frozenset({own})) == relieved(parcel, frozenset({1}))
    assert parcel == relieved(parcel, frozenset({4}))
