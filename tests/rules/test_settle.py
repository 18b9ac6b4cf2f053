"""
Settling: every line of a batch ends in exactly one place, whatever the server says.

The laws are functions of the `settle` they judge, so that mutants of it can be put before them.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bulkops.model import (
    Batch,
    Exchange,
    NoReply,
    Operation,
    Reply,
    Route,
    Status,
    merge_items,
)
from bulkops.rules import match as match_module
from bulkops.rules import settle as settle_module
from bulkops.rules import settle_item as item_module
from bulkops.rules.operations import SPECS
from bulkops.rules.pacing import Waits
from bulkops.rules.parcel import Parcel
from bulkops.rules.progress import Progress
from bulkops.rules.retrying import Aftermath, Policy, what_next
from bulkops.rules.settle import settle
from bulkops.rules.settlement import Reason, Settlement, Settling
from bulkops.rules.spec import Spec, Wish

Settle = Callable[[Spec, Batch, Exchange, Settling], Settlement]
LAWFUL = settings(max_examples=150, deadline=None)
#: What deleting a territory that is not there answers.
GONE = "Given Territoryid isn't valid one"


def operation(line: int, item: int | str, *members: int) -> Operation:
    return Operation(line, str(item), tuple(str(each) for each in members))


def batch_of(spec: Spec, *operations: Operation) -> Batch:
    return Batch(1, spec.name, Route("Leads", "1", "Campaigns"), operations)


def said(code: str, message: str = "", **details: Any) -> dict[str, Any]:
    """A status object as the server writes it."""
    status = "success" if code in {"SUCCESS", "SCHEDULED"} else "error"
    return {"code": code, "details": details, "message": message, "status": status}


def places(settlement: Settlement) -> dict[int, Status | Reason]:
    """Where each line ended: the status of its outcome, or why it is left."""
    ended: dict[int, Status | Reason] = {each.line: each.status for each in settlement.outcomes}
    for rest in settlement.unprocessed:
        ended.update({each.line: rest.reason for each in rest.operations})
    return ended


def doubted(settlement: Settlement) -> set[int]:
    left = settlement.unprocessed
    return {each.line for rest in left if rest.in_doubt for each in rest.operations}


def settled(
    spec: str, status: int, body: Any, *operations: Operation, **context: Any
) -> Settlement:
    batch = batch_of(SPECS[spec], *operations)
    return settle(SPECS[spec], batch, Reply(status, body), Settling(**context))


WORDS = (
    *("SUCCESS", "SCHEDULED", "INVALID_DATA", "DUPLICATE_DATA", "LIMIT_EXCEEDED", "NO_PERMISSION"),
    *("RECORD_LOCKED", "ALREADY_SCHEDULED", "TOO_MANY_REQUESTS", "INTERNAL_ERROR", "INVALID_TOKEN"),
    *("MANDATORY_NOT_FOUND", "UNABLE_TO_PARSE_DATA_TYPE", "INVALID_MODULE", "NOT_ALLOWED"),
    *("success", "error", "relation not found", "contact role not deleted"),
    GONE,
    *("$.data[0]", " $.data[1].id", "$.data[1].Territories[1].id", "$.territories[0].id"),
    *("$.data[99].Territories[99].id", "$.data[-1]", "$.data[]", "11", "12", "999"),
)
KEYS = ("code", "details", "message", "status", "data", "territories", "error", "error_info")
DETAILS = ("id", "json_path", "job_id", "resource_path_index", "limit", "retry_after")
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(WORDS)
)
NAMES = st.sampled_from(KEYS + DETAILS) | st.text(max_size=4)
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=14,
)
MOMENTS = st.sampled_from(
    ["Fri, 31 Dec 1999 23:59:59 GMT", "1 Jan 99999999999 00:00:00 GMT", "Dec"]
)
WAITS = st.sampled_from(["0", "1.5", "-1", "nan", "inf", "soon", "", "9" * 400])
HEADERS = st.just({}) | st.fixed_dictionaries(
    {"Retry-After": WAITS | MOMENTS}, optional={"Date": MOMENTS}
)
STATUSES = st.sampled_from([200, 202, 204, 207, 400, 401, 403, 404, 413, 414, 429, 500, 502])
SILENCE = st.builds(NoReply, st.booleans(), st.text(max_size=5))
ANY_EXCHANGE = SILENCE | st.builds(Reply, STATUSES | st.integers(100, 599), ANY_JSON, HEADERS)


IDS = st.integers(11, 15) | st.sampled_from((4150868000000000011, 18446744073709551615))


@st.composite
def batches(draw: st.DrawFn, spec: Spec) -> Batch:
    """A batch whose lines share items and wish one territory or several."""
    members = st.lists(st.sampled_from((71, 72, 73)), min_size=1, max_size=3, unique=True)
    items = draw(st.lists(IDS, min_size=1, max_size=6))
    wishes = [draw(members) if spec.member else () for _ in items]
    return batch_of(
        spec,
        *(
            operation(line, item, *wish)
            for line, (item, wish) in enumerate(zip(items, wishes, strict=True), 101)
        ),
    )


@st.composite
def near_misses(draw: st.DrawFn, spec: Spec, batch: Batch) -> Reply:
    """An answer of the documented shape about this batch, with something wrong about it."""
    ids = [item.id for item in merge_items(batch.operations)]
    answers = []
    for index, item_id in enumerate(ids):
        named = st.sampled_from(
            (
                {"id": item_id},
                {"id": int(item_id)},
                {"id": item_id[:-1]},
                {"id": float(item_id)},
                {"id": [item_id]},
                {"id": 2**63 + index},
                {"json_path": f"$.{spec.envelope}[{index}].id"},
                {"json_path": f" $.{spec.envelope}[{index}].Territories[0].id"},
                {"json_path": f"$.{spec.envelope}[{index}].Territories[{index}].id"},
                {"json_path": f"$.{spec.envelope}[{index + 1}].Territories[7].id"},
                {"json_path": f"$.{spec.envelope}[{index + 7}].id"},
                {"id": ids[0], "json_path": f"$.{spec.envelope}[{index}].id"},
                {"job_id": "500"},
                {"id": item_id, "job_id": 500},
                {"id": None, "json_path": 3},
                {},
            )
        )
        code = draw(st.sampled_from(("SUCCESS", "SUCCESS", "SCHEDULED", *WORDS[2:15])))
        answers.append(said(code, draw(st.sampled_from(WORDS)), **draw(named)))
    twist = draw(st.integers(0, 6))
    victim = draw(st.integers(0, len(answers) - 1))
    match twist:
        case 0:
            answers = draw(st.permutations(answers))
        case 1:
            del answers[victim]
        case 2:
            answers.insert(victim, answers[victim])
        case 3:
            answers.append(said("SUCCESS", id="424242"))
        case 4:
            answers.insert(victim, draw(SCALARS))
        case 5:
            return Reply(draw(STATUSES), answers[victim])
    return Reply(draw(STATUSES), {spec.envelope: answers})


KNOWN = st.none() | st.sets(st.sampled_from(("71", "72", "73"))).map(frozenset)
LINES = st.sets(st.integers(101, 106)).map(frozenset)
CONTEXTS = st.builds(Settling, LINES, KNOWN) | st.builds(
    lambda silent, known: Settling(frozenset().union(*silent), known, silent),
    st.frozensets(LINES.filter(bool), max_size=3),
    KNOWN,
)
SPEC = st.sampled_from(sorted(SPECS)).map(SPECS.__getitem__)


@st.composite
def anything(draw: st.DrawFn) -> tuple[Spec, Batch, Exchange, Settling]:
    spec = draw(SPEC)
    return spec, draw(batches(spec)), draw(ANY_EXCHANGE), draw(CONTEXTS)


@st.composite
def nearly_right(draw: st.DrawFn) -> tuple[Spec, Batch, Exchange, Settling]:
    spec = draw(SPEC)
    batch = draw(batches(spec))
    return spec, batch, draw(near_misses(spec, batch)), draw(CONTEXTS)


def status_objects(body: object) -> Iterator[dict[str, Any]]:
    if isinstance(body, dict):
        if "code" in body or "error" in body:
            yield body
        for each in body.values():
            yield from status_objects(each)
    elif isinstance(body, list):
        for each in body:
            yield from status_objects(each)


def check_every_line_ends_once(
    settle: Settle, spec: Spec, batch: Batch, exchange: Exchange, context: Settling
) -> None:
    """Each line has one outcome or is left, never both, neither or twice; what is left is ours."""
    result = settle(spec, batch, exchange, context)
    left = [each for rest in result.unprocessed for each in rest.operations]
    ended = Counter([each.line for each in result.outcomes] + [each.line for each in left])
    assert Counter(each.line for each in batch.operations) == ended
    sent = {each.line: each for each in batch.operations}
    for each in left:
        original = sent[each.line]
        assert original == each._replace(members=original.members)
        assert set(each.members) <= set(original.members)
        assert bool(each.members) == bool(original.members)
    assert all(rest.operations for rest in result.unprocessed)


def check_nothing_is_made_up(
    settle: Settle, spec: Spec, batch: Batch, exchange: Exchange, context: Settling
) -> None:
    """Silence settles nothing; a success stands in the answer, or explains a silent try."""
    result = settle(spec, batch, exchange, context)
    allowed = {Status.SUCCEEDED, Status.UNCHANGED, Status.FAILED, Status.SCHEDULED}
    for each in result.outcomes:
        # A right that is missing now says nothing of the silent call before.
        kept_in_doubt = result.halt is not None and each.line in context.doubtful
        assert kept_in_doubt == (each.status is Status.UNKNOWN)
        assert each.status in allowed | {Status.UNKNOWN}
    if isinstance(exchange, NoReply):
        assert result.outcomes == ()
        assert result.halt is None
        lines = {each.line for each in batch.operations}
        assert (lines if exchange.sent else set()) == doubted(result)
        return
    spoken = [
        each
        for each in status_objects(exchange.body)
        if each.get("status") == "success" or each.get("code") in ("SUCCESS", "SCHEDULED")
    ]
    for each in result.outcomes:
        if each.status is Status.SCHEDULED or (
            each.status is Status.SUCCEEDED and each.line not in context.doubtful
        ):
            assert spoken
        if each.status is Status.UNCHANGED and each.line in context.doubtful:
            # What is taken away only now was not taken away by the call that met silence.
            assert spec.wish is Wish.ABSENT
            assert spoken
        assert exchange.status == each.http_status


#: What an item of the answer may say, and where its lines then belong.
TRUTHS: dict[str, tuple[list[str], Status | Reason, bool]] = {
    "done": (["SUCCESS"], Status.SUCCEEDED, False),
    "scheduled": (["SCHEDULED"], Status.SCHEDULED, False),
    "refused": (["NOT_ALLOWED"], Status.FAILED, False),
    "never heard of": (["SOMETHING_NEW"], Status.FAILED, False),
    "locked": (["RECORD_LOCKED"], Reason.LOCKED, False),
    "busy": (["ALREADY_SCHEDULED"], Reason.WAIT, False),
    "throttled": (["TOO_MANY_REQUESTS"], Reason.THROTTLED, False),
    "faulty": (["INTERNAL_ERROR"], Reason.RETRY, True),
    "not mentioned": ([], Reason.RETRY, True),
    "contradicted": (["SUCCESS", "NOT_ALLOWED"], Reason.RETRY, True),
}


_WITHOUT_JOBS: dict[Status | Reason, Status | Reason] = {
    Status.SCHEDULED: Status.SUCCEEDED,
    Reason.WAIT: Reason.LOCKED,
}


@st.composite
def named_answers(draw: st.DrawFn) -> tuple[Spec, Batch, Reply, list[str]]:
    """Answers that all say which item they speak of, in any order, with strangers among them."""
    spec = draw(SPEC)
    batch = draw(batches(spec))
    items = merge_items(batch.operations)
    truths = [draw(st.sampled_from(sorted(TRUTHS))) for _ in items]
    past = {"json_path": f"$.{spec.envelope}[{len(items) + 3}].id"}
    strangers = st.lists(st.sampled_from(({"id": "98"}, {"id": "99"}, past)), max_size=2)
    answers = [said("SUCCESS", **name) for name in draw(strangers)]
    for index, (item, truth) in enumerate(zip(items, truths, strict=True)):
        by_path = f"$.{spec.envelope}[{index}]"
        names = ({"id": item.id}, {"id": int(item.id)}, {"json_path": by_path})
        for code in TRUTHS[truth][0]:
            name = draw(st.sampled_from((*names, {"json_path": f" {by_path}.id"})))
            answers.append(said(code, **name))
    if not answers:
        answers, truths = [said("SUCCESS", id=items[0].id)], ["done", *truths[1:]]
    body = {spec.envelope: draw(st.permutations(answers))}
    return spec, batch, Reply(draw(STATUSES), body), truths


def check_named_answers_settle_what_they_name(
    settle: Settle, spec: Spec, batch: Batch, reply: Reply, truths: list[str]
) -> None:
    """Order, the HTTP status and strangers do not matter where every answer names its item."""
    result = settle(spec, batch, reply, Settling())
    ended, unsure = places(result), doubted(result)
    for item, truth in zip(merge_items(batch.operations), truths, strict=True):
        _, place, in_doubt = TRUTHS[truth]
        # Jobs are followed by the territories of their record; elsewhere there are none.
        place = place if spec.member else _WITHOUT_JOBS.get(place, place)
        for each in item.operations:
            assert (truth, place, in_doubt) == (truth, ended[each.line], each.line in unsure)


def check_unnamed_answers_go_by_position(
    settle: Settle, spec: Spec, batch: Batch, failures: list[bool], extra: int
) -> None:
    """Answers without a name are believed in the order sent, and only if none is too many."""
    items = merge_items(batch.operations)
    codes = ["NOT_ALLOWED" if failed else "SUCCESS" for failed in failures[: len(items)]]
    answers = [said(code) for code in codes] + [said("SUCCESS")] * extra
    result = settle(spec, batch, Reply(207, {spec.envelope: answers}), Settling())
    ended = places(result)
    for item, code in zip(items, codes, strict=True):
        place = Status.SUCCEEDED if code == "SUCCESS" else Status.FAILED
        for each in item.operations:
            assert (Reason.RETRY if extra else place) == ended[each.line]
            assert bool(extra) == (each.line in doubted(result))


def check_what_is_sent_again_is_less(
    settle: Settle, spec: Spec, batch: Batch, exchange: Exchange, context: Settling
) -> None:
    """What is sent again at once, and counts as no try, is smaller: it cannot go on for ever."""
    result = settle(spec, batch, exchange, context)
    reasons = {rest.reason for rest in result.unprocessed}
    if result.outcomes or not reasons <= {Reason.RESEND, Reason.BISECT}:
        return
    after, policy = Aftermath("", limit=result.limit), Policy(1, Waits())
    whole = Parcel(batch.operations)
    for rest in result.unprocessed:
        then = what_next(whole, rest, after, policy, silent=False, chance=0.0)
        assert then.parcels
        assert all(size_of(each.operations) < size_of(whole.operations) for each in then.parcels)


def size_of(operations: tuple[Operation, ...]) -> tuple[int, int, int]:
    items = merge_items(operations)
    return len(items), len(operations), sum(len(each.members) for each in operations)


def check_territory_members(settle: Settle) -> None:
    """An item is taken or refused as a whole: who is named is settled, the others go again."""
    spec = SPECS["remove_territories"]
    batch = batch_of(spec, operation(1, 11, 71), operation(2, 11, 72), operation(3, 12, 71))
    refusal = said("INVALID_DATA", json_path="$.data[0].Territories[1].id")
    reply = Reply(207, {"data": [refusal, said("SUCCESS", id="12")]})
    left = {1: Reason.RESEND, 3: Status.SUCCEEDED}
    for context, place in (
        (Settling(known={"72"}), Status.UNCHANGED),
        (Settling(known={"71"}), Status.FAILED),
        (Settling(known={"72"}, doubtful={2}), Status.SUCCEEDED),
    ):
        assert {**left, 2: place} == places(settle(spec, batch, reply, context))


def check_flat_refusal_of_one_item(settle: Settle) -> None:
    """A flat refusal that names an item settles it, and the rest is sent again."""
    spec = SPECS["link"]
    batch = batch_of(spec, operation(1, 11), operation(2, 12), operation(3, 12))
    for index, expected in (
        (0, {1: Status.FAILED, 2: Reason.RESEND, 3: Reason.RESEND}),
        (1, {1: Reason.RESEND, 2: Status.FAILED, 3: Status.FAILED}),
        (2, dict.fromkeys((1, 2, 3), Reason.BISECT)),
    ):
        body = said("MANDATORY_NOT_FOUND", json_path=f"$.data[{index}].list_price")
        assert expected == places(settle(spec, batch, Reply(400, body), Settling()))


def check_a_path_past_the_end(settle: Settle) -> None:
    """An index past what was sent names no item, and does not dispute what is said of one."""
    spec = SPECS["link"]
    answers = [said("SUCCESS", json_path="$.data[9].id"), said("NOT_ALLOWED", id="11")]
    batch = batch_of(spec, operation(1, 11))
    result = settle(spec, batch, Reply(207, {"data": answers}), Settling())
    assert places(result) == {1: Status.FAILED}


def check_a_stranger_in_the_order(settle: Settle) -> None:
    """Answers without a name are not believed beside one about something else."""
    spec = SPECS["link"]
    batch = batch_of(spec, operation(1, 11), operation(2, 12))
    for name in ({"id": "999"}, {"json_path": "$.data[9].id"}):
        body = {"data": [said("SUCCESS", **name), said("SUCCESS")]}
        result = settle(spec, batch, Reply(200, body), Settling())
        assert places(result) == {1: Reason.RETRY, 2: Reason.RETRY}


#: A relation of each line, those that were there at first, and silent calls: which were done.
Past = tuple[Spec, frozenset[int], list[tuple[frozenset[int], bool]]]
UNLINKS = st.sampled_from(("unlink", "unlink_contact_role")).map(SPECS.__getitem__)
PASTS = st.tuples(
    UNLINKS, LINES, st.lists(st.tuples(LINES.filter(bool), st.booleans()), max_size=4)
)


def check_what_silent_calls_did(
    settle: Settle, spec: Spec, held: frozenset[int], calls: Any
) -> None:
    """
    What is not there any more is ours if a silent call may have done it, and else nobody's.

    A call is done whole or not at all: one that asked for what is there still did nothing.
    """
    left = held.difference(*(lines for lines, done in calls if done))
    may_be_done = [lines for lines, _ in calls if not lines & left]
    lines = range(101, 107)
    answers = [
        said("SUCCESS", id=str(line))
        if line in left
        else said("INVALID_DATA", "relation not found", id=str(line))
        for line in lines
    ]
    silent = frozenset(lines for lines, _ in calls)
    context = Settling(frozenset().union(*silent), silent=silent)
    batch = batch_of(spec, *(operation(line, line) for line in lines))
    ended = places(settle(spec, batch, Reply(207, {"data": answers}), context))
    for line in lines:
        ours = line in left or any(line in each for each in may_be_done)
        assert (Status.SUCCEEDED if ours else Status.UNCHANGED) == ended[line]
        assert ours or line not in held


def check_a_call_too_large(settle: Settle) -> None:
    """What a gateway refuses for its size is halved by items until one is left, which fails."""
    spec = SPECS["remove_territories"]
    lines = (operation(1, 11, 71), operation(2, 11, 72), operation(3, 12, 71), operation(4, 12, 72))
    for status in (413, 414):
        two = settle(spec, batch_of(spec, *lines), Reply(status), Settling())
        one = settle(spec, batch_of(spec, *lines[:2]), Reply(status), Settling())
        assert (two.limit, two.outcomes) == (1, ())
        assert places(one) == {1: Status.FAILED, 2: Status.FAILED}


@LAWFUL
@given(anything())
def test_every_line_ends_once_whatever_comes(case: Any) -> None:
    """The law holds for any JSON at all, any HTTP status and both silences; nothing is raised."""
    check_every_line_ends_once(settle, *case)
    check_nothing_is_made_up(settle, *case)


@LAWFUL
@given(nearly_right())
def test_every_line_ends_once_for_answers_that_are_nearly_right(case: Any) -> None:
    """The law holds for mutated ids, indices out of range, doubled, missing and extra items."""
    check_every_line_ends_once(settle, *case)
    check_nothing_is_made_up(settle, *case)


@LAWFUL
@given(nearly_right())
def test_what_is_sent_again_at_once_is_less(case: Any) -> None:
    """Halves, single items and items without the member refused all come to an end."""
    check_what_is_sent_again_is_less(settle, *case)


@LAWFUL
@given(named_answers())
def test_named_answers_settle_what_they_name(case: Any) -> None:
    """Id and path decide, in any order; what nobody names, or two dispute, is in doubt."""
    check_named_answers_settle_what_they_name(settle, *case)


@LAWFUL
@given(PASTS)
def test_what_silent_calls_may_have_done_is_ours(case: Past) -> None:
    """And what none of them can have done was not there before."""
    check_what_silent_calls_did(settle, *case)


@LAWFUL
@given(SPEC.flatmap(batches), st.lists(st.booleans(), min_size=6, max_size=6), st.integers(0, 2))
def test_unnamed_answers_go_by_position(batch: Batch, failures: list[bool], extra: int) -> None:
    """Position is believed only while the answer has as many items as the request."""
    check_unnamed_answers_go_by_position(settle, SPECS[batch.spec], batch, failures, extra)


def test_a_refusal_of_one_territory_settles_its_line_alone() -> None:
    """The named line is looked up, its siblings are sent again, other records are not touched."""
    check_territory_members(settle)


def test_a_flat_refusal_that_names_an_item_settles_it_alone() -> None:
    """The path of a flat refusal is an index into what was sent; past its end it names nothing."""
    check_flat_refusal_of_one_item(settle)


def test_an_answer_about_an_item_past_the_end_is_about_none() -> None:
    """One answer too many does not unsettle the item that another names."""
    check_a_path_past_the_end(settle)


def test_known_territories_are_asked_for_before_anything_is_concluded() -> None:
    """Without the organisation's list a line can be neither unchanged nor failed."""
    refusal = said("INVALID_DATA", json_path="$.data[0].Territories[0].id")
    result = settled("remove_territories", 400, {"data": [refusal]}, operation(1, 11, 71, 72))
    assert places(result) == {1: Reason.LOOKUP}


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"71", "72"}, ("72",)),
        ({"72"}, Status.FAILED),
        (set(), Status.FAILED),
    ],
)
def test_a_line_of_several_territories_goes_on_with_the_others(
    known: set[str], expected: tuple[str, ...] | Status
) -> None:
    """If the one refused was so already the line is sent without it; if it is wrong, all fail."""
    refusal = said("INVALID_DATA", json_path="$.data[0].Territories[0].id")
    result = settled(
        "remove_territories", 400, {"data": [refusal]}, operation(1, 11, 71, 72), known=known
    )
    if isinstance(expected, Status):
        assert {1: expected} == places(result)
        assert "not done either, as the row is one wish: 72" in result.outcomes[0].message
    else:
        (rest,) = result.unprocessed
        assert (Reason.RESEND, (operation(1, 11, 72),)) == (rest.reason, rest.operations)


