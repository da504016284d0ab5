"""Instant run-off: the weakest choice drops out and its ballots move to what they rank next, until one has over half.

Hare's method for a single seat, as in Robert's Rules of Order (preferential voting). A choice that more than half rank
first always wins; the last choice of more than half never does.
"""

from collections.abc import Sequence
from fractions import Fraction

from bullpen.flow.consensus.base import Count, Poll, Standing
from bullpen.flow.consensus.tally import answer, break_tie, first_choices, has_quorum


def count(poll: Poll) -> Count:
    """Counted at the end, or before it where what is out cannot change the first round."""
    tally = first_choices(poll)
    top = max(tally.values())
    sure = 2 * top > len(poll.ballots) + len(poll.silent)
    if not poll.over and not (sure and has_quorum(poll)):
        return answer(Standing.OPEN, "", f"{len(poll.silent)} have not answered", tally)
    if not poll.ballots or not has_quorum(poll):
        return answer(Standing.UNDECIDED, "", "too few answered for a quorum", tally)
    return _run_off(poll)


def _run_off(poll: Poll) -> Count:
    left = list(poll.question.choices)
    rounds = 1
    while True:
        tally = _round(poll, left)
        behind = sum(tally.values(), Fraction(0))
        best = max(left, key=lambda choice: (tally[choice], -left.index(choice)))
        if 2 * tally[best] > behind:
            because = f"{tally[best]} of {behind} ballots in round {rounds}"
            return answer(Standing.DECIDED, best, because, tally)
        if len(left) == 2:
            return _even(poll, left, tally, rounds)
        left.remove(_weakest(poll, left, tally))
        rounds += 1


def _round(poll: Poll, left: Sequence[str]) -> dict[str, Fraction]:
    tally = dict.fromkeys(left, Fraction(0))
    for ballot in poll.ballots:
        wanted = next((choice for choice in ballot.ranking if choice in tally), None)
        if wanted is not None:
            tally[wanted] += 1
    return tally


def _weakest(poll: Poll, left: Sequence[str], tally: dict[str, Fraction]) -> str:
    """Who drops out; among equals the one with fewer first preferences, then the one listed last."""
    first = first_choices(poll)
    return min(left, key=lambda choice: (tally[choice], first[choice], -left.index(choice)))


def _even(poll: Poll, left: Sequence[str], tally: dict[str, Fraction], rounds: int) -> Count:
    winner = break_tie(left, poll)
    because = f"{left[0]!r} and {left[1]!r} are even in round {rounds}, and {poll.question.ties.value}"
    return answer(Standing.DECIDED if winner else Standing.UNDECIDED, winner, because, tally)
