"""Where personas disagree: findings that are at odds are settled before they become work, and it is written down."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bullpen.analysis.persona_cards import load_personas
from bullpen.domain.errors import LimitExceeded, NotFound, PermissionRefused
from bullpen.domain.events.team import ConflictResolved, DecisionReached
from bullpen.domain.finding import Finding
from bullpen.domain.ids import SessionId, derived_id
from bullpen.domain.session import Session
from bullpen.domain.test_report import Coverage
from bullpen.domain.work_item import ItemState, WorkItem
from bullpen.flow.approve import ask_for_choice, choice_label
from bullpen.flow.consensus.conflicts import ConflictKind
from bullpen.flow.consensus.resolve import Outcome, Resolution
from bullpen.flow.disagreements.base import load_contradictions
from bullpen.flow.disagreements.duplicates import same_work
from bullpen.flow.disagreements.evidence import Ground
from bullpen.flow.disagreements.find import may_disagree
from bullpen.flow.disagreements.settle import Basis, Ruling, settle
from bullpen.flow.items.reasons import AT_ODDS
from bullpen.kernel.bus.log import recorded_of
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.vcs.files import read_inside
from bullpen.work.queries import list_items

UNDER_WAY = (ItemState.READY, ItemState.IN_PROGRESS, ItemState.IN_REVIEW, ItemState.DONE)


@dataclass(frozen=True, slots=True)
class Word:
    """What a ruling says of a finding's item: it lost, or a person is asked about it."""

    reason: str
    lost: bool
    label: str = ""

    def upon(self, item: WorkItem) -> WorkItem:
        """The item with this word: left if it lost; kept back, if it would be worked on, until somebody has decided."""
        draft = replace(item.draft, labels=(*item.draft.labels, self.label)) if self.label else item.draft
        if self.lost:
            return replace(item, draft=draft, state=ItemState.PROPOSED, reason=AT_ODDS + self.reason)
        if item.state is ItemState.READY:
            return replace(item, draft=draft, state=ItemState.BLOCKED, reason=AT_ODDS + self.reason)
        return replace(item, draft=draft)