def test_lines_that_wish_the_same_territory_share_its_refusal() -> None:
    """Every line that wishes the territory named is settled by the refusal, and no other."""
    refusal = said("NOT_ALLOWED", json_path="$.data[0].Territories[1].id")
    lines = (operation(1, 11, 71), operation(2, 11, 72), operation(3, 11, 72, 73))
    result = settled("remove_territories", 400, {"data": [refusal]}, *lines)
    expected = {1: Reason.RESEND, 2: Status.FAILED, 3: Status.FAILED}
    assert expected == places(result)


def test_an_item_refused_without_a_territory_fails_all_its_lines() -> None:
    """`$.data[0].Territories` names none of them: the record holds too many."""
    refusal = said("LIMIT_EXCEEDED", json_path="$.data[0].Territories", limit=10)
    lines = (operation(1, 11, 71), operation(2, 11, 72))
    result = settled("assign_territories", 400, {"data": [refusal]}, *lines)
    assert places(result) == {1: Status.FAILED, 2: Status.FAILED}


def test_two_refused_territories_of_one_record_settle_one_line_at_a_time() -> None:
    """Two items about one record agree that it had no effect; the first is settled."""
    refusals = [
        said("NOT_ALLOWED", json_path="$.data[0].Territories[0].id"),
        said("NOT_ALLOWED", json_path="$.data[0].Territories[1].id"),
    ]
    lines = (operation(1, 11, 71), operation(2, 11, 72), operation(3, 11, 73))
    result = settled("remove_territories", 400, {"data": refusals}, *lines)
    assert places(result) == {1: Status.FAILED, 2: Reason.RESEND, 3: Reason.RESEND}


