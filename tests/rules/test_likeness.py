"""Recognising an answer by one before it: what is recognised is settled as if it were read."""

from __future__ import annotations

import json
from collections.abc import Sequence

import orjson
import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from bulkops.model import Batch, Json, Operation, Reply, Route, SealedReply
from bulkops.rows import PlainItems, PlainOperations, merge_items
from bulkops.rules.likeness import Likeness, likeness_of, recognised
from bulkops.rules.operations import SPECS
from bulkops.rules.settle import settle
from bulkops.rules.settlement import Settling

UNLINK = SPECS["unlink"]
NO_DOUBT = Settling()
#: How a server may word one item, `%` being its id; and what stands around all of them.
ITEMS = (
    '{"code":"SUCCESS","details":{"id":"%"},"message":"relation removed","status":"success"}',
    '{"details": {"id": "%"}, "status": "success", "message": "done", "code": "SUCCESS"}',
    '{"code":"INVALID_DATA","details":{"id":"%"},"message":"relation not found","status":"error"}',
    '{"code":"INVALID_DATA","details":{"id":"%"},"message":"invalid data","status":"error"}',
    '{"code":"SUCCESS","details":{"id":%},"message":"relation removed","status":"success"}',
    '{"code":"SUCCESS","details":{"id":"%"},"message":"%","status":"success"}',
    '{"message":"%","code":"SUCCESS","details":{"id":"%"},"status":"success"}',
    '{"code":"%","details":{"id":"%"},"message":"removed","status":"success"}',
    '{"code":"SUCCESS","details":{"id":"7"},"message":"%","status":"success"}',
    '{"code":"SUCCESS","details":{"id":"%","id":"7"},"message":"twice","status":"success"}',
    '{"code":"SUCCESS","details":{"id":"%","job_id":"9"},"message":"later","status":"success"}',
    '{"code":"RECORD_LOCKED","details":{"id":"%"},"message":"locked","status":"error"}',
    '{"code":"SUCCESS","message":"relation removed","status":"success"}',
    '"%"',
    "%",
)
AROUND = (
    '{"data":[*]}',
    '{ "data" : [ * ] }\n',
    '{"data":[*],"info":"7"}',
    '{"rows":[*]}',
    "[*]",
    "*",
)
IDS = st.lists(st.sampled_from(["7", "8", "11", "55", "123", "4150868000000001"]), unique=True)


def parsed(raw: bytes) -> Json:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None


def answer(ids: Sequence[str], *, item: str, around: str, status: int = 200) -> SealedReply:
    items = ",".join(item.replace("%", each) for each in ids)
    return SealedReply(status, around.replace("*", items).encode(), {}, parsed)


def batch(ids: Sequence[str], *, first: int = 1) -> Batch:
    lines = list(range(first, first + len(ids)))
    return Batch(
        1, "unlink", Route("Products", "5", "Deals"), PlainOperations(lines, ids), len(ids)
    )


def learnt(ids: Sequence[str], reply: SealedReply) -> Likeness | None:
    """What is kept of a first answer, if it settled everything in one way."""
    settlement = settle(UNLINK, batch(ids), reply)
    if len(settlement.ended) != 1 or settlement.unprocessed:
        return None
    return likeness_of(UNLINK, batch(ids), reply, settlement.ended[0])


