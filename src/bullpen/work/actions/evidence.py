"""Keeping what proves a change."""

from sqlalchemy import delete

from bullpen.domain.ids import SessionId
from bullpen.domain.verdict import Evidence
from bullpen.kernel.json_text import dump
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.work import queries, tables


async def keep_evidence(uow: UnitOfWork, session_id: SessionId, commit: str, evidence: Evidence) -> None:
    """Store the evidence of an item's change, in place of what was there."""
    kept = tables.evidence
    await uow.run(
        delete(kept).where(
            kept.c.organization_id == uow.actor.organization_id,
            kept.c.session_id == session_id,
            kept.c.item_id == evidence.item,
        )
    )
    await uow.run(
        uow.new_row(
            kept,
            session_id=session_id,
            item_id=evidence.item,
            commit=commit,
            body=dump(queries.EVIDENCE, evidence),
        )
    )