@pytest.mark.parametrize(
    ("spec", "answer"),
    [
        ("unlink", said("INVALID_DATA", "Relation not found", id="11")),
        ("unlink_contact_role", said("INVALID_DATA", "contact role not deleted", id="11")),
        ("unlink_contact_role", said("MANDATORY_NOT_FOUND", "relation not found")),
        ("link", said("DUPLICATE_DATA", id="11")),
        ("link", said("DUPLICATE_LINKING_DATA", "duplicate association", id="11")),
        ("assign_territories", said("DUPLICATE_DATA", json_path="$.data[0].Territories[0].id")),
    ],
)
def test_so_already_is_unchanged_and_after_silence_our_own_doing(
    spec: str, answer: dict[str, Any]
) -> None:
    """After a try that met silence, "so already" is the echo of that try."""
    body = {"data": [answer]}
    sent = operation(1, 11, *((71,) if SPECS[spec].member else ()))
    clear = settled(spec, 400, body, sent)
    doubtful = settled(spec, 400, body, sent, doubtful={1})
    expected = ({1: Status.UNCHANGED}, {1: Status.SUCCEEDED})
    assert expected == (places(clear), places(doubtful))


def test_what_is_done_only_now_was_not_done_by_the_silent_call() -> None:
    """A relation that is removed now shows that the earlier try of this call removed nothing."""
    body = {"data": [said("SUCCESS", id="11"), said("INVALID_DATA", "relation not found", id="12")]}
    lines = (operation(1, 11), operation(2, 12))
    result = settled("unlink", 207, body, *lines, doubtful={1, 2})
    assert places(result) == {1: Status.SUCCEEDED, 2: Status.UNCHANGED}
    other = settled("unlink", 207, body, *lines, doubtful={2})
    assert places(other) == {1: Status.SUCCEEDED, 2: Status.SUCCEEDED}


