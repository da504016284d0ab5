"""Deadlocks in the graph of who waits for whom: found if and only if there is one, and broken with as few as it takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.kernel.sync.graph import Wait, stuck, victims

NAMES = "abcdef"
waits = st.builds(
    Wait, st.sampled_from(NAMES), st.frozensets(st.sampled_from(NAMES), max_size=3), st.booleans()
)


def ends(some: list[Wait], order: list[str]) -> set[str]:
    """Who never ends if, in turn, whoever can go on ends; by playing it through."""
    left = {one.waiter for one in some}
    for _ in range(len(NAMES)):
        for name in order:
            mine = [one for one in some if one.waiter == name]
            if name in left and all(
                not one.on or (not one.on & left if one.every else bool(one.on - left)) for one in mine
            ):
                left.discard(name)
    return left


@pytest.mark.req("COL-05")
@given(st.lists(waits, max_size=10), st.permutations(NAMES))
def test_stuck_are_those_who_never_end_in_whatever_order(some: list[Wait], order: list[str]) -> None:
    assert stuck(some) == ends(some, order)


@pytest.mark.req("COL-05")
@given(st.lists(waits, max_size=10), st.dictionaries(st.sampled_from(NAMES), st.floats(0, 9)))
def test_without_the_victims_nobody_is_stuck(some: list[Wait], since: dict[str, float]) -> None:
    chosen = victims(some, since)
    assert set(chosen) <= stuck(some)
    assert not stuck([one for one in some if one.waiter not in chosen])
    assert bool(chosen) == bool(stuck(some))


def on(waiter: str, *others: str, every: bool = False) -> Wait:
    return Wait(waiter, frozenset(others), every)


def test_the_youngest_on_the_circle_gives_way_not_one_behind_it() -> None:
    some = [on("a", "b"), on("b", "a"), on("c", "a")]
    assert victims(some, {"a": 1.0, "b": 2.0, "c": 3.0}) == ("b",)


def test_one_free_holder_of_a_semaphore_is_enough() -> None:
    assert not stuck([on("a", "b", "c"), on("b", "a")])


def test_at_a_barrier_one_missing_is_too_many() -> None:
    assert stuck([on("a", "b", "c", every=True), on("b", "a")]) == {"a", "b"}


def test_who_waits_for_itself_gives_way() -> None:
    assert victims([on("a", "a")], {}) == ("a",)
