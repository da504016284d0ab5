"""The choice that a quorum of all voters wants, as soon as it has it; silence counts for nothing.

A quorum above two thirds holds although up to a third of the voters lie (Malkhi and Reiter, "Byzantine quorum systems",
1998). A quorum of half and less is read as more than half, so no two choices can have one.
"""

from bullpen.flow.consensus.base import Count, Poll, Standing
from bullpen.flow.consensus.tally import answer, first_choices, leaders, quorum_of


def count(poll: Poll) -> Count:
    """Decided at the moment the quorum is there; open until it cannot come any more."""
    tally = first_choices(poll)
    voters = len(poll.question.voters)
    needed = max(quorum_of(poll), voters // 2 + 1)
    best = leaders(tally)[0]
    behind = int(tally[best])
    if behind >= needed:
        return answer(Standing.DECIDED, best, f"{behind} of {voters} are for it, {needed} were needed", tally)
    if poll.over or behind + len(poll.silent) < needed:
        return answer(Standing.UNDECIDED, "", f"no choice has the {needed} of {voters} votes it needs", tally)
    return answer(
        Standing.OPEN, "", f"{needed} of {voters} votes are needed, the most so far is {behind}", tally
    )
