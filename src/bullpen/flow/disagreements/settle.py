"""Settling disputes one after the other: by a person's word, by rule, by vote, by evidence, else by asking a person."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from bullpen.analysis.base import Persona
from bullpen.domain.finding import Finding
from bullpen.flow.consensus.base import Decision
from bullpen.flow.consensus.conflicts import Claim, Conflict, Side, contradictions
from bullpen.flow.consensus.resolve import Known, Opinion, ResolvedBy, resolve
from bullpen.flow.disagreements.base import Contradiction
from bullpen.flow.disagreements.evidence import Ground, shown_by
from bullpen.flow.disagreements.find import Dispute, find_disputes
from bullpen.flow.disagreements.vote import Vote, electorate, hold_vote

VOTE = "vote"


def _nobody(_finding: Finding) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Basis:
    """Who decides, and by what. ``weights`` are track records by persona, 0 to 1.

    ``approved`` tells of which findings a person has said yes to the rule; ``under_way`` holds the fingerprints of those
    whose change has landed or is being made.
    """

    personas: Sequence[Persona]
    ground: Ground
    weights: Mapping[str, float] = field(default_factory=dict[str, float])
    approved: Callable[[Finding], bool] = _nobody
    under_way: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Ruling:
    """How a dispute ended. ``winner`` is a side, empty where a person has to say; ``by`` is how it was found."""

    dispute: Dispute
    winner: str
    by: str
    reason: str
    decision: Decision | None = None

    @property
    def lost(self) -> tuple[Finding, ...]:
        """The findings that are not followed."""
        if not self.winner:
            return ()
        return self.dispute.findings(self.dispute.contradiction.other(self.winner))


def settle(findings: Sequence[Finding], known: Sequence[Contradiction], basis: Basis) -> list[Ruling]:
    """Rulings on all disputes among the findings, the worst dispute first.

    A finding that lost once takes part in no later dispute. The same input gives the same rulings.
    """
    lost: set[str] = set()
    rulings: list[Ruling] = []
    for dispute in find_disputes(findings, known, basis.ground.read):
        left = _without(dispute, lost)
        if all(left.sides.values()):
            ruling = rule_on(left, basis)
            lost |= {one.fingerprint for one in ruling.lost}
            rulings.append(ruling)
    return rulings


def rule_on(dispute: Dispute, basis: Basis) -> Ruling:
    """One ruling: a person's word first, then what is under way, then the vote, then evidence."""
    conflict = _conflict(dispute, basis)
    found = resolve(conflict, Known(person=_word(dispute, basis)))
    if found.winners:
        return _ruling(dispute, found.winners[0], found.by.value, _why(found.by, dispute))
    if not electorate(dispute, basis.personas):
        return _ask(dispute, "nobody listens to the analysers concerned", None)
    vote = hold_vote(dispute, basis.personas, basis.weights)
    if vote.decision.choice:
        return _ruling(dispute, vote.decision.choice, VOTE, _counted(vote), vote.decision)
    if shown := shown_by(dispute, basis.ground):
        why = f"the vote could not tell, but {shown.words}"
        return _ruling(dispute, shown.side, ResolvedBy.EVIDENCE.value, why, vote.decision)
    return _ask(dispute, f"{_counted(vote)}, and no evidence decides", vote.decision)


def _without(dispute: Dispute, lost: Collection[str]) -> Dispute:
    sides = {
        name: tuple(one for one in held if one.finding.fingerprint not in lost)
        for name, held in dispute.sides.items()
    }
    return Dispute(dispute.contradiction, dispute.path, dispute.line, sides)


def _conflict(dispute: Dispute, basis: Basis) -> Conflict:
    claims = [
        Claim(
            Side(
                side,
                ", ".join(sorted({one.concern.value for one in dispute.findings(side)})),
                landed=any(one.fingerprint in basis.under_way for one in dispute.findings(side)),
            ),
            dispute.subject,
            card.wants,
        )
        for side, card in dispute.contradiction.sides.items()
    ]
    (conflict,) = contradictions(claims)
    return conflict


def _word(dispute: Dispute, basis: Basis) -> Opinion | None:
    """Who says yes to a rule beforehand has chosen its side, unless it is yes to both."""
    wanted = [side for side in dispute.sides if any(map(basis.approved, dispute.findings(side)))]
    return Opinion("a person", wanted[0], "the rule was approved") if len(wanted) == 1 else None


def _why(by: ResolvedBy, dispute: Dispute) -> str:
    return "a person approved the rule" if by is ResolvedBy.PERSON else f"work on {dispute.path} has begun so"


def _counted(vote: Vote) -> str:
    """``3 of 4 personas are for it (operations, qa, security; against it: maintainability)``."""
    choice = vote.decision.choice or next(iter(vote.decision.tally), "")
    mine = vote.supporters(choice)
    others = [name for name in vote.ballots if name not in mine]
    names = "; ".join(
        [*([", ".join(mine)] if mine else []), *([f"against it: {', '.join(others)}"] if others else [])]
    )
    said = f"{len(mine)} of {len(vote.ballots)} personas are for it"
    return f"{said} ({names})" if names else "no persona has a position"


def _ruling(dispute: Dispute, winner: str, by: str, why: str, decision: Decision | None = None) -> Ruling:
    sides = dispute.contradiction.sides
    loser = dispute.contradiction.other(winner)
    reason = f"{sides[winner].wants}, rather than that {sides[loser].wants}: {why}"
    return Ruling(dispute, winner, by, reason, decision)


def _ask(dispute: Dispute, why: str, decision: Decision | None) -> Ruling:
    first, second = (card.wants for card in dispute.contradiction.sides.values())
    reason = f"either {first}, or {second}: {why}, so a person decides"
    return Ruling(dispute, "", ResolvedBy.PERSON.value, reason, decision)
