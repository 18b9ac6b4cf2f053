"""A relation against the plainest model of it: a set of pairs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bulkops.emulator.state.relations import pair

IDS = st.lists(st.sampled_from("abcdef"), max_size=8)


@given(linked=st.sets(st.sampled_from("abcdef")), asked=IDS, mirrored=st.booleans())
def test_unlinking_says_which_links_were_not_there(
    linked: set[str], asked: list[str], mirrored: bool
) -> None:
    """By position, an id given twice was there the first time only; the other side agrees."""
    near, far = pair(left="Leads", left_name="Campaigns", right="Campaigns", right_name="Leads")
    for each in sorted(linked):
        near.link("1", each, None)
    if mirrored:
        assert set(far.parents()) == linked

    absent = near.unlink("1", asked)

    expected = {n for n, each in enumerate(asked) if each not in linked or each in asked[:n]}
    assert expected == absent
    assert linked - set(asked) == set(near.related("1"))
    assert linked - set(asked) == set(far.parents())