def test_deleting_a_territory_again_fails_unless_the_first_try_met_silence() -> None:
    """An unknown territory is a wrong id, or the echo of our own deletion."""
    words = "given territoryid isn't VALID one"
    body = {"territories": [said("INVALID_DATA", words, json_path="$.territories[0].id")]}
    clear = settled("delete_territory", 400, body, operation(1, 11))
    doubtful = settled("delete_territory", 400, body, operation(1, 11), doubtful={1})
    expected = ({1: Status.FAILED}, {1: Status.SUCCEEDED})
    assert expected == (places(clear), places(doubtful))


def test_a_doubt_is_disproved_only_by_evidence_about_its_own_call() -> None:
    """
    That one silent call did nothing says nothing about another silent call of the same batch.

    Calls 1 and 2 carried two lines each and met silence; so did call 3, with a line of each. The
    first line is done only now, so that calls 1 and 3 did nothing; call 2 may have done its part.
    """
    progress = Progress()
    for call, carried in ((1, [1, 2]), (2, [3, 4]), (3, [1, 3])):
        progress.take({"type": "sent", "batch": 1, "attempt": 1, "call": call, "lines": carried})
    progress.take({"type": "answer", "batch": 1, "call": 2, "doubtful": [3, 4]})
    lines = frozenset({1, 2, 3, 4})
    silent = progress.silences(1, lines)
    body = {"data": [said("SUCCESS", id="11")]}
    body["data"] += [
        said("INVALID_DATA", "relation not found", id=str(each)) for each in (12, 13, 14)
    ]
    operations = [operation(line, 10 + line) for line in lines]

    result = settled("unlink", 207, body, *operations, doubtful=lines, silent=silent)

    assert {
        1: Status.SUCCEEDED,
        2: Status.UNCHANGED,
        3: Status.SUCCEEDED,
        4: Status.SUCCEEDED,
    } == places(result)
    assert {frozenset({1, 2}), frozenset({3, 4}), frozenset({1, 3})} == silent


