"""What every protocol of consensus must do, whoever is silent, late, lies or shouts."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain.errors import InvalidInput, NotFound
from bullpen.flow.consensus.base import Ballot, Question, Standing, TieRule, Voter
from bullpen.flow.consensus.hold import PROTOCOLS, hold

CHOICES = ("merge", "rework", "drop")
DEADLINE = 100.0
AFTER = DEADLINE + 1

every_protocol = pytest.mark.parametrize("protocol", PROTOCOLS.names())


def question(voters: int = 5, **other: object) -> Question:
    names = tuple(Voter(f"v{number}") for number in range(voters))
    return replace(Question(CHOICES, names, DEADLINE), **other)  # type: ignore[arg-type]


def ballot(voter: int, *ranking: str, at: float = 1.0) -> Ballot:
    return Ballot(f"v{voter}", ranking, at)


@st.composite
def questions(draw: st.DrawFn) -> Question:
    weights = draw(st.lists(st.floats(0, 1), min_size=1, max_size=7))
    return Question(
        CHOICES[: draw(st.integers(1, 3))],
        tuple(Voter(f"v{number}", weight) for number, weight in enumerate(weights)),
        DEADLINE,
        draw(st.sampled_from([0.1, 0.34, 0.5, 2 / 3, 1.0])),
        draw(st.sampled_from(list(TieRule))),
    )


rankings = st.lists(st.sampled_from([*CHOICES, "nonsense", ""]), max_size=4).map(tuple)
hostile = st.lists(
    st.builds(
        Ballot,
        st.integers(0, 9).map("v{}".format),
        rankings,
        st.sampled_from([0.0, 50.0, DEADLINE, 150.0, float("nan")]),
    ),
    max_size=25,
)


def test_the_protocols_that_are_asked_for_are_there() -> None:
    assert set(PROTOCOLS.names()) >= {"majority", "weighted", "unanimity", "quorum", "ranked_choice"}
    assert all(PROTOCOLS.summary(name) for name in PROTOCOLS.names())


@every_protocol
@pytest.mark.req("COL-04")
@given(questions(), hostile, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(
    protocol: str, asked: Question, said: list[Ballot], order: object
) -> None:
    shuffled = list(said)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    for now in (0.0, 75.0, AFTER):
        assert hold(asked, said, protocol, now) == hold(asked, shuffled, protocol, now)


@every_protocol
@pytest.mark.req("COL-04")
@given(questions(), hostile)
def test_a_vote_always_ends_at_the_deadline_with_a_reason_of_one_sentence(
    protocol: str, asked: Question, said: list[Ballot]
) -> None:
    found = hold(asked, said, protocol, AFTER)
    assert found.standing is not Standing.OPEN
    assert (found.choice in asked.choices) == (found.standing is Standing.DECIDED)
    assert found.reason.endswith(").")
    assert "\n" not in found.reason
    counted = len(asked.voters) - len(found.silent)
    assert sum(one.voter in {v.id for v in asked.voters} for one in found.set_aside) <= counted


@every_protocol
@pytest.mark.req("COL-04")
@given(questions(), hostile)
def test_what_was_decided_stays_decided_whatever_is_said_later(
    protocol: str, asked: Question, said: list[Ballot]
) -> None:
    early = hold(asked, said, protocol, 75.0)
    if early.standing is not Standing.OPEN:
        later = hold(asked, said, protocol, AFTER)
        assert (later.standing, later.choice) == (early.standing, early.choice)


@every_protocol
@pytest.mark.req("COL-04")
@given(questions(), hostile)
def test_repeating_oneself_and_voting_without_a_vote_change_nothing(
    protocol: str, asked: Question, said: list[Ballot]
) -> None:
    flood = [
        *said,
        *(replace(one, at=one.at + 1) for one in said if one.at == one.at),
        *(Ballot(f"stranger{n}", ("drop",), 0.0) for n in range(50)),
    ]
    first, second = hold(asked, said, protocol, AFTER), hold(asked, flood, protocol, AFTER)
    on_time = {one.voter for one in said if one.at <= DEADLINE}
    if all(one.voter in on_time or one.at != one.at or one.at > DEADLINE for one in said):
        assert (first.standing, first.choice, first.tally) == (second.standing, second.choice, second.tally)


@every_protocol
@pytest.mark.req("COL-04")
@given(st.integers(1, 9), st.integers(0, 9), st.sampled_from([0.0, 75.0, AFTER]), hostile)
def test_a_minority_never_wins(
    protocol: str, honest: int, liars: int, now: float, shouting: list[Ballot]
) -> None:
    """More than half want to merge, with equal records; the others say and send what they like."""
    liars = min(liars, honest - 1)
    asked = question(honest + liars, ties=TieRule.FIRST_LISTED)
    mine = [ballot(number, "merge", at=0.0) for number in range(honest)]
    theirs = [one for one in shouting if int(one.voter[1:]) >= honest]
    assert hold(asked, [*mine, *theirs], protocol, now).choice in ("merge", "")


@every_protocol
@pytest.mark.req("COL-04")
def test_everybody_for_the_same_is_decided_before_the_deadline(protocol: str) -> None:
    found = hold(question(), [ballot(number, "rework") for number in range(5)], protocol, 2.0)
    assert (found.standing, found.choice) == (Standing.DECIDED, "rework")


@every_protocol
@pytest.mark.req("COL-04")
def test_silence_ends_with_what_was_to_happen_otherwise(protocol: str) -> None:
    asked = question(otherwise="drop")
    assert hold(asked, [], protocol, DEADLINE).standing is Standing.OPEN
    found = hold(asked, [], protocol, AFTER)
    assert (found.standing, found.choice) == (Standing.UNDECIDED, "drop")
    assert "No decision, so 'drop'" in found.reason
    assert "5 silent" in found.reason


@every_protocol
@pytest.mark.req("COL-04")
def test_a_late_ballot_does_not_count_and_is_named(protocol: str) -> None:
    said = [*(ballot(n, "merge") for n in range(4)), ballot(4, "drop", at=DEADLINE + 0.5)]
    found = hold(question(), said, protocol, AFTER)
    assert found.choice == "merge"
    assert [(one.voter, one.why) for one in found.set_aside] == [("v4", "was late")]


@every_protocol
@pytest.mark.req("COL-04")
def test_what_cannot_be_voted_on_is_refused(protocol: str) -> None:
    good = question()
    for bad in (
        replace(good, choices=()),
        replace(good, choices=("a", "a")),
        replace(good, voters=()),
        replace(good, voters=(Voter("x"), Voter("x"))),
        replace(good, voters=(Voter("x", float("nan")),)),
        replace(good, voters=(Voter("x", 2.0),)),
        replace(good, quorum=0.0),
        replace(good, otherwise="nonsense"),
    ):
        with pytest.raises(InvalidInput):
            hold(bad, [], protocol, 0.0)


def test_an_unknown_protocol_is_said_with_those_there_are() -> None:
    with pytest.raises(NotFound, match="majority"):
        hold(question(), [], "lottery", 0.0)
