"""The running counts: every line once, refusals by their reason, in bounded memory."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from bulkops.model import Outcome, Status
from bulkops.rules.tally import OTHER_CODES, Tally

_OUTCOMES = st.builds(
    Outcome,
    st.just(1),
    st.sampled_from([each for each in Status if each is not Status.SCHEDULED]),
    st.sampled_from(["", "INVALID_DATA", "no_answer"]),
    st.just("words"),
)


@given(st.lists(_OUTCOMES, max_size=60))
def test_refusals_are_counted_as_the_statuses_are(outcomes: list[Outcome]) -> None:
    """What is not in its wanted state has its reason, each line once; others have none."""
    tally = Tally()
    for outcome in outcomes:
        tally.add(outcome, sent=True)
    found = Counter[Status]()
    for each in tally.refusals.most_frequent(100):
        found[each.status] += each.lines
    fine = {Status.SUCCEEDED, Status.UNCHANGED, Status.DUPLICATE}
    expected = Counter(each.status for each in outcomes if each.status not in fine)
    assert expected == found
    assert len(outcomes) == tally.settled


def test_the_most_frequent_come_first_with_the_words_of_the_first() -> None:
    """Three of them are told, with one example each."""
    tally = Tally()
    for code, number in (("A", 1), ("B", 4), ("C", 2), ("D", 3)):
        for place in range(number):
            tally.add(Outcome(1, Status.FAILED, code, f"words {place}"), sent=True)
    told = tally.to_json()["refusals"]
    expected = [("B", 4, "words 0"), ("D", 3, "words 0"), ("C", 2, "words 0")]
    assert expected == [(each["code"], each["lines"], each["example"]) for each in told]


def test_a_server_that_makes_up_codes_fills_no_memory() -> None:
    """Beyond some hundred codes the rest is counted together, and no message is kept whole."""
    tally = Tally()
    for number in range(5000):
        tally.add(Outcome(1, Status.FAILED, f"CODE_{number}", "x" * 10_000), sent=True)
    found = tally.refusals.most_frequent(10_000)
    assert len(found) <= 201
    assert OTHER_CODES == found[0].code
    assert 5000 == sum(each.lines for each in found)
    assert max(len(each.example) for each in found) <= 200


def test_a_line_that_was_unknown_is_counted_once() -> None:
    """Found out by a later run, it is what it turned out to be, and nothing else."""
    tally = Tally(rows=1, statuses=Counter({Status.UNKNOWN: 1}))
    tally.add(Outcome(1, Status.SUCCEEDED), sent=True, found_out=1)
    assert 1 == tally.settled
    assert tally.wanted
    assert {"succeeded": 1} == tally.to_json()["statuses"]


def test_calls_to_go_are_the_plans_share_of_the_lines_to_go() -> None:
    """Lines that the plan does not send need no call, and those that wait for jobs had theirs."""
    tally = Tally(rows=120, planned_lines=100, planned_calls=10)
    assert 10 == tally.calls_left
    tally.statuses[Status.INVALID] = 20
    assert 10 == tally.calls_left
    tally.statuses[Status.SUCCEEDED] = 50
    tally.pending = 20
    assert 3 == tally.calls_left
    assert 0 == Tally(rows=5).calls_left