def test_what_a_repair_cut_off_is_disproved_by_nothing_else() -> None:
    """Which calls were lost with the log nobody knows: each line stands alone."""
    progress = Progress(repaired=True)
    assert {frozenset({1}), frozenset({2})} == progress.silences(1, {1, 2})


def test_a_wrong_target_is_no_echo() -> None:
    """Only the words about the territory itself can be our own doing."""
    answer = said("INVALID_DATA", "Given transfer_to_id isn't valid one", id="11")
    result = settled(
        "delete_territory", 400, {"territories": [answer]}, operation(1, 11), doubtful={1}
    )
    assert places(result) == {1: Status.FAILED}


@pytest.mark.parametrize("sent", [True, False])
def test_silence_leaves_all_and_doubts_only_what_was_sent(sent: bool) -> None:
    """A call that surely never left is not in doubt."""
    batch = batch_of(SPECS["link"], operation(1, 11), operation(2, 12))
    (rest,) = settle(SPECS["link"], batch, NoReply(sent, "reset")).unprocessed
    assert (Reason.RETRY, batch.operations, sent) == (rest.reason, rest.operations, rest.in_doubt)


@pytest.mark.parametrize(
    ("status", "reason", "in_doubt"),
    [
        (200, Reason.RETRY, True),
        (204, Reason.RETRY, True),
        (302, Reason.RETRY, True),
        (502, Reason.RETRY, True),
        (401, Reason.REFRESH, False),
        (429, Reason.THROTTLED, False),
        (413, Reason.RESEND, False),
    ],
)
@pytest.mark.parametrize("body", [None, [], {}, {"data": []}, {"data": {}}, "no"])
def test_an_answer_that_cannot_be_read(
    status: int, reason: Reason, in_doubt: bool, body: object
) -> None:
    """HTML, cut JSON and empty arrays settle nothing; the HTTP status says what to do next."""
    result = settled("unlink", status, body, operation(1, 11), operation(2, 12))
    assert {1: reason, 2: reason} == places(result)
    assert ({1, 2} if in_doubt else set()) == doubted(result)


