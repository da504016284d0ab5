"""Personas vote on a dispute. Nobody is asked anything: each one's position follows from what it saw and cares for."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from bullpen.analysis.base import Persona
from bullpen.domain.finding import Finding
from bullpen.flow.consensus.base import Ballot, Decision, Question, TieRule, Voter
from bullpen.flow.consensus.hold import hold
from bullpen.flow.disagreements.find import Dispute

PROTOCOL = "weighted"
QUORUM = 0.5  # of the personas that listen to the analysers concerned
TIES = TieRule.NOBODY  # then evidence decides, and if it cannot, a person is asked
SURE = Fraction(9, 10)
_LESS_SURE = {"vulture": Fraction(8, 10), "lizard": Fraction(8, 10), "detect-secrets": Fraction(6, 10)}


@dataclass(frozen=True, slots=True)
class Vote:
    """The decision, and who was for which side; those who had no position are in neither."""

    decision: Decision
    ballots: Mapping[str, str]  # by persona, in the order of their names

    def supporters(self, side: str) -> tuple[str, ...]:
        """The personas for a side."""
        return tuple(name for name, choice in self.ballots.items() if choice == side)


def hold_vote(dispute: Dispute, personas: Sequence[Persona], weights: Mapping[str, float]) -> Vote:
    """The vote of the personas whose analysers are concerned; ``weights`` are their track records, 0 to 1, else equal.

    Raises:
        InvalidInput: nobody listens to any of these analysers.
    """
    concerned = electorate(dispute, personas)
    positions = {one.name: position(one, dispute) for one in concerned}
    ballots = {name: side for name, side in positions.items() if side}
    question = Question(
        choices=tuple(dispute.sides),
        voters=tuple(Voter(one.name, weights.get(one.name, 0.5)) for one in concerned),
        deadline=0.0,
        quorum=QUORUM,
        ties=TIES,
    )
    said = [Ballot(name, (side,), 0.0) for name, side in ballots.items()]
    return Vote(hold(question, said, PROTOCOL, 1.0), ballots)


def electorate(dispute: Dispute, personas: Sequence[Persona]) -> list[Persona]:
    """Who has a vote: the personas that listen to an analyser of one of the findings, by name."""
    heard = {_plain(name) for finding in dispute.everything for name in finding.witnesses}
    listening = (one for one in personas if heard & {_plain(name) for name in one.analysers})
    return sorted(listening, key=lambda one: one.name)


def position(persona: Persona, dispute: Dispute) -> str:
    """The side a persona is for; empty where it has none.

    Its own findings weigh 1 (info) to 5 (critical), times how sure they are; of its values the first weighs 1, the
    second a half, and so on.
    """
    behind = {
        side: _findings_weight(persona, dispute.findings(side))
        + _values_weight(persona, dispute.contradiction.sides[side].serves)
        for side in dispute.sides
    }
    (one, first), (other, second) = behind.items()
    if first == second:
        return ""
    return one if first > second else other


def confidence(finding: Finding) -> Fraction:
    """How sure a finding is: each further analyser that saw it leaves less room for doubt (noisy or)."""
    doubt = Fraction(1)
    for name in finding.witnesses or ("",):
        doubt *= 1 - _LESS_SURE.get(name, SURE)
    return 1 - doubt


def _findings_weight(persona: Persona, findings: Sequence[Finding]) -> Fraction:
    """That of the weightiest: the same fault seen many times is no better reason."""
    mine = [one for one in findings if one.concern == persona.concern]
    return max(((1 + one.severity) * confidence(one) for one in mine), default=Fraction(0))


def _values_weight(persona: Persona, serves: Collection[str]) -> Fraction:
    ranked = enumerate(persona.values, start=1)
    return sum((Fraction(1, rank) for rank, value in ranked if value in serves), Fraction(0))


def _plain(name: str) -> str:
    return name.replace("-", "_")
