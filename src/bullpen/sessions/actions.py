"""Changing sessions: each action is one transaction with its event."""

import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlalchemy import delete

from bullpen.domain.actor import Scope
from bullpen.domain.errors import Conflict, InvalidInput, NotFound
from bullpen.domain.events.session import (
    FactCarried,
    FactDropped,
    FactNoted,
    ParticipantJoined,
    SessionArchived,
    SessionCreated,
    SessionPaused,
    SessionResumed,
    SessionShared,
    SessionTagged,
    ShareRevoked,
    StageReached,
)
from bullpen.domain.ids import SessionId, derived_id, new_id
from bullpen.domain.session import Session, Share, Stage, require_not_cancelled, require_stage, was_passed
from bullpen.kernel.clock import now
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.sessions import queries
from bullpen.sessions.carried import CarriedFact, FactKind, Merged, checked, merge
from bullpen.sessions.tables import carried_fact, session, session_share

SHORTEST_SHARE, LONGEST_SHARE = 60.0, 366 * 86_400.0  # seconds


async def create_session(
    uow: UnitOfWork,
    session_id: SessionId,
    *,
    kind: str,
    goal: str,
    project: str,
    options: str,
    parent: str = "",
) -> Session:
    """Begin a session. ``options`` is JSON text of what was asked."""
    uow.actor.require(Scope.RUN)
    at = now()
    await uow.run(
        uow.new_row(
            session,
            id=session_id,
            kind=kind,
            goal=goal,
            project=project,
            stage=Stage.INITIALIZE,
            options=options,
            parent=parent,
            participants=json.dumps([uow.actor.id]),
            created_at=at,
            updated_at=at,
        )
    )
    uow.record(session_id, SessionCreated(kind, goal, project, options, parent))
    return await queries.get_session(uow, session_id)


async def reach_stage(uow: UnitOfWork, session_id: SessionId, stage: Stage, reason: str = "") -> None:
    """Go on to a stage; asking for the one it is at, or one it has passed, changes nothing: repeated steps are harmless."""
    uow.actor.require(Scope.RUN)
    current = await queries.get_session(uow, session_id)
    if current.stage is stage or was_passed(current.stage, stage):
        return
    require_stage(session_id, current.stage, stage)
    await _set(uow, session_id, stage=stage)
    uow.record(session_id, StageReached(stage, reason))


async def cancel_session(uow: UnitOfWork, session_id: SessionId, reason: str) -> None:
    """End it for good, whoever works on it; doing it twice changes nothing.

    Raises:
        Conflict: it has come to another end.
    """
    uow.actor.require(Scope.RUN)
    current = await queries.get_session(uow, session_id)
    if current.stage.is_final and current.stage is not Stage.CANCELLED:
        raise Conflict(f"Session {session_id} is {current.stage.value} already; there is nothing to cancel.")
    await reach_stage(uow, session_id, Stage.CANCELLED, reason)


async def pause_session(uow: UnitOfWork, session_id: SessionId) -> None:
    """Start nothing new; what runs is finished."""
    uow.actor.require(Scope.RUN)
    if not (await queries.get_session(uow, session_id)).paused:
        await _set(uow, session_id, paused=True)
        uow.record(session_id, SessionPaused(uow.actor.id))


async def resume_session(uow: UnitOfWork, session_id: SessionId) -> None:
    """Go on after a pause.

    Raises:
        Conflict: it was cancelled.
    """
    uow.actor.require(Scope.RUN)
    current = await queries.get_session(uow, session_id)
    require_not_cancelled(current)
    if current.paused:
        await _set(uow, session_id, paused=False)
        uow.record(session_id, SessionResumed(uow.actor.id))


async def archive_session(uow: UnitOfWork, session_id: SessionId) -> None:
    """Take it out of the ordinary lists; doing it twice changes nothing."""
    uow.actor.require(Scope.RUN)
    if (await queries.get_session(uow, session_id)).archived:
        return
    await _set(uow, session_id, archived=True)
    uow.record(session_id, SessionArchived(uow.actor.id))


async def tag_session(uow: UnitOfWork, session_id: SessionId, tags: Sequence[str]) -> None:
    """Replace its tags."""
    uow.actor.require(Scope.RUN)
    await queries.get_session(uow, session_id)
    ordered = tuple(sorted(set(tags)))
    await _set(uow, session_id, tags=json.dumps(ordered))
    uow.record(session_id, SessionTagged(ordered))


async def join_session(uow: UnitOfWork, session_id: SessionId, participant: str) -> None:
    """Add an agent or a person; joining twice changes nothing."""
    uow.actor.require(Scope.RUN)
    current = await queries.get_session(uow, session_id)
    if participant in current.participants:
        return
    await _set(uow, session_id, participants=json.dumps([*current.participants, participant]))
    uow.record(session_id, ParticipantJoined(participant))


