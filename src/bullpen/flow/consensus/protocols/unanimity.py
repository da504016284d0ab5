"""The choice that everybody who answered wants, if a quorum answered; one other voice ends the vote without a decision."""

from bullpen.flow.consensus.base import Count, Poll, Standing
from bullpen.flow.consensus.tally import answer, first_choices, has_quorum


def count(poll: Poll) -> Count:
    """A single dissent is final, so nobody waits for the rest."""
    tally = first_choices(poll)
    named = [choice for choice, behind in tally.items() if behind]
    if len(named) > 1:
        return answer(
            Standing.UNDECIDED, "", f"voters differ between {' and '.join(map(repr, named))}", tally
        )
    if not poll.over:
        return answer(Standing.OPEN, "", f"{len(poll.silent)} have not answered", tally)
    if not named or not has_quorum(poll):
        return answer(Standing.UNDECIDED, "", "too few answered for a quorum", tally)
    return answer(Standing.DECIDED, named[0], "all who answered agree", tally)