def test_an_abort_fails_the_call_and_halts_its_group() -> None:
    """The halt has the server's own words; the lines of this call end with them."""
    body = said("NO_PERMISSION", "Permission denied to delete records")
    result = settled("unlink", 403, body, operation(1, 11), operation(2, 12))
    assert places(result) == {1: Status.FAILED, 2: Status.FAILED}
    assert result.halt is not None
    expected = ("NO_PERMISSION", "Permission denied to delete records", 403)
    assert expected == (result.halt.code, result.halt.message, result.halt.http_status)


def test_an_abort_says_nothing_of_a_silent_call_before() -> None:
    """What that call did is not known, whatever right is missing now: a later run asks again."""
    body = said("NO_PERMISSION", "Permission denied to delete records")
    result = settled("unlink", 403, body, operation(1, 11), operation(2, 12), doubtful={2})
    assert places(result) == {1: Status.FAILED, 2: Status.UNKNOWN}
    assert result.halt is not None


@pytest.mark.parametrize(
    ("code", "limit"), [("LIMIT_EXCEEDED", 2), ("UNABLE_TO_PARSE_DATA_TYPE", None)]
)
def test_a_call_that_cannot_be_smaller_fails(code: str, limit: int | None) -> None:
    """What is split or bisected ends with the single item; only a split says a limit."""
    body = said(code)
    alone = settled("remove_territories", 400, body, operation(1, 11, 71, 72))
    assert places(alone) == {1: Status.FAILED}
    several = settled("remove_territories", 400, body, *(operation(n, n, 71) for n in (1, 2, 3)))
    assert (limit, ()) == (several.limit, several.outcomes)


def test_a_record_that_is_too_large_fails_and_one_that_is_refused_goes_line_by_line() -> None:
    """Fewer items than one a call cannot hold; but which of its lines is bad can be found out."""
    lines = operation(1, 11, 71), operation(2, 11, 72)
    large = settled("remove_territories", 400, said("LIMIT_EXCEEDED"), *lines)
    assert places(large) == {1: Status.FAILED, 2: Status.FAILED}
    refused = settled("remove_territories", 400, said("UNABLE_TO_PARSE_DATA_TYPE"), *lines)
    assert places(refused) == {1: Reason.BISECT, 2: Reason.BISECT}


@pytest.mark.parametrize(
    ("named", "expected"),
    [("100", 100), (10, 10), (0, 51), (-1, 51), (101, 51), (None, 51), ("many", 51), ([], 51)],
)
def test_the_limit_is_what_the_server_names_or_half(named: object, expected: int) -> None:
    """A limit that would not make the call smaller is not believed."""
    body = said("LIMIT_EXCEEDED", limit=named)
    result = settled("unlink", 400, body, *(operation(n, n) for n in range(101)))
    assert expected == result.limit


