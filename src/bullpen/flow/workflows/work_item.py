"""Work on one item: develop, prove, review, judge; again with what was learned, as often as allowed."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from pydantic import TypeAdapter

from bullpen.analysis import queries as findings_queries
from bullpen.domain.errors import AWAY, BullpenError, Conflict
from bullpen.domain.events.improve import ChangeProved, ChangeRefused
from bullpen.domain.finding import Finding
from bullpen.domain.ids import SessionId
from bullpen.domain.task import TaskState
from bullpen.domain.verdict import Evidence
from bullpen.domain.work_item import ItemDraft
from bullpen.flow.improve.assess import Assessment, Hearing, assess
from bullpen.flow.improve.away import bring_commit, exchange_of, hand_over
from bullpen.flow.improve.crew import Crew
from bullpen.flow.improve.develop import (
    MOST_TAKES,
    Commission,
    Developed,
    Feedback,
    WorkOrder,
    attempt_number,
    develop,
    relocate,
)
from bullpen.flow.improve.giving import numbers_of
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.plan import item_task
from bullpen.flow.improve.project_gates import project_gates
from bullpen.flow.improve.prove import Case, candidate_commit, prove
from bullpen.flow.improve.records import DatabaseJournal
from bullpen.flow.improve.routing import Phase, settle_refused, settle_words
from bullpen.flow.improve.select import touching_tests
from bullpen.flow.improve.session import ImproveSession, OpenSessions
from bullpen.flow.improve.wanted import require_wanted
from bullpen.flow.items.generate import reworded
from bullpen.flow.items.reasons import MENDED
from bullpen.flow.steer import cancelled_items
from bullpen.kernel.durable import Json, step
from bullpen.kernel.json_text import load
from bullpen.models.facts import approach_lines
from bullpen.vcs.exchange import has_object
from bullpen.work import queries
from bullpen.work.actions.tasks import move_task

AGAIN = 4  # times an attempt is begun again where the exchange is away for a while
ORDER: TypeAdapter[WorkOrder] = TypeAdapter(WorkOrder)


@dataclass(frozen=True, slots=True)
class ItemResult:
    """How an item ended. ``commit`` holds its change upon the wave's tip; ``already`` means nothing was left to mend,
    ``declined`` that no recipe's conditions are met.

    ``part`` is what of the item the change is about, where its developer took on only some of its places.
    """

    item: str
    accepted: bool
    reason: str
    commit: str = ""
    already: bool = False
    declined: bool = False
    evidence: Evidence | None = None
    recipe: str = ""
    tried: tuple[str, ...] = ()
    part: ItemDraft | None = None


RESULT: TypeAdapter[ItemResult] = TypeAdapter(ItemResult)


@dataclass(frozen=True, slots=True)
class Bench:
    """What item workflows share in a process."""

    means: Means
    crew: Crew
    sessions: OpenSessions


@dataclass(frozen=True, slots=True)
class _Tried:
    """One attempt that was worked through."""

    developed: Developed
    accepted: bool
    reason: str
    evidence: Evidence | None = field(default=None)
    commit: str = ""
    part: ItemDraft | None = None


async def work_item(bench: Bench, argument: str) -> Json:
    """The durable function. ``argument`` is a ``WorkOrder`` as JSON; the result an ``ItemResult`` as JSON values."""
    order = load(ORDER, argument)
    feedback = Feedback()
    refused: _Tried | None = None
    for attempt in range(1, (order.attempts or bench.means.settings.attempts) + 1):
        tried = await step(
            f"attempt-{attempt}",
            _Tried,
            partial(_with_room, bench, order, attempt, feedback),
            retries=AGAIN,
        )
        if tried.accepted:
            return _result(order, tried)
        if (
            not tried.developed.tree
        ):  # the developer has no other way; what was wrong with its last one says more
            return _result(order, refused or tried)
        refused = tried
        feedback = _learn(feedback, tried)
    return _result(
        order, refused or _Tried(Developed("", "", "", ()), accepted=False, reason="no attempt was allowed")
    )


def _learn(feedback: Feedback, tried: _Tried) -> Feedback:
    keys = (*feedback.tried, *tried.developed.tried, tried.developed.approach)
    agents = dict.fromkeys((*feedback.agents, tried.developed.agent))
    return Feedback(tuple(dict.fromkeys(key for key in keys if key)), tried.reason, tuple(agents))


def _result(order: WorkOrder, tried: _Tried) -> Json:
    done = ItemResult(
        item=order.item,
        accepted=tried.accepted,
        reason=tried.reason,
        commit=tried.commit,
        already=tried.reason == MENDED,
        declined=tried.developed.declined,
        evidence=tried.evidence,
        recipe=tried.developed.recipe,
        tried=tried.developed.tried,
        part=tried.part,
    )
    return RESULT.dump_python(done, mode="json")


async def _with_room(bench: Bench, order: WorkOrder, attempt: int, feedback: Feedback) -> _Tried:
    """An attempt that came to nothing on a full disk is not recorded: it is for somebody who has room."""
    try:
        tried = await _attempt(bench, order, attempt, feedback)
    except (BullpenError, OSError) as error:
        await bench.sessions.require_room(error)
        raise
    if not tried.accepted:
        await bench.sessions.require_room(tried.reason)
    return tried


async def _attempt(bench: Bench, order: WorkOrder, attempt: int, feedback: Feedback) -> _Tried:
    session = await bench.sessions.renewed(SessionId(order.session))
    await bring_commit(bench.means, session.id, session.opened, order.tip, f"tips/{order.tip}")
    session, baseline = await bench.sessions.with_baseline(session.id)
    order = await _with_records_of_our_own(bench, session, order, attempt)
    try:
        await _require_wanted(bench, order)
        draft, findings = await _as_it_stands(bench, order)
        if not findings:
            return _Tried(Developed("", MENDED, "", ()), accepted=False, reason=MENDED)
        commission = Commission(session, order, attempt, draft, findings, feedback)
        developed = await develop(bench.means, bench.crew, commission)
        if not developed.tree:
            return _Tried(developed, accepted=False, reason=developed.summary)
        await _show(bench, order, "test", TaskState.RUNNING)
        part = _as_approached(draft, findings, developed)
        select = await touching_tests(session, order.tip, developed.tree)
        measured = replace(baseline, coverage=session.coverage)
        case = Case(
            part,
            order.tip,
            developed.tree,
            session.mirror,
            measured,
            select,
            known=findings,
            approved=session.options.approves(draft.rule),
        )
        folder = bench.means.folder(session.id).worktrees
        proof = await prove(bench.means, folder, case, session.tests)
        await _show(bench, order, "test", TaskState.DONE, f"{len(proof.evidence.tests_after)} tests pass")
        gates = (await project_gates(session.mirror, session.opened.base)).gates
        number = attempt_number(order, attempt)
        hearing = Hearing(session, draft, findings, proof, order.tip, number, gates, developed.agent)
        assessed = await assess(bench.means, bench.crew, hearing)
    except BullpenError as error:
        if error.code == AWAY:  # nothing was learned of the item
            raise
        return _Tried(Developed("", error.sentence, "", ()), accepted=False, reason=error.sentence)
    state = TaskState.DONE if assessed.accepted else TaskState.FAILED
    for phase in ("review", "judge"):
        await _show(bench, order, phase, state, assessed.reason)
    evidence = assessed.evidence
    await _tell(bench, order, attempt, developed, assessed)
    commit = await candidate_commit(session.mirror, developed.tree, order.tip)
    if session.away and assessed.accepted:
        name = change_name(order.wave, order.item)
        await hand_over(bench.means, session.id, session.opened, name, commit)
    return _Tried(developed, assessed.accepted, assessed.reason, evidence, commit, part)


async def _require_wanted(bench: Bench, order: WorkOrder) -> None:
    """No attempt at an item whose task, or whose whole session, a person has cancelled since.

    Raises:
        Conflict: it was cancelled; the sentence is the reason that was given.
    """
    session_id = SessionId(order.session)
    await require_wanted(bench.means, session_id)
    async with bench.means.database.view(bench.means.actor) as uow:
        cancelled = cancelled_items(await queries.list_tasks(uow, session_id))
    if order.item in cancelled:
        raise Conflict(cancelled[order.item])


def change_name(wave: int, item: str) -> str:
    """What an item's change is called on the exchange."""
    return f"items/{wave}-{item}"


