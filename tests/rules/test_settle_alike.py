"""The shortcut for answers that say one thing of all items: it settles as the long way does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from bulkops.model import Alike, Batch, Exchange, Outcome, Reply, Status, gathered, merge_items
from bulkops.rules import settle as settle_module
from bulkops.rules.settle import settle
from bulkops.rules.settle_alike import settle_alike
from bulkops.rules.settlement import Settlement, Settling
from bulkops.rules.spec import Spec
from tests.rules.test_settle import (
    CONTEXTS,
    LAWFUL,
    SPEC,
    WORDS,
    anything,
    batches,
    nearly_right,
    said,
)

Case = tuple[Spec, Batch, Exchange, Settling]
#: What makes an answer less plain, each of one status object.
TWISTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "none": lambda _: None,
    "another code": lambda each: each.update(code="INTERNAL_ERROR"),
    "a code that is no text": lambda each: each.update(code=True),
    "an old code beside it": lambda each: each.update(error="TOO_MANY_REQUESTS"),
    "another status": lambda each: each.update(status="error"),
    "a message that is no text": lambda each: each.update(message=["", 1]),
    "no message": lambda each: each.pop("message"),
    "an id that is a number": lambda each: each["details"].update(id=int(each["details"]["id"])),
    "an id never sent": lambda each: each["details"].update(id="424242"),
    "a job": lambda each: each["details"].update(job_id="500"),
    "a path": lambda each: each["details"].update(json_path="$.data[0].Territories[0].id"),
    "no details": lambda each: each.update(details=None),
    "a list for details": lambda each: each.update(details=["id"]),
}


def the_long_way(spec: Spec, batch: Batch, exchange: Exchange, context: Settling) -> Settlement:
    """Settle without the shortcut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settle_module, "settle_alike", lambda *_: None)
        return settle(spec, batch, exchange, context)


@st.composite
def nearly_alike(draw: st.DrawFn) -> Case:
    """One answer for all items, in any order, and at times something wrong about one of them."""
    spec = draw(SPEC)
    batch = draw(batches(spec))
    code, words = draw(st.sampled_from(WORDS[:15])), draw(st.sampled_from(WORDS))
    answers = [said(code, words, id=item.id) for item in merge_items(batch.operations)]
    twist = draw(st.just("none") | st.sampled_from(sorted(TWISTS)))
    TWISTS[twist](draw(st.sampled_from(answers)))
    reply = Reply(
        draw(st.sampled_from([200, 207, 400])), {spec.envelope: draw(st.permutations(answers))}
    )
    return spec, batch, reply, draw(st.just(Settling()) | CONTEXTS)


@LAWFUL
@given(nearly_alike() | nearly_right() | anything())
def test_the_shortcut_ends_where_the_long_way_does(case: Case) -> None:
    """Whatever the answer: the same outcomes, and the same left to be done."""
    spec, batch, exchange, context = case
    short, long = settle(*case), the_long_way(*case)

    assert sorted(long.outcomes) == sorted(short.outcomes)
    assert (long.unprocessed, long.halt, long.retry_after, long.limit) == (
        short.unprocessed,
        short.halt,
        short.retry_after,
        short.limit,
    )
    wrapped = (
        exchange.body.get(spec.envelope)
        if isinstance(exchange, Reply) and isinstance(exchange.body, dict)
        else None
    )
    if isinstance(wrapped, list) and wrapped:
        event(f"taken: {settle_alike(spec, batch, 200, wrapped, context) is not None}")


@pytest.mark.parametrize("code", ["SUCCESS", "INVALID_DATA"])
@given(spec=SPEC, data=st.data())
@LAWFUL
def test_one_answer_for_all_takes_the_shortcut(code: str, spec: Spec, data: st.DataObject) -> None:
    """In whatever order the items come; otherwise it would save nothing."""
    batch = data.draw(batches(spec))
    answers = [said(code, "any words", id=item.id) for item in merge_items(batch.operations)]
    found = settle_alike(spec, batch, 200, data.draw(st.permutations(answers)), Settling())

    assert found is not None
    assert [each.line for each in batch.operations] == list(found.lines)


LIKE = st.builds(
    Outcome,
    st.integers(1, 9),
    st.sampled_from([Status.FAILED, Status.SUCCEEDED]),
    st.sampled_from(["", "CODE"]),
)


@given(st.lists(LIKE))
def test_what_is_gathered_is_what_there_was(outcomes: list[Outcome]) -> None:
    """In its order, and nothing stands apart that stood together and is alike."""
    groups = gathered(outcomes)

    assert outcomes == [each for group in groups for each in group.outcomes]
    assert all(map(differ, groups, groups[1:]))


def differ(one: Alike, other: Alike) -> bool:
    return one.outcome._replace(line=0) != other.outcome._replace(line=0)
