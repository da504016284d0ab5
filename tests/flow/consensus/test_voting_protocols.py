"""What sets one protocol of consensus apart from the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.flow.consensus.base import Ballot, Decision, Question, Standing, TieRule, Voter
from bullpen.flow.consensus.hold import hold

AFTER = 101.0


def question(
    voters: int | list[float],
    quorum: float = 0.5,
    ties: TieRule = TieRule.FIRST_LISTED,
    choices: str = "abc",
) -> Question:
    weights = [1.0] * voters if isinstance(voters, int) else voters
    names = tuple(Voter(f"v{number}", weight) for number, weight in enumerate(weights))
    return Question(tuple(choices), names, 100.0, quorum, ties)


def voted(asked: Question, protocol: str, *rankings: str, now: float = AFTER) -> Decision:
    """One ballot for each ranking, a letter for a choice; ``-`` for a silent voter."""
    said = [Ballot(f"v{n}", tuple(ranking), 1.0) for n, ranking in enumerate(rankings) if ranking != "-"]
    return hold(asked, said, protocol, now)


@pytest.mark.req("COL-04")
def test_majority_needs_more_than_half_of_those_who_answered() -> None:
    assert voted(question(5), "majority", "a", "a", "b", "-", "-").choice == "a"
    three_ways = voted(question(5), "majority", "a", "a", "b", "b", "c")
    assert three_ways.standing is Standing.UNDECIDED
    assert "no choice has more than half; the most is 2 of 5 votes" in three_ways.reason


@pytest.mark.req("COL-04")
def test_majority_is_decided_as_soon_as_the_rest_cannot_change_it() -> None:
    assert voted(question(5), "majority", "a", "a", "-", "-", "-", now=2.0).standing is Standing.OPEN
    early = voted(question(5), "majority", "a", "a", "a", "-", "-", now=2.0)
    assert (early.standing, early.choice) == (Standing.DECIDED, "a")


@pytest.mark.req("COL-04")
def test_too_few_answers_are_no_quorum() -> None:
    found = voted(question(5), "majority", "a", "a", "-", "-", "-")
    assert found.standing is Standing.UNDECIDED
    assert "too few answered for a quorum (2 of 5 voters counted, 3 silent)" in found.reason
    assert voted(question(10, quorum=0.1), "majority", "a", *"-" * 9).choice == "a"


@pytest.mark.req("COL-04")
@pytest.mark.parametrize("protocol", ["majority", "ranked_choice"])
def test_a_tie_is_broken_by_the_rule_that_was_stated(protocol: str) -> None:
    weights = [0.2, 0.2, 0.9, 0.9]
    said = ("a", "a", "b", "b")
    first = voted(question(weights, choices="ab"), protocol, *said)
    assert (first.choice, "the choice listed first wins" in first.reason) == ("a", True)
    record = voted(question(weights, ties=TieRule.TRACK_RECORD, choices="ab"), protocol, *said)
    assert (record.choice, "better track record" in record.reason) == ("b", True)
    nobody = voted(question(weights, ties=TieRule.NOBODY, choices="ab"), protocol, *said)
    assert nobody.standing is Standing.UNDECIDED


@pytest.mark.req("COL-04")
def test_a_good_record_outweighs_more_heads_but_never_everybody_else() -> None:
    assert voted(question([0.9, 0.9, 0.3, 0.3, 0.3]), "weighted", "a", "a", "b", "b", "b").choice == "a"
    assert voted(question([1.0, 0.1, 0.1, 0.1, 0.1]), "weighted", "a", "b", "b", "b", "b").choice == "b"


@pytest.mark.req("COL-04")
@given(st.lists(st.floats(0, 1), min_size=3, max_size=9), st.data())
def test_nobody_decides_alone_against_all_others(weights: list[float], data: st.DataObject) -> None:
    alone = data.draw(st.integers(0, len(weights) - 1))
    said = ["a" if number == alone else "b" for number in range(len(weights))]
    assert voted(question(weights), "weighted", *said).choice == "b"


@pytest.mark.req("COL-04")
def test_one_voice_ends_unanimity_and_nobody_waits_for_the_rest() -> None:
    found = voted(question(5), "unanimity", "a", "b", "-", "-", "-", now=2.0)
    assert found.standing is Standing.UNDECIDED
    assert "voters differ between 'a' and 'b'" in found.reason
    assert voted(question(5), "unanimity", "a", "a", "a", "-", "-", now=2.0).standing is Standing.OPEN
    assert voted(question(5), "unanimity", "a", "a", "a", "-", "-").choice == "a"


@pytest.mark.req("COL-04")
def test_a_quorum_is_of_all_voters_and_is_there_or_not() -> None:
    two_thirds = question(6, quorum=2 / 3)
    assert voted(two_thirds, "quorum", "a", "a", "a", "a", "-", "-", now=2.0).choice == "a"
    assert voted(two_thirds, "quorum", "a", "a", "a", "-", "-", "-", now=2.0).standing is Standing.OPEN
    assert voted(two_thirds, "quorum", "a", "a", "a", "-", "-", "-").standing is Standing.UNDECIDED
    hopeless = voted(two_thirds, "quorum", "a", "a", "a", "b", "b", "b", now=2.0)
    assert hopeless.standing is Standing.UNDECIDED
    assert voted(question(4, quorum=0.25), "quorum", "a", "a", "b", "b").standing is Standing.UNDECIDED


@pytest.mark.req("COL-04")
def test_ranked_choice_moves_ballots_of_the_weakest_to_what_they_rank_next() -> None:
    said = ["a", "a", "a", "a", "bc", "bc", "cb", "cb", "cb"]
    found = voted(question(9), "ranked_choice", *said)
    assert found.choice == "c"
    assert "5 of 9 ballots in round 2" in found.reason


@pytest.mark.req("COL-04")
@given(st.lists(st.permutations("abc"), min_size=1, max_size=9))
def test_ranked_choice_elects_who_most_put_first_and_never_whom_most_put_last(
    rankings: list[list[str]],
) -> None:
    winner = voted(question(len(rankings)), "ranked_choice", *("".join(one) for one in rankings)).choice
    for choice in "abc":
        first = sum(one[0] == choice for one in rankings)
        last = sum(one[-1] == choice for one in rankings)
        if 2 * first > len(rankings):
            assert winner == choice
        if 2 * last > len(rankings):
            assert winner != choice


@pytest.mark.req("COL-04")
def test_two_words_at_one_instant_set_a_voter_aside() -> None:
    said = [Ballot("v0", ("a",), 1.0), Ballot("v0", ("b",), 1.0), Ballot("v1", ("a",), 1.0)]
    found = hold(question(2), said, "majority", AFTER)
    assert [(one.voter, one.why) for one in found.set_aside] == [("v0", "said two different things")]
    assert found.choice == "a"