async def _with_records_of_our_own(
    bench: Bench, session: ImproveSession, order: WorkOrder, attempt: int
) -> WorkOrder:
    """An attempt that was begun in a home that died cannot be gone on with here, for its files are there.

    It is begun again, under a number of its own, so the record shows both.
    """
    if exchange_of(bench.means, session.id) is None:
        return order
    journal = DatabaseJournal(bench.means, session.id)
    for take in range(MOST_TAKES):
        order = replace(order, take=take)
        task = item_task(session.id, order.item, "develop")
        numbers = numbers_of(attempt_number(order, attempt))
        past = [event for number in numbers for event in await journal.past(task, number)]
        trees = {tree for event in past if (tree := getattr(event, "tree", ""))}
        if all([await has_object(session.mirror, tree) for tree in trees]):
            return order
    return order


async def _as_it_stands(bench: Bench, order: WorkOrder) -> tuple[ItemDraft, tuple[Finding, ...]]:
    session = await bench.sessions.get(SessionId(order.session))
    async with bench.means.database.view(bench.means.actor) as uow:
        item = await queries.get_item(uow, session.id, order.item)
        known = await findings_queries.list_findings(uow, session.id, "before", item.draft.path)
    return await relocate(bench.means, session, item.draft, order.tip, known)


def _as_approached(draft: ItemDraft, findings: Sequence[Finding], developed: Developed) -> ItemDraft:
    """The part of an item its developer took on: where only some sites could be mended, the others stay findings."""
    lines = approach_lines(developed.approach)
    part = reworded(draft, [found for found in findings if not lines or found.place.line in lines])
    return replace(part, lines=tuple(sorted(lines))) if lines else part


async def _show(bench: Bench, order: WorkOrder, phase: str, state: TaskState, note: str = "") -> None:
    session_id = SessionId(order.session)
    async with bench.means.database.transaction(bench.means.actor) as uow:
        await move_task(uow, session_id, item_task(session_id, order.item, phase), state, note)


async def _tell(
    bench: Bench, order: WorkOrder, attempt: int, developed: Developed, assessed: Assessment
) -> None:
    """What became of the change, with what that says of those who made it and ruled on it."""
    verdict, reason, session_id = assessed.verdict, assessed.reason, SessionId(order.session)
    failed = tuple(gate.name for gate in verdict.gates if not gate.passed)
    async with bench.means.database.transaction(bench.means.actor) as uow:
        await settle_words(uow, session_id, assessed.words, gates_hold=not failed)
        if assessed.accepted:
            proved = ChangeProved(order.item, assessed.evidence.tree_after, verdict.judge)
            uow.record(session_id, proved)
            return
        author = (item_task(session_id, order.item, Phase.DEVELOP), developed.number)
        await settle_refused(uow, session_id, author, reason)
        uow.record(session_id, ChangeRefused(order.item, attempt, failed, reason))
