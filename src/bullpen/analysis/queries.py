"""Reading findings."""

from collections.abc import Sequence

from pydantic import TypeAdapter

from bullpen.analysis import tables
from bullpen.domain.actor import Scope
from bullpen.domain.finding import Finding
from bullpen.domain.ids import SessionId
from bullpen.kernel.json_text import load
from bullpen.kernel.storage.unit_of_work import UnitOfWork

FINDING: TypeAdapter[Finding] = TypeAdapter(Finding)


async def list_findings(
    uow: UnitOfWork, session_id: SessionId, moment: str, path: str = ""
) -> Sequence[Finding]:
    """Findings of a session ``before`` or ``after`` (of one file if given), in the order they were stored."""
    uow.actor.require(Scope.READ)
    row = tables.finding
    statement = uow.rows_of(row).where(row.c.session_id == session_id, row.c.moment == moment)
    if path:
        statement = statement.where(row.c.path == path)
    return [load(FINDING, found.body) for found in await uow.fetch(statement.order_by(row.c.number))]
