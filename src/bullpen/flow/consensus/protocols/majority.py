"""The choice that more than half of those who answered want, if a quorum answered."""

from fractions import Fraction

from bullpen.flow.consensus.base import Count, Poll
from bullpen.flow.consensus.tally import first_choices, has_quorum, over_half


def count(poll: Poll) -> Count:
    """One voter, one vote."""
    still_out = Fraction(0 if poll.over else len(poll.silent))
    return over_half(poll, first_choices(poll), still_out, has_quorum(poll), "votes")
