"""Keeping findings."""

from collections.abc import Sequence

from sqlalchemy import delete, insert

from bullpen.analysis import queries, tables
from bullpen.domain.actor import Scope
from bullpen.domain.finding import Finding
from bullpen.domain.ids import SessionId
from bullpen.kernel.json_text import dump
from bullpen.kernel.storage.unit_of_work import UnitOfWork


async def keep_findings(
    uow: UnitOfWork, session_id: SessionId, moment: str, findings: Sequence[Finding]
) -> None:
    """Store what a roast found, in place of what an interrupted try stored."""
    uow.actor.require(Scope.WORK_WRITE)
    row = tables.finding
    await uow.run(
        delete(row).where(
            row.c.organization_id == uow.actor.organization_id,
            row.c.session_id == session_id,
            row.c.moment == moment,
        )
    )
    rows = [
        {
            "organization_id": uow.actor.organization_id,
            "session_id": session_id,
            "moment": moment,
            "number": number,
            "fingerprint": found.fingerprint,
            "rule": found.rule,
            "severity": int(found.severity),
            "concern": found.concern,
            "path": found.place.path,
            "line": found.place.line,
            "body": dump(queries.FINDING, found),
        }
        for number, found in enumerate(findings)
    ]
    if rows:
        await uow.run(insert(row), rows)
