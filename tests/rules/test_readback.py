"""Judging a remote job by what the record holds after it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.model import Outcome, Status
from bulkops.rules.readback import judge_record, missed
from bulkops.rules.spec import Wish


def judged(
    wish: Wish,
    held: dict[str, str],
    *,
    ours: bool = True,
    last_chance: bool = False,
    job_id: str | None = "500",
) -> Outcome | None:
    """What becomes of line 3, which wishes territories 7 and 8."""
    return judge_record(
        line=3,
        wish=wish,
        members=("7", "8"),
        held=held,
        ours=ours,
        last_chance=last_chance,
        job_id=job_id,
    )


@pytest.mark.parametrize(
    ("wish", "held", "expected"),
    [
        (Wish.ABSENT, {}, ()),
        (Wish.ABSENT, {"9": "manually"}, ()),
        (Wish.ABSENT, {"8": "manually", "9": ""}, ("8",)),
        (Wish.ABSENT, {"8": "", "7": "automatically"}, ("7", "8")),
        (Wish.PRESENT, {"7": "manually", "8": "automatically", "9": ""}, ()),
        (Wish.PRESENT, {"8": "manually"}, ("7",)),
        (Wish.PRESENT, {}, ("7", "8")),
    ],
)
def test_what_is_not_as_it_was_wished(
    wish: Wish, held: dict[str, str], expected: tuple[str, ...]
) -> None:
    """Other territories of the record do not matter, nor how they are assigned."""
    assert missed(wish, ("7", "8"), held) == expected


@pytest.mark.parametrize(
    ("wish", "held"),
    [(Wish.ABSENT, {"9": "manually"}), (Wish.PRESENT, {"7": "manually", "8": "automatically"})],
)
@pytest.mark.parametrize(("ours", "status"), [(True, Status.SUCCEEDED), (False, Status.UNCHANGED)])
@pytest.mark.parametrize("last_chance", [True, False])
def test_a_wish_that_came_true_is_ours_or_another_job_s(
    wish: Wish, held: dict[str, str], ours: bool, status: Status, last_chance: bool
) -> None:
    """Who only waited for somebody else's job did not do it."""
    outcome = judged(wish, held, ours=ours, last_chance=last_chance)
    assert outcome is not None
    assert (outcome.line, outcome.status, outcome.code) == (3, status, "read_back")


@pytest.mark.parametrize("last_chance", [True, False])
def test_what_a_rule_assigned_cannot_be_removed(last_chance: bool) -> None:
    """Sending it again would not help; the territories are named."""
    outcome = judged(Wish.ABSENT, {"8": "automatically", "9": "manually"}, last_chance=last_chance)
    assert outcome is not None
    assert (outcome.status, outcome.code) == (Status.FAILED, "system_assigned")
    assert outcome.message.endswith(": 8")


@pytest.mark.parametrize(
    "held", [{"7": "manually"}, {"7": "manually", "8": "automatically"}, {"7": ""}]
)
def test_a_first_miss_is_sent_again(held: dict[str, str]) -> None:
    """The job had no effect, or not all of it, and a second may have."""
    assert judged(Wish.ABSENT, held) is None


@pytest.mark.parametrize(
    ("wish", "held", "words"),
    [
        (Wish.ABSENT, {"7": "manually"}, "still assigned: 7"),
        (Wish.PRESENT, {"7": "manually"}, "still not assigned: 8"),
        (Wish.PRESENT, {}, "still not assigned: 7, 8"),
    ],
)
def test_a_second_miss_is_final(wish: Wish, held: dict[str, str], words: str) -> None:
    """The message says what is wrong about the record."""
    outcome = judged(wish, held, last_chance=True)
    assert outcome is not None
    assert (outcome.status, outcome.code) == (Status.FAILED, "job_without_effect")
    assert outcome.message.endswith(words)


@pytest.mark.parametrize(
    ("job_id", "words"),
    [("500", "the job ended without effect, twice"), (None, "no job is under way")],
)
def test_only_a_job_that_is_known_is_said_to_have_ended(job_id: str | None, words: str) -> None:
    """A call that nobody answered may have made none."""
    outcome = judged(Wish.ABSENT, {"7": "manually"}, last_chance=True, job_id=job_id)
    assert outcome is not None
    assert f"{words}; still assigned: 7" == outcome.message


@pytest.mark.parametrize(("job_id", "expected"), [("500", "500"), ("", None), (None, None)])
def test_an_outcome_names_its_job_if_it_has_one(job_id: str | None, expected: str | None) -> None:
    """A server that schedules without an id leaves none to tell."""
    outcome = judged(Wish.ABSENT, {}, job_id=job_id)
    assert outcome is not None
    assert outcome.job_id == expected


HELD = st.dictionaries(
    st.sampled_from("789"), st.sampled_from(("manually", "automatically", "")), max_size=3
)


@given(st.sampled_from(Wish), HELD, st.booleans())
def test_the_last_chance_always_ends_a_line(wish: Wish, held: dict[str, str], ours: bool) -> None:
    """And it ends as wanted exactly if nothing is missed."""
    outcome = judged(wish, held, ours=ours, last_chance=True)
    assert outcome is not None
    wanted = outcome.status in {Status.SUCCEEDED, Status.UNCHANGED}
    assert wanted is not bool(missed(wish, ("7", "8"), held))
