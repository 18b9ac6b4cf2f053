"""
Where work waits: what may go, what must not go together, and how much may be kept.

A model with sets and lists holds `Parking` to its laws through any sequence of events.
"""

from __future__ import annotations

import random
import tracemalloc
from dataclasses import replace
from itertools import count, islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.model import Batch, Operation, Route
from bulkops.rules.parcel import Parcel
from bulkops.rules.parking import MOST, Load, Parking
from bulkops.rules.ration import Leave


def load(number: int, parent: str = "", lines: int = 1) -> Load:
    operations = tuple(Operation(number * 100 + n, str(n)) for n in range(lines))
    return Load(Batch(number, "unlink", Route("Products", parent, "Deals"), operations, lines))


def until(*due: float) -> tuple[Parcel, ...]:
    """Parcels that wait until those times."""
    return tuple(Parcel((Operation(1, "1"),), due=each) for each in due)


def taken(parking: Parking, now: float = 0.0, leave: Leave = Leave.ALL) -> int | None:
    found = parking.take(now, leave)
    return None if found is None else found.batch.number


def test_a_parked_load_goes_when_it_is_due_and_before_what_is_new() -> None:
    """It is due when its first parcel is."""
    parking = Parking(ahead=10)
    first = load(1, "a")
    parking.admit(first)
    assert parking.take(0.0, Leave.ALL) == first
    parking.park(first, until(7.0, 5.0))
    parking.admit(load(2, "b"))
    parking.admit(load(3, "c"))
    assert (parking.parked, parking.next_due) == (1, 5.0)
    assert [taken(parking, 4.9), taken(parking, 5.0), taken(parking, 5.0)] == [2, 1, 3]


def test_what_need_not_be_waited_for_is_swept_out() -> None:
    """Parked or behind its parent; the next of the parent goes then, and nothing is left over."""
    parking = Parking(ahead=10)
    loads = [load(1, "a"), load(2, "a"), load(3, "a"), load(4, "b")]
    for each in loads:
        parking.admit(each)
    assert [taken(parking), taken(parking)] == [1, 4]
    parking.park(loads[0], until(9.0))
    parking.park(loads[3], until(5.0, 8.0))
    left = {1: (), 2: (), 4: until(8.0)}
    parking.sweep(lambda each: left.get(each.batch.number))
    assert (len(parking), parking.parked, parking.next_due) == (2, 1, 8.0)
    assert [taken(parking, 7.9), taken(parking, 7.9), taken(parking, 8.0)] == [3, None, 4]
    parking.end(loads[2])
    parking.end(replace(loads[3], parcels=until(8.0)))
    assert parking.is_empty


def test_batches_of_one_parent_are_never_out_together() -> None:
    """A later one goes when the earlier has ended, and not while that is parked."""
    parking = Parking(ahead=10)
    loads = [load(1, "a"), load(2, "a"), load(3, "b"), load(4, "a")]
    for each in loads:
        parking.admit(each)
    assert [taken(parking), taken(parking), taken(parking)] == [1, 3, None]
    parking.park(loads[0], until(9.0))
    assert taken(parking, 8.0) is None
    again = parking.take(9.0, Leave.ALL)
    assert again is not None
    parking.end(again)
    assert [taken(parking, 9.0), taken(parking, 9.0)] == [2, None]
    parking.end(loads[1])
    assert taken(parking, 9.0) == 4


def test_calls_without_a_parent_wait_for_nobody() -> None:
    """Territories of many records travel together: no one record is theirs."""
    parking = Parking(ahead=10)
    for number in (1, 2, 3):
        parking.admit(load(number))
    assert [taken(parking) for _ in range(3)] == [1, 2, 3]


def test_a_parent_is_a_record_whatever_list_of_it_is_called() -> None:
    """Two lists of one record contend for one lock; equal ids in two modules are two records."""
    one = load(1, "a")
    other_list = replace(one.batch, route=Route("Products", "a", "Leads"))
    other_module = replace(one.batch, route=Route("Campaigns", "a", "Leads"))
    assert one.parent == Load(other_list).parent
    assert one.parent != Load(other_module).parent


