"""Counting: what several protocols share."""

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from bullpen.flow.consensus.base import Ballot, Count, Poll, Standing, TieRule


def first_choices(poll: Poll, weights: Mapping[str, Fraction] | None = None) -> dict[str, Fraction]:
    """What is behind each choice, by first preferences: heads, or ``weights`` by voter. Exact, so order cannot matter."""
    tally = dict.fromkeys(poll.question.choices, Fraction(0))
    for ballot in poll.ballots:
        tally[ballot.ranking[0]] += weights[ballot.voter] if weights else 1
    return tally


def leaders(tally: Mapping[str, Fraction]) -> list[str]:
    """The choices with most behind them, in the order in which they are listed."""
    most = max(tally.values())
    return [choice for choice, behind in tally.items() if behind == most]


def break_tie(tied: Sequence[str], poll: Poll) -> str:
    """The winner among equals by the question's rule; empty where the rule is that nobody wins."""
    if poll.question.ties is TieRule.NOBODY:
        return ""
    if poll.question.ties is TieRule.FIRST_LISTED:
        return tied[0]
    return max(
        tied, key=lambda choice: (_record_behind(choice, poll.ballots, poll.weights), -tied.index(choice))
    )


def over_half(
    poll: Poll, tally: Mapping[str, Fraction], still_out: Fraction, enough: bool, unit: str
) -> Count:
    """The choice with more than half of what was counted; exactly half each is a tie.

    Before the end it is decided only when what is ``still_out`` cannot change it. ``enough`` says whether so much was
    counted that a decision may be taken at all.
    """
    said = sum(tally.values(), Fraction(0))
    first = leaders(tally)
    behind = tally[first[0]]
    shown = f"{_plain(behind)} of {_plain(said)} {unit}"
    if 2 * behind > said + still_out and enough:
        return answer(Standing.DECIDED, first[0], f"{shown} are for it", tally)
    if not poll.over:
        return answer(Standing.OPEN, "", f"{_plain(still_out)} {unit} are still out", tally)
    if not enough:
        return answer(Standing.UNDECIDED, "", "too few answered for a quorum", tally)
    if 2 * behind > said:
        return answer(Standing.DECIDED, first[0], f"{shown} are for it", tally)
    if 2 * behind == said and len(first) == 2:
        return tie(first, poll, tally)
    return answer(Standing.UNDECIDED, "", f"no choice has more than half; the most is {shown}", tally)


def tie(tied: Sequence[str], poll: Poll, tally: Mapping[str, Fraction]) -> Count:
    """The outcome among equals."""
    winner = break_tie(tied, poll)
    because = f"{' and '.join(map(repr, tied))} are even, and {poll.question.ties.value}"
    return answer(Standing.DECIDED if winner else Standing.UNDECIDED, winner, because, tally)


def answer(standing: Standing, choice: str, because: str, tally: Mapping[str, Fraction]) -> Count:
    """A protocol's answer, with the tally as plain numbers."""
    return Count(standing, choice, because, {one: float(behind) for one, behind in tally.items()})


def has_quorum(poll: Poll) -> bool:
    """Whether the question's share of voters gave a ballot that counts."""
    return len(poll.ballots) >= quorum_of(poll)


def quorum_of(poll: Poll) -> int:
    """The question's share of its voters, in heads, rounded up."""
    # as it was written: 0.1 is a tenth, not the binary number just above it
    share = Fraction(poll.question.quorum).limit_denominator(1_000_000)
    return math.ceil(share * len(poll.question.voters))


def _record_behind(choice: str, ballots: Iterable[Ballot], weights: Mapping[str, float]) -> Fraction:
    behind = (Fraction(weights[ballot.voter]) for ballot in ballots if ballot.ranking[0] == choice)
    return sum(behind, Fraction(0))


def _plain(amount: Fraction) -> str:
    return f"{float(amount):.3g}"
