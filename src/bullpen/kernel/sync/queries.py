"""Reading who has what and who waits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row

from bullpen.domain.actor import Scope
from bullpen.kernel.json_text import load
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.kernel.sync import tables
from bullpen.kernel.sync.base import LONGEST_LEASE, Lease
from bullpen.kernel.sync.clock import database_time
from bullpen.kernel.sync.graph import Wait

MEMBERS: TypeAdapter[tuple[str, ...]] = TypeAdapter(tuple[str, ...])


@dataclass(frozen=True, slots=True)
class Picture:
    """All that is held and waited for at one moment, in rows; what is over is left out."""

    at: float
    resources: dict[str, Row[Any]]
    holds: dict[str, list[Row[Any]]]
    waits: dict[str, list[Row[Any]]]

    def held_by(self, name: str, holder: str) -> bool:
        """Whether the holder has it."""
        return any(one.holder == holder for one in self.holds.get(name, ()))

    def waiting(self, name: str, holder: str) -> Row[Any] | None:
        """The holder's row among those who wait for it."""
        return next((one for one in self.waits.get(name, ()) if one.holder == holder), None)

    def ahead(self, name: str, holder: str) -> int:
        """How many are served before the holder."""
        queue = [one.holder for one in self.waits.get(name, ()) if not one.refused]
        return queue.index(holder) if holder in queue else len(queue)

    def free(self, name: str) -> int:
        """How many more may have it."""
        return self.resources[name].capacity - len(self.holds.get(name, ()))

    def may_have(self, name: str, holder: str) -> bool:
        """Whether there is room, also for all who are served before."""
        return self.free(name) > self.ahead(name, holder)

    def missing(self, name: str) -> tuple[str, ...]:
        """Who has not come to a barrier."""
        row = self.resources[name]
        come = {one.holder for one in self.waits.get(name, ()) if one.ticket == row.token and not one.refused}
        return tuple(one for one in load(MEMBERS, row.members) if one not in come)

    def edges(self) -> list[Wait]:
        """Who waits for whom."""
        return [self.edge(one) for waits in self.waits.values() for one in waits if not one.refused]

    def since(self) -> dict[str, float]:
        """From when on each takes part: from the first it got or asked for, of what it has or waits for now."""
        found: dict[str, float] = {}
        for rows in (*self.holds.values(), *self.waits.values()):
            for one in rows:
                found[one.holder] = min(one.since, found.get(one.holder, one.since))
        return found

    def edge(self, wait: Row[Any]) -> Wait:
        """Whom one of the waiting waits for."""
        row = self.resources[wait.name]
        if row.members:
            return Wait(wait.holder, frozenset(self.missing(row.name)), every=True)
        if self.free(row.name) > 0:
            return Wait(wait.holder, frozenset())
        return Wait(wait.holder, frozenset(one.holder for one in self.holds.get(row.name, ())))


async def picture(uow: UnitOfWork) -> Picture:
    """Everything of the organization, as of now by the database's clock."""
    uow.actor.require(Scope.READ)
    at = await database_time(uow)
    resources = {row.name: row for row in await uow.fetch(uow.rows_of(tables.resource))}
    return Picture(at, resources, await _live(uow, tables.hold, at), await _live(uow, tables.wait, at))


async def list_leases(uow: UnitOfWork) -> Sequence[Lease]:
    """All leases that hold, by name and token."""
    seen = await picture(uow)
    return [
        Lease(one.name, one.holder, one.token, one.until)
        for name in sorted(seen.holds)
        for one in sorted(seen.holds[name], key=lambda row: row.token)
    ]


def is_over(until: float, at: float) -> bool:
    """Whether a lease has ended. One longer than any may be was given before the clock was set back: it is over."""
    return until <= at or until > at + LONGEST_LEASE + 1


async def _live(uow: UnitOfWork, table: Any, at: float) -> dict[str, list[Row[Any]]]:
    order = table.c.token if "token" in table.c else table.c.ticket
    found: dict[str, list[Row[Any]]] = {}
    for row in await uow.fetch(uow.rows_of(table).order_by(order, table.c.holder)):
        if not is_over(row.until, at):
            found.setdefault(row.name, []).append(row)
    return found