@pytest.mark.parametrize(
    ("leave", "expected"),
    [
        (Leave.ALL, [1, 2, 3, 4]),
        (Leave.ONE_RETRY, [1, 3, 4, None]),
        (Leave.ONE_CALL, [1, None]),
        (Leave.NOTHING, [None]),
    ],
)
def test_trouble_narrows_what_is_handed_out(leave: Leave, expected: list[int | None]) -> None:
    """Two retries are due, and two new ones ready."""
    parking = Parking(ahead=10)
    retries = [load(1, "a"), load(2, "b")]
    for each in retries:
        parking.admit(each)
        parking.take(0.0, Leave.ALL)
    for each in retries:
        parking.park(each, until(1.0))
    for number in (3, 4):
        parking.admit(load(number, str(number)))
    assert [taken(parking, 1.0, leave) for _ in expected] == expected


def test_one_retry_after_the_other_comes_back() -> None:
    """Under a narrow leave the next goes as soon as the one before has ended, well or not."""
    parking = Parking(ahead=10)
    loads = [load(number, str(number)) for number in (1, 2)]
    for each in loads:
        parking.admit(each)
    assert [taken(parking), taken(parking)] == [1, 2]
    for each in loads:
        parking.park(each, until(1.0))
    first = parking.take(1.0, Leave.ONE_RETRY)
    assert first is not None
    assert parking.take(1.0, Leave.ONE_RETRY) is None
    parking.park(first, until(2.0))
    assert taken(parking, 1.0, Leave.ONE_RETRY) == 2


def test_there_is_room_only_for_what_is_needed_next() -> None:
    """`ahead` ready ones, and `most` in all: behind a locked parent as well."""
    parking = Parking(ahead=2, most=5)
    parking.admit(load(1, "a"))
    assert parking.has_room
    parking.admit(load(2, "b"))
    assert not parking.has_room
    assert [taken(parking), taken(parking)] == [1, 2]
    for number in range(3, 6):
        assert parking.has_room
        parking.admit(load(number, "a"))
    assert (parking.has_room, len(parking)) == (False, 3)


def test_it_is_empty_when_nothing_can_come_back() -> None:
    """What is out may be parked again."""
    parking = Parking(ahead=2)
    assert parking.is_empty
    one = load(1, "a")
    parking.admit(one)
    parking.take(0.0, Leave.ALL)
    assert not parking.is_empty
    parking.end(one)
    assert parking.is_empty


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 6), st.integers(1, 12), st.integers(0))
def test_whatever_happens_every_load_goes_once_at_a_time_and_ends(
    parents: int, most: int, seed: int
) -> None:
    """No parent is out twice, no more than `most` are here, order is kept, and none is lost."""
    chance = random.Random(seed)
    parking = Parking(ahead=3, most=most)
    plan = iter([load(number, str(chance.randrange(parents))) for number in range(1, 41)])
    out: list[Load] = []
    ended: list[Load] = []
    begun: list[Load] = []
    now, more = 0.0, True
    while more or not parking.is_empty:
        now += chance.random()
        while more and parking.has_room:
            fresh = next(plan, None)
            more = fresh is not None
            if fresh is not None:
                parking.admit(fresh)
        leave = chance.choice([Leave.ALL, Leave.ONE_RETRY, Leave.ONE_CALL])
        if (found := parking.take(now, leave)) is not None:
            assert found.parent not in {each.parent for each in out}
            assert found.due <= now
            begun += [] if found.parcels else [found]
            out.append(found)
        if out and (len(out) > 2 or found is None):
            back = out.pop(chance.randrange(len(out)))
            if chance.random() < 0.4:
                parking.park(back, until(now + chance.random() * 3))
            else:
                parking.end(back)
                ended.append(back)
        assert len(parking) <= most
    numbers = [each.batch.number for each in ended]
    assert sorted(numbers) == list(range(1, 41))
    for parent in {each.parent for each in begun}:
        order = [each.batch.number for each in begun if each.parent == parent]
        assert order == sorted(order)


def test_a_locked_parent_of_a_long_plan_takes_bounded_memory() -> None:
    """A thousand batches of a hundred rows are kept, however many more the plan has."""
    parking = Parking(ahead=20)
    plan = (load(number, "a" if number % 2 else str(number), lines=100) for number in count(1))
    tracemalloc.start()
    try:
        sizes = []
        for _ in range(3):
            for fresh in islice(plan, 1000):
                if not parking.has_room:
                    break
                parking.admit(fresh)
                found = parking.take(0.0, Leave.ALL)
                # The locked one never comes back; all others do at once.
                if found is not None and found.parent != ("Products", "a"):
                    parking.end(found)
            sizes.append((len(parking), tracemalloc.get_traced_memory()[0]))
    finally:
        tracemalloc.stop()
    assert sizes[-1][0] == MOST - 1
    assert sizes[-1][1] - sizes[-2][1] < 200_000
    assert sizes[-1][1] < 60 * 2**20
