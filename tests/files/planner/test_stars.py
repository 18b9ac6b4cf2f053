"""The choice of centres, its count of calls, and the bound no choice can beat, as laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkops.files.planner.stars import Argument, Bound, calls, choose, fewest, lower_bound
from bulkops.files.planner.stars.cover import smallest_cover
from bulkops.files.planner.stars.graph import Codes, Mask, make_graph
from bulkops.files.planner.stars.load import by_load
from bulkops.files.planner.stars.paths import push
from bulkops.files.planner.stars.remainders import rank
from bulkops.files.planner.stars.weights import Scale, rounded

Edges = tuple[Codes, Codes]
CAPS = st.tuples(st.integers(1, 7), st.integers(1, 7))


@st.composite
def edges(draw: st.DrawFn) -> Edges:
    """Draw the edges of a graph, each once, with codes that leave gaps and stars of their own."""
    left_size, right_size = draw(st.integers(1, 9)), draw(st.integers(1, 25))
    pairs = draw(
        st.lists(
            st.tuples(st.integers(0, left_size), st.integers(0, right_size)),
            unique=True,
            max_size=120,
        )
    )
    swapped = draw(st.booleans())
    left = np.array([pair[swapped] for pair in pairs], dtype=np.int32)
    right = np.array([pair[not swapped] for pair in pairs], dtype=np.int32)
    return left, right


@st.composite
def oriented(draw: st.DrawFn) -> tuple[Edges, Mask]:
    """Draw edges, and a choice of centres for them."""
    both = draw(edges())
    truths = draw(st.lists(st.booleans(), min_size=both[0].size, max_size=both[0].size))
    return both, np.array(truths, dtype=np.bool_)


def counted(left: Codes, right: Codes, centre_right: Mask, caps: tuple[int, int]) -> int:
    """Pack the calls one edge at a time, as the service would see them, and count them."""
    stars: list[tuple[str, int, set[int]]] = []
    open_star: dict[tuple[str, int], set[int]] = {}
    for one, other, turned in zip(
        left.tolist(), right.tolist(), centre_right.tolist(), strict=True
    ):
        side, centre, leaf = ("right", other, one) if turned else ("left", one, other)
        star = open_star.get((side, centre))
        if star is None or len(star) == caps[turned]:
            star = open_star[side, centre] = set()
            stars.append((side, centre, star))
        assert leaf not in star
        star.add(leaf)
    assert left.size == sum(len(leaves) for _, _, leaves in stars)
    return len(stars)


@settings(deadline=None)
@given(case=oriented(), caps=CAPS)
def test_calls_are_those_of_packing_each_edge_once(
    case: tuple[Edges, Mask], caps: tuple[int, int]
) -> None:
    """The count is that of stars that hold every edge once and no more leaves than the cap."""
    (left, right), choice = case

    assert counted(left, right, choice, caps) == calls(
        left, right, choice, cap_left=caps[0], cap_right=caps[1]
    )


@settings(deadline=None)
@given(case=oriented(), caps=CAPS, edges_whole=st.sampled_from([0, 1_000]))
def test_never_worse_than_given_or_either_side(
    case: tuple[Edges, Mask], caps: tuple[int, int], edges_whole: int
) -> None:
    """One truth per edge, and no more calls than the manifest's own way, or one side alone."""
    (left, right), own = case
    limits = {"cap_left": caps[0], "cap_right": caps[1]}
    choice = choose(left, right, **limits, given=own, edges_whole=edges_whole)

    assert (left.shape, np.dtype(np.bool_)) == (choice.shape, choice.dtype)
    ours = counted(left, right, choice, caps)
    for other in (own, np.zeros_like(own), np.ones_like(own)):
        assert ours <= counted(left, right, other, caps)


@settings(deadline=None)
@given(case=edges(), caps=CAPS, edges_whole=st.sampled_from([0, 1_000]))
def test_a_choice_is_the_same_again_and_leaves_its_input_alone(
    case: Edges, caps: tuple[int, int], edges_whole: int
) -> None:
    """Equal input, equal output; nothing is written into the arrays handed in."""
    left, right = case
    before = left.copy(), right.copy()
    one, other = (
        choose(left, right, cap_left=caps[0], cap_right=caps[1], edges_whole=edges_whole)
        for _ in range(2)
    )

    assert one.tolist() == other.tolist()
    assert [array.tolist() for array in before] == [left.tolist(), right.tolist()]


