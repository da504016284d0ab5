"""What is put to the vote, what was said, and what a protocol answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class TieRule(StrEnum):
    """What decides between choices that have equally much behind them."""

    FIRST_LISTED = "the choice listed first wins"
    TRACK_RECORD = "the choice of the voters with the better track record wins, then the one listed first"
    NOBODY = "nobody wins"


class Standing(StrEnum):
    """How far a vote has come."""

    OPEN = "open"  # more ballots may still change it
    DECIDED = "decided"
    UNDECIDED = "undecided"  # it has ended, and ``choice`` is what was to happen then


@dataclass(frozen=True, slots=True)
class Voter:
    """Who may vote. ``weight`` is its track record, from 0 to 1."""

    id: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Question:
    """What is put to the vote. It ends at ``deadline`` (seconds of the clock that stamps the ballots).

    ``quorum`` is a share of the voters, above 0 and at most 1; what it is a quorum of is a matter of the protocol.
    ``otherwise`` is what happens if there is no decision: one of the choices, or empty where a person is to be asked.
    """

    choices: tuple[str, ...]
    voters: tuple[Voter, ...]
    deadline: float
    quorum: float = 0.5
    ties: TieRule = TieRule.FIRST_LISTED
    otherwise: str = ""


@dataclass(frozen=True, slots=True)
class Ballot:
    """What a voter said. ``ranking`` begins with what it wants most; protocols without ranks read the first alone.

    ``at`` is when the platform received it, not when the voter says it was sent.
    """

    voter: str
    ranking: tuple[str, ...]
    at: float


@dataclass(frozen=True, slots=True)
class SetAside:
    """A voter whose ballots do not count, and why."""

    voter: str
    why: str


@dataclass(frozen=True, slots=True)
class Poll:
    """A question with the ballots that count, one for each voter, in the order of the question's voters."""

    question: Question
    ballots: tuple[Ballot, ...]
    silent: tuple[str, ...]
    over: bool

    @property
    def weights(self) -> Mapping[str, float]:
        """The weight of every voter."""
        return {voter.id: voter.weight for voter in self.question.voters}


@dataclass(frozen=True, slots=True)
class Count:
    """A protocol's answer. ``choice`` is empty where there is none (yet); ``tally`` is in the protocol's own measure."""

    standing: Standing
    choice: str
    because: str
    tally: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Decision:
    """How a vote stands, with its reason in one sentence."""

    protocol: str
    standing: Standing
    choice: str
    reason: str
    tally: Mapping[str, float] = field(default_factory=dict[str, float])
    silent: tuple[str, ...] = ()
    set_aside: tuple[SetAside, ...] = ()


class ConsensusProtocol(Protocol):
    """A way to decide. Called with a poll whose ballots are sound; must end where the poll is over."""

    def __call__(self, poll: Poll) -> Count:
        """The count of the poll."""
        ...