async def note_facts(uow: UnitOfWork, session_id: SessionId, **values: str) -> None:
    """Add facts about a session that lists show (branch, base commit, counts); those known already change nothing."""
    uow.actor.require(Scope.RUN)
    known = (await queries.get_session(uow, session_id)).metadata
    fresh = {name: value for name, value in sorted(values.items()) if known.get(name) != value}
    if fresh:
        await _set(uow, session_id, facts=json.dumps({**known, **fresh}, sort_keys=True))
    for name, value in fresh.items():
        uow.record(session_id, FactNoted(name, value))


async def share_session(uow: UnitOfWork, session_id: SessionId, seconds: float) -> tuple[Share, str]:
    """A link to read a session for so many seconds: what is kept of it, and its token, which is told this once.

    Raises:
        InvalidInput: not between a minute and a year.
    """
    uow.actor.require(Scope.RUN)
    if not SHORTEST_SHARE <= seconds <= LONGEST_SHARE:
        raise InvalidInput("A session is shared for a minute at least and a year at most.")
    stored = await queries.get_session(uow, session_id)
    token, at = (
        f"share-{secrets.token_urlsafe(32)}",
        now(),
    )  # one that begins with - would be taken for an option
    made = Share(new_id("shr"), stored.id, uow.actor.id, at, at + seconds)
    values = {"id": made.id, "made_by": made.made_by, "made_at": at, "expires_at": made.expires_at}
    hashed = queries.token_hash(token)
    await uow.run(uow.new_row(session_share, session_id=stored.id, token_hash=hashed, **values))
    uow.record(stored.id, SessionShared(made.id, uow.actor.id, made.expires_at))
    return made, token


async def revoke_share(uow: UnitOfWork, share_id: str) -> Share:
    """Let a link open nothing any more; doing it twice changes nothing.

    Raises:
        NotFound: there is no such link.
    """
    uow.actor.require(Scope.RUN)
    found = next((one for one in await queries.list_shares(uow) if one.id == share_id), None)
    if found is None:
        raise NotFound(f"There is no link {share_id}.", remedy="See `bullpen sessions shares`.")
    if found.revoked_at:
        return found
    revoked = replace(found, revoked_at=now())
    chosen = uow.change_rows(session_share).where(session_share.c.id == share_id)
    await uow.run(chosen.values(revoked_at=revoked.revoked_at))
    uow.record(found.session_id, ShareRevoked(share_id, uow.actor.id))
    return revoked


async def carry_facts(uow: UnitOfWork, session_id: SessionId, facts: Iterable[CarriedFact]) -> Merged:
    """Add what a session learned to what its project's sessions are told; the same again changes nothing.

    Raises:
        InvalidInput: a key or a text cannot be kept.
    """
    uow.actor.require(Scope.RUN)
    project = (await queries.get_session(uow, session_id)).project
    merged = merge(await queries.list_carried(uow, project), [checked(fact) for fact in facts])
    for fact, before in merged.changed:
        was = before.text if before else ""
        uow.record(session_id, FactCarried(fact.kind, fact.key, fact.text, fact.by, was, fact.note))
    for key in {(fact.kind, fact.key) for fact, _ in merged.changed}:
        await _keep_fact(uow, project, merged.facts[key])
    return merged


async def forget_fact(uow: UnitOfWork, project: str, kind: FactKind, key: str) -> None:
    """Tell it no more; what was said stays in the events of its session, and so does that it was forgotten.

    Raises:
        NotFound: nothing of that kind and key is told.
    """
    uow.actor.require(Scope.RUN)
    known = {(one.kind, one.key): one for one in await queries.list_carried(uow, project)}
    if (kind, key) not in known:
        raise NotFound(
            f"Nothing is carried as the {kind.value} {key!r}.", remedy="See `bullpen sessions facts`."
        )
    await _drop_fact(uow, project, kind, key)
    told = known[kind, key]
    uow.record(SessionId(told.session), FactDropped(told.kind, told.key, told.text, uow.actor.id))


async def _keep_fact(uow: UnitOfWork, project: str, fact: CarriedFact) -> None:
    await _drop_fact(uow, project, fact.kind, fact.key)
    values = {"text": fact.text, "from_session": fact.session, "said_by": fact.by, "said_at": fact.at}
    name = _fact_id(project, fact.kind, fact.key)
    row = {"id": name, "project": project, "kind": fact.kind, "key": fact.key, "note": fact.note, **values}
    await uow.run(uow.new_row(carried_fact, **row))


async def _drop_fact(uow: UnitOfWork, project: str, kind: FactKind, key: str) -> None:
    mine = carried_fact.c.organization_id == uow.actor.organization_id
    await uow.run(delete(carried_fact).where(mine, carried_fact.c.id == _fact_id(project, kind, key)))


def _fact_id(project: str, kind: FactKind, key: str) -> str:
    return derived_id("fct", project, kind.value, key, length=20)


async def _set(uow: UnitOfWork, session_id: SessionId, **values: object) -> None:
    await uow.run(
        uow.change_rows(session).where(session.c.id == session_id).values(**values, updated_at=now())
    )
