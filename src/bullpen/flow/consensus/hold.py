"""Holding a vote: which ballots count, and what the protocol makes of them.

Nobody can hold a vote up: it ends at the deadline whoever is silent. A voter's first word counts, and what it says
later changes nothing, so what was decided early stays decided. A voter that says two different things at the same
instant, or something that is not to be chosen, is set aside.
"""

import math
from collections.abc import Iterable

from bullpen.domain.errors import InvalidInput
from bullpen.flow.consensus.base import (
    Ballot,
    ConsensusProtocol,
    Decision,
    Poll,
    Question,
    SetAside,
    Standing,
)
from bullpen.kernel.extend import ExtensionPoint

PROTOCOLS: ExtensionPoint[ConsensusProtocol] = ExtensionPoint("bullpen.flow.consensus.protocols", "count")


def hold(question: Question, ballots: Iterable[Ballot], protocol: str, now: float) -> Decision:
    """How the vote stands at ``now``. Pure: the same ballots give the same decision, in whatever order they came.

    Raises:
        InvalidInput: the question cannot be voted on.
        NotFound: there is no such protocol.
    """
    check_question(question)
    poll, aside = sort_ballots(question, ballots, now)
    count = PROTOCOLS.load(protocol)(poll)
    choice = question.otherwise if count.standing is Standing.UNDECIDED else count.choice
    return Decision(
        protocol,
        count.standing,
        choice,
        _reason(protocol, poll, aside, count.standing, choice, count.because),
        count.tally,
        poll.silent,
        aside,
    )


def check_question(question: Question) -> None:
    """Refuse what cannot be voted on."""
    choices, names = question.choices, [voter.id for voter in question.voters]
    if not choices or len(set(choices)) != len(choices) or "" in choices:
        raise InvalidInput("A vote needs choices that differ and have names.")
    if not names or len(set(names)) != len(names):
        raise InvalidInput("A vote needs voters, each named once.")
    if not all(math.isfinite(voter.weight) and 0 <= voter.weight <= 1 for voter in question.voters):
        raise InvalidInput("A voter's weight is from 0 to 1.")
    if not 0 < question.quorum <= 1:
        raise InvalidInput(f"A quorum is a share above 0 and at most 1, not {question.quorum}.")
    if question.otherwise and question.otherwise not in choices:
        raise InvalidInput(f"{question.otherwise!r} is what happens otherwise, but none of the choices.")


def sort_ballots(
    question: Question, ballots: Iterable[Ballot], now: float
) -> tuple[Poll, tuple[SetAside, ...]]:
    """The ballots that count, and the voters whose do not, each with the reason."""
    said: dict[str, list[Ballot]] = {}
    for ballot in ballots:
        said.setdefault(ballot.voter, []).append(ballot)
    kept: list[Ballot] = []
    silent: list[str] = []
    aside = [SetAside(name, "has no vote") for name in sorted(said.keys() - {v.id for v in question.voters})]
    for voter in question.voters:
        counted = _one_ballot(question, said.get(voter.id, []), now)
        if isinstance(counted, Ballot):
            kept.append(counted)
        elif counted:
            aside.append(SetAside(voter.id, counted))
        else:
            silent.append(voter.id)
    over = now > question.deadline or not silent
    return Poll(question, tuple(kept), tuple(silent), over), tuple(aside)


def _one_ballot(question: Question, said: list[Ballot], now: float) -> Ballot | str:
    """The ballot of one voter that counts, or why none does; empty if it has been silent so far."""
    due = [one for one in said if one.at <= min(question.deadline, now)]
    if not due:
        late = any(one.at > question.deadline for one in said)
        return "was late" if late and now > question.deadline else ""
    first = min(one.at for one in due)
    words = {one.ranking: one for one in due if one.at == first}
    if len(words) > 1:
        return "said two different things"
    ballot = next(iter(words.values()))
    ranking = ballot.ranking
    if not ranking or len(set(ranking)) != len(ranking) or not set(ranking) <= set(question.choices):
        return "named what is not to be chosen"
    return ballot


def _reason(
    protocol: str, poll: Poll, aside: tuple[SetAside, ...], standing: Standing, choice: str, because: str
) -> str:
    heads = [f"{len(poll.ballots)} of {len(poll.question.voters)} voters counted"]
    heads += [f"{len(poll.silent)} silent"] if poll.silent else []
    heads += [f"{one.voter} {one.why}" for one in aside[:3]]
    heads += [f"{len(aside) - 3} more set aside"] if len(aside) > 3 else []
    outcome = {
        Standing.OPEN: "Still open",
        Standing.DECIDED: f"{choice!r}",
        Standing.UNDECIDED: f"No decision, so {choice!r}" if choice else "No decision, so a person is asked",
    }[standing]
    return f"{outcome} by {protocol.replace('_', ' ')}: {because} ({', '.join(heads)})."