@pytest.mark.parametrize(
    ("header", "detail", "expected"),
    [
        ("30", None, 30.0),
        ("0.5", 60, 0.5),
        (None, 60, 60.0),
        (None, "60", 60.0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", None, None),
        ("-5", None, None),
        ("nan", None, None),
        ("inf", None, None),
        (None, [], None),
        (None, None, None),
    ],
)
def test_retry_after_is_seconds_or_nothing(
    header: str | None, detail: object, expected: float | None
) -> None:
    """The header goes before the body; dates, negative and endless waits are left alone."""
    headers = {} if header is None else {"Retry-After": header}
    body = said("TOO_MANY_REQUESTS", retry_after=detail)
    batch = batch_of(SPECS["unlink"], operation(1, 11))
    assert expected == settle(SPECS["unlink"], batch, Reply(429, body, headers)).retry_after


def test_a_pending_item_keeps_its_job() -> None:
    """`SUCCESS` with a job id is as pending as `SCHEDULED` without one."""
    body = {"data": [said("SUCCESS", id="11", job_id=500), said("SCHEDULED", id="12")]}
    result = settled("remove_territories", 200, body, operation(1, 11, 71), operation(2, 12, 71))
    assert {each.line: each.job_id for each in result.outcomes} == {1: "500", 2: None}
    assert {Status.SCHEDULED} == {each.status for each in result.outcomes}


@pytest.mark.parametrize("code", [[], {}, [{}]], ids=str)
def test_a_code_of_any_type_is_read(code: object) -> None:
    """A code that is a list or an object is as unknown as any other, and raises nothing."""
    result = settled(
        "unlink", 400, {"data": [{"code": code, "details": {"id": "11"}}]}, operation(1, 11)
    )
    assert places(result) == {1: Status.FAILED}


def test_an_endless_index_names_nothing() -> None:
    """An index that no machine can count to raises nothing and fits no item."""
    answer = said("INVALID_DATA", json_path=f"$.data[{'9' * 5000}].id")
    result = settled("unlink", 400, {"data": [answer, said("SUCCESS", id="12")]}, operation(1, 11))
    assert places(result) == {1: Reason.RETRY}


def test_a_message_nested_as_deep_as_the_parser_allows_is_read() -> None:
    """Whatever the JSON parser lets through, settling can take."""
    body = orjson.loads(b'{"data":[{"code":"X","message":' + b"[" * 1018 + b"]" * 1018 + b"}]}")
    assert places(settled("unlink", 400, body, operation(1, 11))) == {1: Status.FAILED}


@pytest.mark.parametrize(
    "stranger",
    [
        said("INVALID_DATA", "relation not found", json_path="$.data[7].id"),
        said("SUCCESS", json_path="$.data[2].id"),
    ],
    ids=["refused", "done"],
)
def test_an_answer_that_names_an_item_never_sent_is_not_taken_for_its_neighbour(
    stranger: dict[str, Any],
) -> None:
    """Position is for answers without a name; one that names something else fits nothing."""
    body = {"data": [stranger, said("SUCCESS", id="12")]}
    result = settled("unlink", 207, body, operation(1, 11), operation(2, 12))
    assert places(result) == {1: Reason.RETRY, 2: Status.SUCCEEDED}


def test_a_stranger_among_the_answers_ends_the_trust_in_their_order() -> None:
    """Where one answer stands for an item that was not sent, the places of the others shifted."""
    check_a_stranger_in_the_order(settle)


@pytest.mark.parametrize(
    ("spec", "answer", "context", "place"),
    [
        (
            "remove_territories",
            said("INVALID_DATA", json_path="$.data[0].Territories[0].id"),
            {"known": {"71"}},
            Status.UNCHANGED,
        ),
        (
            "assign_territories",
            said("DUPLICATE_DATA", json_path="$.data[0].Territories[0].id"),
            {},
            Status.UNCHANGED,
        ),
        (
            "delete_territory",
            said("INVALID_DATA", GONE, json_path="$.territories[0].id"),
            {"doubtful": {1, 2}},
            Status.SUCCEEDED,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_flat_refusal_that_names_one_item_says_nothing_of_the_others(
    spec: str, answer: dict[str, Any], context: dict[str, Any], place: Status
) -> None:
    """Flat or wrapped, "so already" is told of the item named; the others were not done."""
    members = (71,) if SPECS[spec].member else ()
    lines = (operation(1, 11, *members), operation(2, 12, *members))
    result = settled(spec, 400, answer, *lines, **context)
    assert {1: place, 2: Reason.RESEND} == places(result)


def test_a_flat_refusal_that_names_no_contact_is_halved() -> None:
    """One contact without a role refuses the call; the others still have theirs."""
    body = said("MANDATORY_NOT_FOUND", "relation not found")
    result = settled("unlink_contact_role", 400, body, operation(1, 11), operation(2, 12))
    assert places(result) == {1: Reason.BISECT, 2: Reason.BISECT}


def test_a_call_too_large_is_cut_by_items() -> None:
    """However many lines share an item, each cut has fewer items; one alone fails."""
    check_a_call_too_large(settle)


def test_a_null_message_is_no_message() -> None:
    """What the server left out is not made into a word."""
    body = {"data": [{"code": "NOT_ALLOWED", "details": {"id": "11"}, "message": None}]}
    assert [each.message for each in settled("unlink", 400, body, operation(1, 11)).outcomes] == [
        ""
    ]


#: (module, what stands there, what the mutant says instead)
MUTANTS = {
    "loses items without an answer": (
        settle_module,
        "            unprocessed.append(\n                Remainder(",
        "            (lambda _: None)(\n                Remainder(",
    ),
    "forgets the rest of a flat refusal": (settle_module, "    if rest:\n", "    if False:\n"),
    "forgets the siblings of a territory": (
        item_module,
        "            again.append(operation)\n",
        "            pass\n",
    ),
    "loses what it joins": (
        settle_module,
        "tuple(op for each in group for op in each.operations)",
        "group[0].operations",
    ),
    "settles and sends again": (item_module, "return [], [rest]", "return done_too(), [rest]"),
    "trusts silence": (settle_module, "in_doubt=exchange.sent", "in_doubt=False"),
    "doubts what never left": (settle_module, "in_doubt=exchange.sent", "in_doubt=True"),
    "is sure of what nobody mentioned": (
        settle_module,
        "                    in_doubt=True,\n",
        "                    in_doubt=False,\n",
    ),
    "takes one silent call for all": (
        settle_module,
        "if done_now.isdisjoint(lines))",
        "if False)",
    ),
    "takes what one silent call did for what all did": (
        settle_module,
        "if done_now.isdisjoint(lines))",
        ")",
    ),
    "goes by the HTTP status": (
        settle_module,
        "        verdict = spec.judge(answer) or judge_item(answer)\n        done",
        "        verdict = Verdict.DONE if reply.status < 300 else Verdict.FAIL\n        done",
    ),
    "takes the record's index for the territory's": (
        item_module,
        "index = answer.indices[1]",
        "index = answer.indices[0]",
    ),
    "takes pending for done": (
        item_module,
        "Status.SCHEDULED if later else Status.SUCCEEDED",
        "Status.SUCCEEDED",
    ),
    "reads past the end": (
        settle_module,
        "return items[index] if index < len(items) else None",
        "return items[index]",
    ),
    "hears an echo without a call": (
        item_module,
        "status = Status.SUCCEEDED if doubtful else Status.UNCHANGED",
        "status = Status.UNCHANGED if doubtful else Status.SUCCEEDED",
    ),
    "takes one line of an item for all": (
        item_module,
        "for each in item.operations], []",
        "for each in item.operations[:1]], []",
    ),
    "counts lines where the call counts items": (
        settle_module,
        "    count = len(merge_items(batch.operations))\n",
        "    count = len(batch.operations)\n",
    ),
    "takes a flat refusal for true of all": (
        settle_module,
        "if named is not None and verdict in _OF_ONE_ITEM:",
        "if named is not None and verdict is Verdict.LOCKED:",
    ),
    "trusts an order that a stranger broke": (
        match_module,
        "place in {None, position} for",
        "place in {None, position, _STRANGER} for",
    ),
    "always goes by position": (
        match_module,
        "in_order = len(answers) == len(items) and",
        "in_order =",
    ),
    "never goes by the path": (
        match_module,
        "if answer.path.startswith(",
        "if not answer and answer.path.startswith(",
    ),
    "believes the first of two": (match_module, "disputed.add(index)", "pass"),
    "does not bound the path": (
        match_module,
        "answer.indices[0] if answer.indices[0] < count else _STRANGER",
        "answer.indices[0] % count",
    ),
}


def mutated(module: ModuleType, found: str, put: str) -> Settle:
    """`settle` with one place changed, of it or of what it calls to match and settle an item."""
    source = inspect.getsource(module)
    assert source.count(found) == 1, f"the mutant no longer fits {module.__name__}: {found!r}"
    mutant = ModuleType("bulkops.mutant")
    made_up = "def done_too():\n    return [Outcome(101, Status.FAILED)]\n"
    code = compile(source.replace(found, put), module.__file__ or "", "exec")
    exec(code, mutant.__dict__)
    exec(made_up, mutant.__dict__)
    if module is settle_module:
        return mutant.settle
    changed = ModuleType("bulkops.mutant")
    exec(compile(inspect.getsource(settle_module), "settle", "exec"), changed.__dict__)
    called = "match_items" if module is match_module else "settle_item"
    changed.__dict__[called] = mutant.__dict__[called]
    return changed.settle


def broken_laws(mutant: Settle) -> Iterable[str]:
    """Name each law that finds the mutant out."""
    quick = settings(
        max_examples=100,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )

    def any_answer(case: Any) -> None:
        check_every_line_ends_once(mutant, *case)
        check_nothing_is_made_up(mutant, *case)
        check_what_is_sent_again_is_less(mutant, *case)

    def named(case: Any) -> None:
        check_named_answers_settle_what_they_name(mutant, *case)

    def after_silence(case: Past) -> None:
        check_what_silent_calls_did(mutant, *case)

    def unnamed(batch: Batch, failures: list[bool], extra: int) -> None:
        check_unnamed_answers_go_by_position(mutant, SPECS[batch.spec], batch, failures, extra)

    bools = st.lists(st.booleans(), min_size=6, max_size=6)
    laws: dict[str, Callable[[], None]] = {
        "members": lambda: check_territory_members(mutant),
        "flat": lambda: check_flat_refusal_of_one_item(mutant),
        "past the end": lambda: check_a_path_past_the_end(mutant),
        "strangers": lambda: check_a_stranger_in_the_order(mutant),
        "too large": lambda: check_a_call_too_large(mutant),
        "near misses": quick(given(nearly_right())(any_answer)),
        "named": quick(given(named_answers())(named)),
        "after silence": quick(given(PASTS)(after_silence)),
        "positions": quick(given(SPEC.flatmap(batches), bools, st.integers(0, 2))(unnamed)),
        "anything": quick(given(anything())(any_answer)),
    }
    for name, law in laws.items():
        try:
            law()
        except Exception:  # noqa: BLE001  (raising breaks the law as well)
            yield name


@pytest.mark.parametrize("name", MUTANTS)
def test_the_laws_find_a_mutant_out(name: str) -> None:
    """A law that no wrong `settle` can break would be worth nothing."""
    assert next(iter(broken_laws(mutated(*MUTANTS[name]))), None) is not None


def test_the_laws_find_nothing_in_an_unchanged_copy() -> None:
    """What is found in a mutant is due to its change, not to its being a copy."""
    assert list(broken_laws(mutated(settle_module, "pure, no clock", "pure; no clock"))) == []
