"""Questions to a person, and their answers."""

from bullpen.domain.actor import Scope
from bullpen.domain.errors import Conflict, NotFound
from bullpen.domain.events.work import ApprovalAnswered, ApprovalAsked
from bullpen.domain.ids import ApprovalId, SessionId
from bullpen.kernel.clock import now
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.work import queries, tables


async def ask_approval(
    uow: UnitOfWork,
    session_id: SessionId,
    approval_id: ApprovalId,
    *,
    subject: str,
    risk: str,
    reason: str,
    deadline: float,
) -> None:
    """Ask; asking the same again changes nothing. ``deadline`` in seconds since 1970; after it, it is a denial."""
    known = {one.id for one in await queries.list_approvals(uow, session_id)}
    if approval_id in known:
        return
    await uow.run(
        uow.new_row(
            tables.approval,
            session_id=session_id,
            id=approval_id,
            subject=subject,
            risk=risk,
            reason=reason,
            answer="pending",
            asked_at=now(),
            deadline=deadline,
        )
    )
    uow.record(session_id, ApprovalAsked(approval_id, subject, risk, reason, deadline))


async def answer_approval(uow: UnitOfWork, approval_id: str, *, approved: bool) -> SessionId:
    """Approve or deny a pending question; returns its session.

    Raises:
        Conflict: it was answered already, or its time has run out.
    """
    uow.actor.require(Scope.APPROVE)
    approval = tables.approval
    row = await uow.fetch_one(uow.rows_of(approval).where(approval.c.id == approval_id))
    if row is None:
        raise NotFound(f"There is no approval {approval_id}.", remedy="See `bullpen approvals`.")
    if row.answer != "pending":
        raise Conflict(f"Approval {approval_id} was {row.answer} already.")
    late = now() > row.deadline
    answer = "expired" if late else "approved" if approved else "denied"
    await uow.run(
        uow.change_rows(approval)
        .where(approval.c.id == approval_id)
        .values(answer=answer, answered_by="time" if late else uow.actor.id)
    )
    uow.record(SessionId(row.session_id), ApprovalAnswered(approval_id, answer, uow.actor.id))
    return SessionId(row.session_id)