@settings(deadline=None)
@given(case=oriented(), caps=CAPS, work=st.sampled_from([0, 5_000]))
def test_the_bound_holds_for_any_choice(
    case: tuple[Edges, Mask], caps: tuple[int, int], work: int
) -> None:
    """No choice beats the bound: neither ours nor any other, however long the climb was."""
    (left, right), other = case
    limits = {"cap_left": caps[0], "cap_right": caps[1]}
    found = fewest(left, right, **limits, work=work)
    ours = counted(left, right, found.centre_right, caps)
    for bound in (found.bound, lower_bound(left, right, **limits, plan=other, work=work)):
        assert bound.calls == sum(bound.shares.values())
        assert -(-left.size // max(caps)) <= bound.calls <= ours
        assert bound.calls <= counted(left, right, other, caps)


@settings(deadline=None)
@given(case=oriented(), caps=CAPS, seed=st.integers(0, 2**16))
def test_any_weights_prove_a_bound(
    case: tuple[Edges, Mask], caps: tuple[int, int], seed: int
) -> None:
    """All weights less all excesses are never more than the calls, in each component."""
    (left, right), choice = case
    graph = make_graph(left, right, cap_left=caps[0], cap_right=caps[1])
    random = np.random.default_rng(seed)
    weights = rounded(random.random(left.size) ** random.integers(1, 4))
    proven, _, _ = Scale.of(graph).weigh(weights)

    assert (proven <= graph.calls(choice)).all()


@settings(deadline=None)
@given(case=oriented(), caps=CAPS, share=st.sampled_from([0.1, 0.5, 1.0]))
def test_pushing_along_paths_never_adds_a_call(
    case: tuple[Edges, Mask], caps: tuple[int, int], share: float
) -> None:
    """In no component are there more calls afterwards."""
    (left, right), choice = case
    graph = make_graph(left, right, cap_left=caps[0], cap_right=caps[1])

    assert (graph.calls(push(graph, choice, share=share)) <= graph.calls(choice)).all()


@settings(deadline=None)
@given(case=edges())
def test_the_cover_touches_every_edge_and_is_as_large_as_the_matching(case: Edges) -> None:
    """König: so there is no smaller cover, and no larger matching."""
    left, right = case
    graph = make_graph(left, right, cap_left=100, cap_right=100)
    cover = smallest_cover(graph)

    assert (cover.left[left] | cover.right[right]).all()
    assert len(set(left[cover.matched])) == cover.matched.sum() == len(set(right[cover.matched]))
    assert cover.left.sum() + cover.right.sum() == cover.matched.sum() == cover.sizes(graph).sum()


def test_calls_are_given_up_along_a_path() -> None:
    """Calls of two along a path of 20 edges: codes of one edge each make ten codes of two."""
    place = np.arange(20, dtype=np.int32)
    graph = make_graph((place + 1) // 2, place // 2, cap_left=2, cap_right=2)
    alternating = place % 2 == 1

    assert 20 == graph.calls(alternating).sum()
    assert 10 == graph.calls(push(graph, alternating, share=1.0)).sum()


@pytest.mark.parametrize(("cap", "ratio"), [(100, 1.005), (7, 1.025)])
def test_a_steep_power_law_is_planned_near_the_bound(cap: int, ratio: float) -> None:
    """Few codes with most of the edges: only the climb's leaning and the paths get this near."""
    random = np.random.default_rng(1)
    sums = np.cumsum(np.arange(1, 3_001) ** -0.9)
    ends = np.unique(np.searchsorted(sums, random.random((9_000, 2)) * sums[-1]), axis=0)
    left, right = ends.T.astype(np.int32)
    found = fewest(left, right, cap_left=cap, cap_right=cap, work=2_000_000)

    ours = calls(left, right, found.centre_right, cap_left=cap, cap_right=cap)
    assert found.bound.calls <= ours <= ratio * found.bound.calls


def grid(left: int, right: int, copies: int = 1) -> Edges:
    """Copies of a graph in which every left code meets every right one."""
    copy, one, other = np.meshgrid(np.arange(copies), np.arange(left), np.arange(right))
    return (
        (copy * left + one).ravel().astype(np.int32),
        (copy * right + other).ravel().astype(np.int32),
    )


def test_whole_remainders_move_together() -> None:
    """Blocks of 30 x 120: calls of 100 from one side, and the 20 left over from the other."""
    left, right = grid(30, 120, copies=50)
    choice = choose(left, right, cap_left=100, cap_right=100)

    assert 2_500 == calls(left, right, choice, cap_left=100, cap_right=100)
    bound = lower_bound(left, right, cap_left=100, cap_right=100, plan=choice)
    assert (2_500, Argument.WEIGHTS) == (bound.calls, bound.argument)


@pytest.mark.parametrize(
    ("leaves", "expected"), [(1, 1), (100, 1), (101, 2), (150, 2), (200, 2), (201, 3)]
)
def test_a_star_is_cut_into_full_calls(leaves: int, expected: int) -> None:
    """A centre with more leaves than a call takes has the next whole number of calls."""
    left, right = grid(1, leaves)
    choice = choose(left, right, cap_left=100, cap_right=100)

    assert expected == calls(left, right, choice, cap_left=100, cap_right=100)
    assert expected == lower_bound(left, right, cap_left=100, cap_right=100).calls


def test_each_side_has_its_own_cap() -> None:
    """A call from the right takes ten times as many, so ten right centres do it."""
    left, right = grid(100, 10)
    choice = choose(left, right, cap_left=10, cap_right=100)

    assert choice.all()
    bound = lower_bound(left, right, cap_left=10, cap_right=100)
    assert (10, Argument.SIZE) == (bound.calls, bound.argument)


def test_a_component_in_which_nothing_is_saved_stays_as_given() -> None:
    """Calls that cannot be fewer are sent the way the manifest has it."""
    left, right = grid(2, 2)
    own = np.array([False, True, True, False])
    limits = {"cap_left": 1, "cap_right": 1}

    assert own.tolist() == choose(left, right, **limits, given=own).tolist()


def test_no_edges_need_no_calls() -> None:
    """An empty manifest is a manifest."""
    nothing = np.zeros(0, dtype=np.int32)

    assert [] == choose(nothing, nothing, cap_left=100, cap_right=100).tolist()
    assert 0 == lower_bound(nothing, nothing, cap_left=100, cap_right=100).calls


def test_beyond_the_edges_held_whole_only_their_number_bounds() -> None:
    """The cheap method chooses by load, and its bound is the size, by the larger cap."""
    left, right = grid(30, 120)
    found = fewest(left, right, cap_left=50, cap_right=100, edges_whole=10)
    bound = lower_bound(left, right, cap_left=50, cap_right=100, edges_whole=10)

    cheap = by_load(left, right, cap_left=50, cap_right=100)
    assert cheap.tolist() == found.centre_right.tolist()
    expected = Bound(36, {Argument.SIZE: 36, Argument.MATCHING: 0, Argument.WEIGHTS: 0})
    assert [expected, expected] == [bound, found.bound]


def test_input_that_makes_no_graph_is_refused() -> None:
    """Ends that do not pair, codes below 0, calls of nothing: each says what was found."""
    one, two = np.zeros(1, dtype=np.int32), np.zeros(2, dtype=np.int32)
    with pytest.raises(ValueError, match="1 left ends and 2 right ends make no edges"):
        choose(one, two, cap_left=1, cap_right=1)
    with pytest.raises(ValueError, match="codes begin at 0, found -1"):
        choose(one - 1, one, cap_left=1, cap_right=1)
    with pytest.raises(ValueError, match="a call has at least one leaf, not 0"):
        choose(one, one, cap_left=1, cap_right=0)
    with pytest.raises(ValueError, match="2 given centres for 1 edges"):
        choose(one, one, cap_left=1, cap_right=1, given=np.zeros(2, dtype=np.bool_))


@given(st.lists(st.integers(0, 5)))
def test_rank_counts_the_equal_ones_before(codes: list[int]) -> None:
    """The nth of equal codes has rank n, from 0, wherever it stands."""
    expected = [codes[:place].count(code) for place, code in enumerate(codes)]

    assert expected == rank(np.array(codes, dtype=np.int32)).tolist()