@dataclass(frozen=True, slots=True)
class Settled:
    """All rulings of a plan, and what they say of single findings, by fingerprint."""

    rulings: tuple[Ruling, ...] = ()
    words: Mapping[str, Word] = field(default_factory=dict[str, Word])


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a repository when its findings are settled."""

    root: Path
    imports: Mapping[str, Sequence[str]]
    coverage: Coverage | None
    weights: Mapping[str, float]
    told: Mapping[str, str]  # reasons by subject, of what was settled in an earlier plan of the session


def by_word(findings: Iterable[Finding], settled: Settled) -> list[tuple[Word | None, list[Finding]]]:
    """Findings that share what was ruled of them; first those nothing was ruled of, then in the order of rulings."""
    groups: dict[Word | None, list[Finding]] = {None: []}
    groups |= {word: [] for word in settled.words.values()}
    for finding in findings:
        groups[settled.words.get(finding.fingerprint)].append(finding)
    return [(word, mine) for word, mine in groups.items() if mine]


@dataclass(frozen=True, slots=True)
class Deeds:
    """What could be done about findings: whose rule a person ``approved``, and which a recipe ``acts`` on."""

    approved: Callable[[Finding], bool]
    acts: Callable[[Finding], bool]


async def settle_findings(
    session_id: SessionId, findings: Sequence[Finding], stored: Sequence[WorkItem], known: Known, deeds: Deeds
) -> Settled:
    """Settle what is at odds among ``findings``; items that are ``stored`` and under way are not undone."""
    under_way = {one for item in stored if item.state in UNDER_WAY for one in item.draft.fingerprints}
    ground = Ground(_reader(known.root), known.imports, known.coverage)
    basis = Basis(load_personas(), ground, known.weights, deeds.approved, under_way)
    rulings = await asyncio.to_thread(settle, findings, load_contradictions(), basis)
    words: dict[str, Word] = {}
    for ruling in rulings:
        words |= _words(session_id, ruling, known.told.get(ruling.dispute.subject, ruling.reason), deeds)
    return Settled(tuple(rulings), words)


def _reader(root: Path) -> Callable[[str], str]:
    def read(path: str) -> str:
        try:
            return read_inside(root, path).decode("utf-8", "surrogateescape")
        except (NotFound, LimitExceeded, PermissionRefused):  # then only the lines of its findings are known
            return ""

    return read


def _words(session_id: SessionId, ruling: Ruling, reason: str, deeds: Deeds) -> dict[str, Word]:
    if ruling.winner:
        return {one.fingerprint: Word(reason, lost=True) for one in ruling.lost}
    if not any(map(deeds.acts, ruling.dispute.everything)):  # nobody would act, so nobody needs to be asked
        return {}
    asked = choice_of(session_id, ruling)
    return {
        one.fingerprint: Word(reason, lost=False, label=choice_label(asked, yes=side == 0))
        for side, name in enumerate(ruling.dispute.sides)
        for one in ruling.dispute.findings(name)
    }


def choice_of(session_id: SessionId, ruling: Ruling) -> str:
    """The id of the question that is put to a person."""
    return derived_id("apr", session_id, ruling.dispute.subject)


async def track_records(
    uow: UnitOfWork, session: Session, earlier: Iterable[Session], findings: Sequence[Finding]
) -> dict[str, float]:
    """For each persona the share of its items that landed, of those worked on in sessions begun before this one.

    Laplace's rule of succession: with no record it is a half for everybody, and one success makes nobody infallible.
    Empty where no findings can be at odds, for then nobody votes.
    """
    if not may_disagree(findings, load_contradictions()):
        return {}
    before = [one for one in earlier if one.id != session.id and one.created_at < session.created_at]
    items = [item for one in before for item in await list_items(uow, one.id)]
    return {one.name: _share_landed(items, one.concern) for one in load_personas()}


def _share_landed(items: Sequence[WorkItem], concern: str) -> float:
    mine = [item for item in items if item.draft.concern == concern]
    landed = sum(item.state is ItemState.DONE for item in mine)
    failed = sum(
        item.state is ItemState.BLOCKED and bool(item.owner) for item in mine
    )  # moved there by somebody
    return (landed + 1) / (landed + failed + 2)


async def settled_before(uow: UnitOfWork, session_id: SessionId) -> dict[str, str]:
    """Reasons by subject, of all contradictions the session has settled."""
    told = await recorded_of(uow, session_id, ConflictResolved)
    return {one.subject: one.reason for one in told if one.kind == ConflictKind.CONTRADICTION}


async def record_disagreements(
    uow: UnitOfWork, session_id: SessionId, settled: Settled, items: Sequence[WorkItem]
) -> None:
    """Keep every ruling with its reason, ask where a person has to say, and note items that are after the same."""
    told = {one.subject for one in await recorded_of(uow, session_id, ConflictResolved)}
    for ruling in settled.rulings:
        if ruling.dispute.subject not in told:
            _record(uow, session_id, ruling)
            await _ask(uow, session_id, ruling, settled.words)
    for resolution in _each_once(same_work(items)):
        if resolution.conflict.subject not in told:
            _record_same(uow, session_id, resolution)


def _record(uow: UnitOfWork, session_id: SessionId, ruling: Ruling) -> None:
    subject, decision = ruling.dispute.subject, ruling.decision
    if decision is not None:
        uow.record(session_id, DecisionReached(subject, decision.protocol, decision.choice, decision.reason))
    lost = {one.fingerprint for one in ruling.lost}
    every = [one.fingerprint for one in ruling.dispute.everything]
    winners = tuple(one for one in every if one not in lost) if ruling.winner else ()
    others = tuple(one for one in every if one not in winners)
    outcome = Outcome.DROP if ruling.winner else Outcome.ASK
    kind = ConflictKind.CONTRADICTION.value
    uow.record(
        session_id,
        ConflictResolved(kind, subject, ruling.by, winners, others, outcome.value, ruling.reason),
    )


async def _ask(uow: UnitOfWork, session_id: SessionId, ruling: Ruling, words: Mapping[str, Word]) -> None:
    if ruling.winner or not any(one.fingerprint in words for one in ruling.dispute.everything):
        return
    yes, no = (card.wants for card in ruling.dispute.contradiction.sides.values())
    reason = f"{ruling.dispute.contradiction.question} Yes: {yes}. No: {no}."
    await ask_for_choice(uow, session_id, choice_of(session_id, ruling), ruling.dispute.subject, reason)


def _each_once(found: Collection[Resolution]) -> list[Resolution]:
    """Items that meet on many lines are told of once."""
    return list({(one.winners, one.others): one for one in reversed(list(found))}.values())[::-1]


def _record_same(uow: UnitOfWork, session_id: SessionId, one: Resolution) -> None:
    """The others are not dropped: what the first leaves of the work is done when it is their turn."""
    winner, others = one.winners[0], ", ".join(one.others)
    reason = f"{one.conflict.subject}: {winner} is ahead of {others}, which find nothing to do where it lands"
    kind, subject = one.conflict.kind.value, one.conflict.subject
    uow.record(
        session_id,
        ConflictResolved(kind, subject, one.by.value, one.winners, one.others, Outcome.WAIT.value, reason),
    )
