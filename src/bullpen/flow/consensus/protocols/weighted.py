"""The choice with more than half of the weight of those who answered; weight is a voter's track record.

Nobody weighs as much as all others together, so nobody can decide alone where all others disagree: a record is
evidence, not rule.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from bullpen.flow.consensus.base import Count, Poll, Voter
from bullpen.flow.consensus.tally import first_choices, has_quorum, over_half

_FLOOR = Fraction(1, 20)  # who has no record yet is heard a little
_BELOW = Fraction(99, 100)


def count(poll: Poll) -> Count:
    """Votes weigh as their voters' records do."""
    weights = _weights(poll.question.voters)
    silent = Fraction(0) if poll.over else sum((weights[name] for name in poll.silent), Fraction(0))
    return over_half(poll, first_choices(poll, weights), silent, has_quorum(poll), "of weight")


def _weights(voters: Sequence[Voter]) -> Mapping[str, Fraction]:
    """Weights as they count; of two voters, both weigh the same."""
    if len(voters) < 3:
        return {voter.id: Fraction(1) for voter in voters}
    raw = {voter.id: max(Fraction(voter.weight), _FLOOR) for voter in voters}
    others = sum(raw.values(), Fraction(0)) - max(raw.values())
    return {name: min(weight, others * _BELOW) for name, weight in raw.items()}
