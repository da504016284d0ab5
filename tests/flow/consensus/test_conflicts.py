"""Conflicts are found, and resolved by rule, evidence, judge or person, always with a reason."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.flow.consensus.conflicts import (
    Claim,
    Conflict,
    ConflictKind,
    Edit,
    Side,
    contention,
    contradictions,
    duplicate_work,
    overlapping_edits,
)
from bullpen.flow.consensus.resolve import Known, Opinion, Outcome, ResolvedBy, Trial, resolve

A, B = Side("ta", "ann", at=1.0), Side("tb", "bob", at=2.0)
GOOD, BAD = Trial(10, 0), Trial(8, 2)


def edit(side: Side, first: int, last: int, result: str = "x", path: str = "f.py") -> Edit:
    return Edit(side, path, first, last, result)


def conflict(kind: ConflictKind = ConflictKind.EDIT, *sides: Side) -> Conflict:
    return Conflict(kind, "f.py", sides or (A, B))


@pytest.mark.req("COL-03")
@pytest.mark.parametrize(
    ("one", "other", "kinds"),
    [
        (edit(A, 1, 5), edit(B, 5, 9, "y"), [ConflictKind.EDIT]),
        (edit(A, 1, 5), edit(B, 13, 14), [ConflictKind.EDIT]),
        (edit(A, 1, 5), edit(B, 14, 15), []),
        (edit(A, 1, 5), edit(B, 1, 5, path="g.py"), []),
        (edit(A, 1, 5), edit(B, 1, 5), [ConflictKind.DUPLICATE]),
        (edit(A, 1, 5), edit(A, 2, 3), []),
    ],
)
def test_edits_that_meet_are_found(one: Edit, other: Edit, kinds: list[ConflictKind]) -> None:
    assert [found.kind for found in overlapping_edits([one, other])] == kinds
    assert overlapping_edits([other, one]) == overlapping_edits([one, other])


@pytest.mark.req("COL-03")
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 60), st.integers(0, 9)), max_size=12))
def test_sweeping_finds_what_comparing_all_pairs_finds(drawn: list[tuple[int, int, int]]) -> None:
    edits = [edit(Side(f"t{n}", f"a{n}"), first, first + length, str(length)) for n, first, length in drawn]
    wanted = {
        frozenset({a.side.task, b.side.task})
        for a in edits
        for b in edits
        if a.side != b.side and a.first <= b.last + 8 and b.first <= a.last + 8
    }
    assert {frozenset(s.task for s in one.sides) for one in overlapping_edits(edits)} == wanted


@pytest.mark.req("COL-03")
def test_contradictions_duplicates_and_contention_are_found() -> None:
    claims = [Claim(A, "f.py:3 S608", "a hole"), Claim(B, "f.py:3 S608", "harmless"), Claim(A, "g", "x")]
    assert [(one.kind, one.subject) for one in contradictions(claims)] == [
        (ConflictKind.CONTRADICTION, "f.py:3 S608")
    ]
    same = [Claim(A, "f.py", "rename x"), Claim(B, "f.py", "rename x"), Claim(A, "f.py", "rename x")]
    assert [one.sides for one in duplicate_work(same)] == [(A, B)]
    assert duplicate_work(same[::2]) == []
    assert contention("runner", 2, [A, B]) is None
    found = contention("runner", 1, [A, B])
    assert found is not None
    assert found.available == 1


@pytest.mark.req("COL-03")
@pytest.mark.parametrize(
    ("what", "known", "by", "winner", "outcome"),
    [
        (
            conflict(ConflictKind.EDIT, A, replace(B, landed=True)),
            Known(),
            ResolvedBy.RULE,
            "tb",
            Outcome.REDO,
        ),
        (
            conflict(ConflictKind.EDIT, A, replace(B, priority=3)),
            Known(),
            ResolvedBy.RULE,
            "tb",
            Outcome.REDO,
        ),
        (conflict(ConflictKind.DUPLICATE), Known(), ResolvedBy.RULE, "ta", Outcome.DROP),
        (conflict(), Known({"ta": BAD, "tb": GOOD}), ResolvedBy.EVIDENCE, "tb", Outcome.REDO),
        (
            conflict(ConflictKind.CONTRADICTION),
            Known({"ta": GOOD, "tb": Trial(10, 0, wanted_shown=False)}),
            ResolvedBy.EVIDENCE,
            "ta",
            Outcome.DROP,
        ),
        (
            conflict(),
            Known({"ta": GOOD, "tb": GOOD}, (Opinion("judge", "tb", "simpler"),)),
            ResolvedBy.JUDGE,
            "tb",
            Outcome.REDO,
        ),
        (
            conflict(ConflictKind.DUPLICATE),
            Known(person=Opinion("eve", "tb", "I like it")),
            ResolvedBy.PERSON,
            "tb",
            Outcome.DROP,
        ),
    ],
    ids=["landed", "priority", "duplicate", "tests", "shown", "judge", "person before rule"],
)
def test_each_step_decides_what_the_one_before_could_not(
    what: Conflict, known: Known, by: ResolvedBy, winner: str, outcome: Outcome
) -> None:
    found = resolve(what, known)
    assert (found.by, found.winners, found.outcome) == (by, (winner,), outcome)
    assert set(found.winners + found.others) == {"ta", "tb"}
    assert found.reason.endswith(".")


@pytest.mark.req("COL-03")
@pytest.mark.parametrize(
    "known",
    [
        Known(),
        Known({"ta": GOOD}),
        Known({"ta": BAD, "tb": BAD}),
        Known(judges=(Opinion("ann", "ta", "mine is better"),)),
        Known(judges=(Opinion("judge", "", "cannot tell"), Opinion("judge", "tz", "what?"))),
        Known(person=Opinion("eve", "tz", "a slip")),
    ],
    ids=["nothing", "half the tests", "both red", "judge in its own cause", "no ruling", "no such task"],
)
def test_where_nothing_decides_a_person_is_asked_and_nobody_wins(known: Known) -> None:
    found = resolve(conflict(), known)
    assert (found.by, found.winners, found.outcome) == (ResolvedBy.PERSON, (), Outcome.ASK)
    assert found.reason.startswith("A person is asked: ")


sides = st.builds(
    Side,
    st.sampled_from([f"t{n}" for n in range(6)]),
    st.just("a"),
    st.integers(0, 2),
    st.sampled_from([0.0, 1.0, 2.0]),
    share=st.integers(1, 4),
)


@pytest.mark.req("COL-03")
@given(st.lists(sides, unique_by=lambda one: one.task), st.integers(0, 8))
def test_a_resource_is_never_given_out_twice_and_the_most_urgent_that_fits_is_served(
    wanting: list[Side], available: int
) -> None:
    found = contention("runner", available, wanting)
    if found is None:
        return
    done = resolve(found)
    share = {side.task: side.share for side in wanting}
    assert sum(share[name] for name in done.winners) <= available
    assert set(done.winners) | set(done.others) == set(share)
    left = available - sum(share[name] for name in done.winners)
    assert all(share[name] > left for name in done.others)
    assert resolve(replace(found, sides=found.sides[::-1])).winners == done.winners
