"""
A call that is refused without a name for its bad row: few calls, and every good row goes through.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.model import Batch, Operation, Reply, Route, Status, merge_items
from bulkops.rules.operations import SPECS
from bulkops.rules.pacing import Waits
from bulkops.rules.parcel import Parcel
from bulkops.rules.retrying import Aftermath, Policy, what_next
from bulkops.rules.settle import settle

#: What a server says that does not say which: none of these names an item.
REFUSALS = ("UNABLE_TO_PARSE_DATA_TYPE", "INVALID_DATA", "MANDATORY_NOT_FOUND")
ONCE = Policy(attempts=1, waits=Waits())


class Server:
    """Refuses every call that carries a bad line, and does all others."""

    def __init__(self, bad: set[int], refusal: str) -> None:
        self.bad = bad
        self.refusal = refusal
        self.calls = 0

    def answer(self, operations: Sequence[Operation]) -> Reply:
        self.calls += 1
        if self.bad & {each.line for each in operations}:
            body = {"code": self.refusal, "details": {}, "message": "no", "status": "error"}
            return Reply(400, body)
        done = [
            {"code": "SUCCESS", "details": {"id": item.id}, "message": "", "status": "success"}
            for item in merge_items(operations)
        ]
        return Reply(200, {"data": done})


def carried(spec_name: str, lines: Sequence[Operation], server: Server) -> dict[int, Status]:
    """Carry the lines of one batch to their end, as a carrier does, without its waiting."""
    spec = SPECS[spec_name]
    batch = Batch(1, spec_name, Route("Leads", "1", "Campaigns"), tuple(lines))
    parcels, ended = [Parcel(batch.operations)], Counter[int]()
    statuses: dict[int, Status] = {}
    while parcels:
        parcel = parcels.pop()
        exchange = server.answer(parcel.operations)
        settlement = settle(spec, replace(batch, operations=parcel.operations), exchange)
        for outcome in settlement.outcomes:
            ended[outcome.line] += 1
            statuses[outcome.line] = outcome.status
        after = Aftermath("", limit=settlement.limit)
        for rest in settlement.unprocessed:
            then = what_next(parcel, rest, after, ONCE, silent=False, chance=0.0)
            assert all(each.wait_s == 0 for each in then.parcels)
            parcels.extend(then.parcels)
    assert set(ended.values()) <= {1}
    return statuses


def depth(count: int) -> int:
    """The logarithm to base 2, rounded up."""
    return (count - 1).bit_length()


SIZES_AND_BAD = st.integers(1, 100).flatmap(
    lambda size: st.tuples(st.just(size), st.sets(st.integers(1, size)))
)


@settings(max_examples=300, deadline=None)
@given(SIZES_AND_BAD, st.sampled_from(REFUSALS))
def test_bad_rows_are_found_within_the_bound(case: tuple[int, set[int]], refusal: str) -> None:
    """At most `2 * k * ceil(log2 n) + 1` calls; the bad rows fail, all others go through."""
    size, bad = case
    server = Server(bad, refusal)
    statuses = carried("unlink", [Operation(n, str(n)) for n in range(1, size + 1)], server)
    assert {line for line, status in statuses.items() if status is Status.FAILED} == bad
    assert {line for line, status in statuses.items() if status is Status.SUCCEEDED} == (
        set(range(1, size + 1)) - bad
    )
    assert server.calls <= 2 * len(bad) * depth(size) + 1


RECORDS = st.lists(st.integers(1, 12), min_size=1, max_size=60)


@settings(max_examples=200, deadline=None)
@given(RECORDS, st.data())
def test_a_bad_line_takes_no_other_line_of_its_record_along(
    records: list[int], data: st.DataObject
) -> None:
    """A record that stands alone is parted into its lines: the bound then has both depths."""
    lines = [Operation(n, str(record), (str(100 + n),)) for n, record in enumerate(records)]
    bad = data.draw(st.sets(st.sampled_from(range(len(lines)))))
    server = Server(bad, "UNABLE_TO_PARSE_DATA_TYPE")
    statuses = carried("remove_territories", lines, server)
    assert {line for line, status in statuses.items() if status is Status.FAILED} == bad
    assert set(statuses) == set(range(len(lines)))
    fullest = max(Counter(records).values())
    deepest = depth(len(set(records))) + depth(fullest)
    assert server.calls <= 2 * len(bad) * deepest + 1


@pytest.mark.parametrize(("bad", "calls"), [(set(), 1), ({1}, 15), (set(range(1, 101)), 199)])
def test_the_price_of_a_hundred(bad: set[int], calls: int) -> None:
    """One call where all is well; 15 for one bad row; two a row, less one, where all are bad."""
    server = Server(bad, REFUSALS[0])
    carried("unlink", [Operation(n, str(n)) for n in range(1, 101)], server)
    assert server.calls == calls
