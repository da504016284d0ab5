"""What may be changed of a session that is taken up again, and what is refused."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bullpen.domain.actor import Actor, local_person
from bullpen.domain.errors import InvalidInput
from bullpen.domain.finding import Concern, Severity
from bullpen.domain.ids import ItemId, SessionId
from bullpen.domain.money import Money
from bullpen.domain.task import TaskNode, TaskState
from bullpen.domain.work_item import ItemDraft, ItemState, Priority, WorkItem
from bullpen.flow.improve.options import PYTHON, ImproveOptions, options_of
from bullpen.flow.improve.plan import root_task
from bullpen.flow.items.reasons import BEYOND
from bullpen.flow.limits import change_limits, require_as_begun
from bullpen.flow.start import new_improve_session
from bullpen.flow.steer import give_tasks
from bullpen.kernel.bus.log import EventLog
from bullpen.kernel.storage.database import Database, open_store
from bullpen.sessions.actions import note_facts
from bullpen.sessions.queries import get_session
from bullpen.work.actions.items import move_item, propose_items
from bullpen.work.actions.tasks import add_tasks
from bullpen.work.queries import list_items, list_tasks

pytestmark = pytest.mark.req("IMP-05")
SESSION = SessionId("s")
BEGUN = ImproveOptions("/repo", goal="less", only=("F401",), max_items=2, budget=Money(5))


@pytest.fixture
def person() -> Actor:
    return local_person()


@pytest.fixture
async def database(tmp_path: Path, person: Actor) -> AsyncIterator[Database]:
    """A session with items a to d, the most urgent first; a is done, b is ready, the others are beyond the limit."""
    store = await open_store(f"sqlite:///{tmp_path}/bullpen.db")
    database = Database(store, EventLog())
    async with database.transaction(person) as uow:
        await new_improve_session(uow, BEGUN, SESSION)
        await propose_items(uow, SESSION, [an_item(name, number) for number, name in enumerate("abcd")])
        ready = [one for one in await list_items(uow, SESSION) if one.state is ItemState.READY]
        await add_tasks(uow, SESSION, [TaskNode(root_task(SESSION), None, "Improve", "goal", "lead")])
        await give_tasks(uow, SESSION, ready)
        for state in (ItemState.IN_PROGRESS, ItemState.IN_REVIEW, ItemState.DONE):
            await move_item(uow, SESSION, ItemId("a"), state)
    yield database
    await store.close()


def an_item(name: str, number: int) -> WorkItem:
    draft = ItemDraft(
        id=ItemId(name),
        kind="mend",
        title=f"Mend {name}",
        why="Because.",
        path=f"{name}.py",
        lines=(1,),
        rule="ruff:F401",
        concern=Concern.MAINTAINABILITY,
        severity=Severity.LOW,
        fingerprints=(name,),
        evidence=("there",),
        acceptance=("gone",),
        proof="look again",
        effort_minutes=5,
        recipe="ruff-safe-fixes",
        fix="safe",
    )
    beyond = number > 1
    state = ItemState.PROPOSED if beyond else ItemState.READY
    return WorkItem(draft, state, Priority(9.0 - number, 1, 1, 1), 1.0, reason=BEYOND if beyond else "")


async def states(database: Database, person: Actor) -> str:
    async with database.view(person) as uow:
        items = {str(one.id): one.state for one in await list_items(uow, SESSION)}
    return " ".join(items[name].value for name in "abcd")


async def test_more_items_are_taken_on_by_their_urgency(database: Database, person: Actor) -> None:
    async with database.transaction(person) as uow:
        await change_limits(uow, SESSION, most=3)
    assert await states(database, person) == "done ready ready proposed"
    async with database.transaction(person) as uow:
        await change_limits(uow, SESSION, most=3)
        assert options_of(await get_session(uow, SESSION)).max_items == 3
    assert await states(database, person) == "done ready ready proposed"


async def test_fewer_items_leave_what_nobody_began_and_may_come_back(
    database: Database, person: Actor
) -> None:
    async with database.transaction(person) as uow:
        await change_limits(uow, SESSION, most=1)
        tasks = {one.item: one for one in await list_tasks(uow, SESSION) if one.kind == "item"}
        left = {one.id: one.reason for one in await list_items(uow, SESSION)}
    assert await states(database, person) == "done proposed proposed proposed"
    assert (tasks["b"].state, tasks["b"].note, left[ItemId("b")]) == (TaskState.SKIPPED, BEYOND, BEYOND)
    async with database.transaction(person) as uow:
        await change_limits(uow, SESSION, most=2)
        tasks = {one.item: one for one in await list_tasks(uow, SESSION) if one.kind == "item"}
    assert await states(database, person) == "done ready proposed proposed"
    assert tasks["b"].state is TaskState.WAITING


async def test_a_budget_takes_the_place_of_the_old_one(database: Database, person: Actor) -> None:
    async with database.transaction(person) as uow:
        await change_limits(uow, SESSION, budget=Money(7))
        assert options_of(await get_session(uow, SESSION)) == replace(BEGUN, budget=Money(7))
        await change_limits(uow, SESSION)
        assert options_of(await get_session(uow, SESSION)).budget == Money(7)
    assert await states(database, person) == "done ready proposed proposed"


@pytest.mark.parametrize(
    ("option", "value"),
    [("goal", "more"), ("only", ("E711",)), ("baseline", "/b.sarif"), ("dry_run", True)],
)
async def test_other_options_are_refused_only_where_they_say_something_else(
    database: Database, person: Actor, option: str, value: object
) -> None:
    async with database.view(person) as uow:
        session = await get_session(uow, SESSION)
    changed = replace(BEGUN, **{option: value})
    with pytest.raises(InvalidInput, match=f"--{option.replace('_', '-')} cannot be changed"):
        require_as_begun(session, changed, {option}, "")
    require_as_begun(session, changed, {"most"}, "")
    require_as_begun(session, BEGUN, {option}, "")


async def test_the_interpreter_is_that_of_the_environment(database: Database, person: Actor) -> None:
    async with database.transaction(person) as uow:
        require_as_begun(await get_session(uow, SESSION), BEGUN, {"python"}, "3.12")
        await note_facts(uow, SESSION, **{PYTHON: ""})
        session = await get_session(uow, SESSION)
    with pytest.raises(InvalidInput, match="--python cannot be changed"):
        require_as_begun(session, BEGUN, {"python"}, "3.12")
    require_as_begun(session, BEGUN, (), "3.12")