@given(
    one=IDS.filter(bool),
    other=IDS.filter(bool),
    wording=st.tuples(st.sampled_from(ITEMS), st.sampled_from(AROUND)),
    another=st.tuples(st.sampled_from(ITEMS), st.sampled_from(AROUND)),
    same=st.booleans(),
    named=st.permutations(range(6)),
    in_order=st.booleans(),
    status=st.sampled_from([200, 200, 207, 400]),
)
@example(
    ["123"], ["8"], (ITEMS[6], AROUND[0]), (ITEMS[6], AROUND[0]), True, list(range(6)), True, 200
)
@example(
    ["7", "8"],
    ["11"],
    (ITEMS[0], AROUND[0]),
    (ITEMS[0], AROUND[0]),
    True,
    list(range(6)),
    True,
    200,
)
def test_what_is_recognised_is_settled_as_if_it_were_read(
    one: list[str],
    other: list[str],
    wording: tuple[str, str],
    another: tuple[str, str],
    same: bool,
    named: Sequence[int],
    in_order: bool,
    status: int,
) -> None:
    """Whatever the first answer was like, the second is read, or means what reading it would."""
    item, around = wording
    likeness = learnt(one, answer(one, item=item, around=around))
    item, around = wording if same else another
    spoken = other if in_order else [other[place] for place in named if place < len(other)]
    reply = answer(spoken, item=item, around=around, status=status)
    found = recognised(likeness, batch(other, first=50), reply, NO_DOUBT)
    event("recognised" if found else "read")
    if found is not None:
        expected = settle(UNLINK, batch(other, first=50), Reply(reply.status, reply.body))
        assert (found,) == expected.ended
        assert expected.unprocessed == ()
        assert expected.halt is None


@pytest.mark.parametrize("number", [1, 2, 100])
@pytest.mark.parametrize("item", ITEMS[:4])
def test_the_words_of_the_server_are_recognised(item: str, number: int) -> None:
    """The usual answers of a long run, also for fewer ids than they were learnt of."""
    ids = [str(4150868000000000 + each) for each in range(number)]
    likeness = learnt(ids, answer(ids, item=item, around=AROUND[0]))
    for others in (["12345"], [str(each) for each in range(1, number + 1)]):
        found = recognised(
            likeness, batch(others), answer(others, item=item, around=AROUND[0]), NO_DOUBT
        )
        assert found is not None
        assert list(found.lines) == list(range(1, len(others) + 1))


def test_doubt_and_odd_ids_are_left_to_the_rules() -> None:
    """A line that met silence, an id that is no number, and lines that share an item."""
    reply = answer(["7"], item=ITEMS[0], around=AROUND[0])
    likeness = learnt(["7"], reply)
    assert recognised(likeness, batch(["7"]), reply, NO_DOUBT) is not None
    assert recognised(likeness, batch(["7"]), reply, Settling(doubtful={1})) is None
    odd = answer(['8","id":"9'], item=ITEMS[0], around=AROUND[0])
    assert recognised(likeness, batch(['8","id":"9']), odd, NO_DOUBT) is None
    pair = learnt(["7", "8"], answer(["7", "8"], item=ITEMS[0], around=AROUND[0]))
    three = answer(["7", "8", "9"], item=ITEMS[0], around=AROUND[0])
    assert recognised(pair, batch(["7", "8,9"]), three, NO_DOUBT) is None
    twice = answer(["7", "7"], item=ITEMS[0], around=AROUND[0])
    assert recognised(likeness, batch(["7", "7"]), twice, NO_DOUBT) is None


def test_plain_operations_are_the_tuple_they_stand_for() -> None:
    """To whoever compares, counts, cuts or merges them."""
    plain = PlainOperations([3, 4, 5], ["7", "8", "9"])
    same = tuple(Operation(line, item) for line, item in ((3, "7"), (4, "8"), (5, "9")))
    assert plain == same
    assert same == plain
    assert (plain[1], plain[1:], len(plain)) == (same[1], same[1:], 3)
    merged = merge_items(plain)
    assert isinstance(merged, PlainItems)
    assert merged == merge_items(same)
    assert merged[1:] == merge_items(same)[1:]
    shared = PlainOperations([3, 4], ["7", "7"])
    assert merge_items(shared) == merge_items(tuple(shared))


def test_a_sealed_reply_is_the_reply_it_holds() -> None:
    """Read once, and only when somebody asks."""
    times: list[bytes] = []

    def parse(raw: bytes) -> Json:
        times.append(raw)
        return json.loads(raw)

    sealed = SealedReply(200, b'{"a": 1}', {"Date": "x"}, parse)
    assert times == []
    assert Reply(200, {"a": 1}, {"Date": "x"}) == sealed
    assert sealed == Reply(200, {"a": 1}, {"Date": "x"})
    assert sealed != Reply(200, {"a": 2}, {"Date": "x"})
    assert len(times) == 1
