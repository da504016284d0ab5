"""What a session has told of an item beyond its own record: what it declared, where it met others, what was decided."""

from dataclasses import dataclass

from bullpen.domain.events.team import ConflictResolved, IntentDeclared, OverlapDetected
from bullpen.domain.ids import SessionId
from bullpen.domain.work_item import WorkItem
from bullpen.flow.improve.plan import item_task
from bullpen.kernel.bus.log import recorded_of
from bullpen.kernel.storage.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Told:
    """What an item ``touches`` (symbols), where it ``meets`` others, and what it was ``at_odds`` with, as sentences."""

    touches: tuple[str, ...]
    meets: tuple[str, ...]
    at_odds: tuple[str, ...]


async def told_of(uow: UnitOfWork, session_id: SessionId, item: WorkItem) -> Told:
    """What the log says of an item; empty where it was never chosen, never met another, never was at odds."""
    task = item_task(session_id, item.id)
    declared = [one for one in await recorded_of(uow, session_id, IntentDeclared) if one.task_id == task]
    met = [
        one for one in await recorded_of(uow, session_id, OverlapDetected) if task in (one.first, one.then)
    ]
    mine = {item.id, *item.draft.fingerprints}
    settled = [
        one
        for one in await recorded_of(uow, session_id, ConflictResolved)
        if mine & {*one.winners, *one.others}
    ]
    return Told(
        tuple(symbol for one in declared for symbol in one.symbols),
        tuple(f"{one.reason} ({one.advice})" for one in met),
        tuple(f"{one.reason} (by {one.by})" for one in settled),
    )
