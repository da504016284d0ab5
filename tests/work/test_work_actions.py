"""Work items, task trees, approvals and evidence: their life, their history, and their events."""

from dataclasses import replace

import pytest

from bullpen.domain.actor import Actor, Scope, agent_actor
from bullpen.domain.errors import Conflict, InvalidInput, NotFound, PermissionRefused
from bullpen.domain.events import work as told
from bullpen.domain.finding import Concern, Severity
from bullpen.domain.ids import ActorId, ApprovalId, ItemId, OrganizationId, SessionId, TaskId
from bullpen.domain.task import TaskNode, TaskState
from bullpen.domain.verdict import Evidence, GateResult, Ruling, Verdict
from bullpen.domain.work_item import TRANSITIONS, ItemDraft, ItemState, Priority, WorkItem, require_transition
from bullpen.kernel.bus.log import replay
from bullpen.kernel.storage.database import Database
from bullpen.work import queries
from bullpen.work.actions import approvals, evidence, items, tasks
from bullpen.work.tree import progress

SESSION = SessionId("ses-1")
STRANGER = Actor(ActorId("stranger"), OrganizationId("elsewhere"), frozenset(Scope))
DRAFT = ItemDraft(
    ItemId("itm-1"), "fix", "Mend it", "because", "ruff:F401", "caf\udce9.py", (3, 4), Concern.QA, Severity.LOW,
    ("seen",), ("gone",), "tests", 5, ("fnd-1", "fnd-2"), "recipe", "safe", ("quick",),
)  # fmt: skip


def item(name: str = "itm-1", state: ItemState = ItemState.READY, **more: object) -> WorkItem:
    return WorkItem(
        replace(DRAFT, id=ItemId(name)), state, Priority(2.5, 5, 1, 2, ("it is bad",)), 0.9, **more
    )


def node(name: str, parent: str = "", *after: str, **more: object) -> TaskNode:
    above = TaskId(parent) if parent else None
    return TaskNode(TaskId(name), above, name, "kind", "role", depends_on=tuple(map(TaskId, after)), **more)


async def propose(database: Database, person: Actor, *some: WorkItem) -> None:
    async with database.transaction(person) as uow:
        await items.propose_items(uow, SESSION, some or (item(),))


async def events(database: Database, person: Actor) -> list[object]:
    async with database.view(person) as uow:
        return [one.event for one in await replay(uow, SESSION)]


# --- items ------------------------------------------------------------------------------------------------------------


@pytest.mark.req("WRK-05")
async def test_items_come_back_whole_and_in_order(database: Database, person: Actor) -> None:
    blocked = item("itm-0", ItemState.BLOCKED, reason="no", depends_on=(ItemId("itm-1"),))
    await propose(database, person, item(), blocked)
    await propose(database, person, item(), item("itm-2"))  # once more, with a new one
    async with database.view(person) as uow:
        found = await queries.list_items(uow, SESSION)
        ready = await queries.list_items(uow, SESSION, ItemState.READY)
        one = await queries.get_item(uow, SESSION, "itm-0")
    assert [each.id for each in found] == ["itm-1", "itm-0", "itm-2"]
    assert [each.id for each in ready] == ["itm-1", "itm-2"]
    assert found[0] == item()
    assert replace(one, history=()) == blocked
    assert [(step.state, step.by, step.note) for step in one.history] == [
        (ItemState.BLOCKED, person.id, "no")
    ]
    proposed = [event for event in await events(database, person) if isinstance(event, told.ItemProposed)]
    assert [event.item_id for event in proposed] == ["itm-1", "itm-0", "itm-2"]


@pytest.mark.req("WRK-05")
async def test_a_life_with_history_comments_labels_and_an_owner(database: Database, person: Actor) -> None:
    await propose(database, person)
    developer = agent_actor(person.organization_id, "developer")
    async with database.transaction(developer) as uow:
        await items.move_item(uow, SESSION, "itm-1", ItemState.IN_PROGRESS)
        await items.comment_item(uow, SESSION, "itm-1", "half way")
        await items.move_item(uow, SESSION, "itm-1", ItemState.IN_REVIEW)
        await items.move_item(uow, SESSION, "itm-1", ItemState.IN_REVIEW)  # nothing new
        await items.move_item(uow, SESSION, "itm-1", ItemState.DONE, reason="proved", change="abc123")
    async with database.transaction(person) as uow:
        await items.assign_item(uow, SESSION, "itm-1", "ann")
        await items.assign_item(uow, SESSION, "itm-1", "ann")
        await items.label_item(uow, SESSION, "itm-1", ["b", " a ", "b", ""])
        await items.label_item(uow, SESSION, "itm-1", ["a", "b"])
        now = await queries.get_item(uow, SESSION, "itm-1")
    assert (now.state, now.owner, now.change, now.reason) == (ItemState.DONE, "ann", "abc123", "proved")
    assert now.draft == replace(DRAFT, labels=("a", "b"))
    assert [(step.by, step.state.value, step.note) for step in now.history] == [
        ("person", "ready", ""),
        ("agent:developer", "in-progress", ""),
        ("agent:developer", "in-progress", "half way"),
        ("agent:developer", "in-review", ""),
        ("agent:developer", "done", "proved"),
    ]
    names = [type(event).__name__ for event in await events(database, person)]
    assert names.count("ItemMoved") == 4  # with the one that told it was ready from the start
    assert (names.count("ItemAssigned"), names.count("ItemLabelled")) == (1, 1)


@pytest.mark.req("WRK-05")
@pytest.mark.parametrize("now", ItemState)
@pytest.mark.parametrize("then", ItemState)
def test_only_the_steps_of_the_table_are_taken(now: ItemState, then: ItemState) -> None:
    if then in TRANSITIONS[now]:
        require_transition(ItemId("itm-1"), now, then)
    else:
        with pytest.raises(Conflict, match=f"itm-1 is {now.value}"):
            require_transition(ItemId("itm-1"), now, then)


def test_the_table_of_items() -> None:
    assert set(TRANSITIONS) == set(ItemState)
    assert all(state not in TRANSITIONS[state] for state in ItemState)
    assert [state for state in ItemState if ItemState.DONE in TRANSITIONS[state]] == [ItemState.IN_REVIEW]


@pytest.mark.req("WRK-05")
async def test_what_may_not_be_done_to_items(database: Database, person: Actor) -> None:
    await propose(database, person)
    reader = Actor(person.id, person.organization_id, frozenset({Scope.READ}))
    async with database.transaction(person) as uow:
        with pytest.raises(Conflict, match="not done"):
            await items.move_item(uow, SESSION, "itm-1", ItemState.DONE)
        with pytest.raises(NotFound, match="itm-9"):
            await items.move_item(uow, SESSION, "itm-9", ItemState.DONE)
        with pytest.raises(InvalidInput, match="words"):
            await items.comment_item(uow, SESSION, "itm-1", "  ")
        with pytest.raises(InvalidInput, match="name"):
            await items.assign_item(uow, SESSION, "itm-1", "")
    async with database.transaction(reader) as uow:
        for refused in (
            items.propose_items(uow, SESSION, [item("itm-5")]),
            items.move_item(uow, SESSION, "itm-1", ItemState.IN_PROGRESS),
            items.comment_item(uow, SESSION, "itm-1", "x"),
            items.assign_item(uow, SESSION, "itm-1", "x"),
            items.label_item(uow, SESSION, "itm-1", ["x"]),
            tasks.add_tasks(uow, SESSION, [node("a")]),
            tasks.cancel_task(uow, SESSION, TaskId("a"), "x"),
            tasks.reorder_task(uow, SESSION, TaskId("a"), 1),
            tasks.reassign_task(uow, SESSION, TaskId("a"), "x"),
        ):
            with pytest.raises(PermissionRefused, match="work:write"):
                await refused


# --- tasks ------------------------------------------------------------------------------------------------------------


@pytest.mark.req("TRE-04")
async def test_a_tree_is_edited_while_it_runs(
    database: Database, person: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000")
    tree = [node("root"), node("a", "root", position=1), node("b", "root", "a", position=2), node("b1", "b")]
    async with database.transaction(person) as uow:
        await tasks.add_tasks(uow, SESSION, tree)
        await tasks.add_tasks(uow, SESSION, tree)  # nothing new
        await tasks.move_task(uow, SESSION, TaskId("a"), TaskState.RUNNING, "working")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1010")
    async with database.transaction(person) as uow:
        await tasks.move_task(uow, SESSION, TaskId("a"), TaskState.DONE)
        await tasks.add_tasks(uow, SESSION, [node("c", "root", position=3)])
        await tasks.reorder_task(uow, SESSION, TaskId("c"), 1)
        await tasks.reassign_task(uow, SESSION, TaskId("c"), "reviewer")
        await tasks.cancel_task(uow, SESSION, TaskId("b"), "not wanted")
        now = {task.id: task for task in await queries.list_tasks(uow, SESSION)}
    assert (now[TaskId("a")].started_at, now[TaskId("a")].ended_at) == (1000.0, 1010.0)
    assert (now[TaskId("c")].position, now[TaskId("c")].role) == (1, "reviewer")
    assert {name: now[TaskId(name)].state.value for name in ("root", "b", "b1")} == {
        "root": "waiting",
        "b": "cancelled",
        "b1": "cancelled",
    }
    found = await events(database, person)
    assert told.TaskReordered("c", 1) in found
    assert told.TaskReassigned("c", "reviewer") in found
    assert len([event for event in found if isinstance(event, told.TaskAdded)]) == 5
    share = progress(list(now.values()))[TaskId("root")]
    assert (share.done, share.total) == (2, 3)
    assert share.seconds_left is not None


@pytest.mark.req("TRE-04")
@pytest.mark.parametrize(("name", "place", "order"), [("c", 0, "cab"), ("a", 1, "bac"), ("a", 99, "bca")])
async def test_a_task_takes_the_place_it_is_given(
    database: Database, person: Actor, name: str, place: int, order: str
) -> None:
    tree = [node("root"), *(node(one, "root", position=number) for number, one in enumerate("abc", 4))]
    async with database.transaction(person) as uow:
        await tasks.add_tasks(uow, SESSION, tree)
        await tasks.reorder_task(uow, SESSION, TaskId(name), place)
        now = [task.id for task in await queries.list_tasks(uow, SESSION) if task.parent]
    assert now == list(order)


@pytest.mark.req("TRE-04")
async def test_what_may_not_be_done_to_trees(database: Database, person: Actor) -> None:
    async with database.transaction(person) as uow:
        await tasks.add_tasks(uow, SESSION, [node("root"), node("a", "root")])
        await tasks.move_task(uow, SESSION, TaskId("a"), TaskState.DONE)
    async with database.transaction(person) as uow:
        with pytest.raises(Conflict, match="done already"):
            await tasks.cancel_task(uow, SESSION, TaskId("a"), "x")
        with pytest.raises(Conflict, match="not waiting"):
            await tasks.reorder_task(uow, SESSION, TaskId("a"), 3)
        with pytest.raises(Conflict, match="not waiting"):
            await tasks.reassign_task(uow, SESSION, TaskId("none"), "qa")
        with pytest.raises(InvalidInput, match="role"):
            await tasks.reassign_task(uow, SESSION, TaskId("root"), "")
        for lost in (tasks.cancel_task, tasks.move_task):
            with pytest.raises(NotFound, match="none"):
                await lost(uow, SESSION, TaskId("none"), TaskState.DONE)
        with pytest.raises(InvalidInput, match="not in the tree"):
            await tasks.add_tasks(uow, SESSION, [node("b", "elsewhere")])
        with pytest.raises(InvalidInput, match="waits for itself"):
            await tasks.add_tasks(uow, SESSION, [node("b", "root", "c"), node("c", "root", "b")])
    async with database.view(person) as uow:
        assert len(await queries.list_tasks(uow, SESSION)) == 2


# --- approvals, evidence ----------------------------------------------------------------------------------------------


async def ask(database: Database, person: Actor, deadline: float = 4e9) -> None:
    async with database.transaction(person) as uow:
        await approvals.ask_approval(
            uow, SESSION, ApprovalId("apr-1"), subject="push", risk="high", reason="r", deadline=deadline
        )


@pytest.mark.parametrize(("approved", "answer"), [(True, "approved"), (False, "denied")])
async def test_a_person_answers_once(database: Database, person: Actor, approved: bool, answer: str) -> None:
    await ask(database, person)
    await ask(database, person)
    async with database.transaction(person) as uow:
        assert await approvals.answer_approval(uow, "apr-1", approved=approved) == SESSION
        with pytest.raises(Conflict, match=f"was {answer} already"):
            await approvals.answer_approval(uow, "apr-1", approved=not approved)
        (one,) = await queries.list_approvals(uow, SESSION, answer)
        assert await queries.list_approvals(uow, answer="pending") == []
    assert one.answered_by == person.id
    names = [type(event).__name__ for event in await events(database, person)]
    assert names == ["ApprovalAsked", "ApprovalAnswered"]


async def test_a_late_yes_is_a_no(database: Database, person: Actor) -> None:
    await ask(database, person, deadline=1.0)
    async with database.transaction(person) as uow:
        await approvals.answer_approval(uow, "apr-1", approved=True)
        (one,) = await queries.list_approvals(uow)
    assert (one.answer, one.answered_by) == ("expired", "time")


async def test_agents_never_approve_and_strangers_see_nothing(database: Database, person: Actor) -> None:
    await ask(database, person)
    async with database.transaction(agent_actor(person.organization_id, "judge")) as uow:
        with pytest.raises(PermissionRefused, match="approve"):
            await approvals.answer_approval(uow, "apr-1", approved=True)
    async with database.transaction(STRANGER) as uow:
        with pytest.raises(NotFound):
            await approvals.answer_approval(uow, "apr-1", approved=True)


async def test_evidence_is_found_by_commit_and_item(database: Database, person: Actor) -> None:
    verdict = Verdict(Ruling.ACCEPT, "judge", {"tests": 1.0}, (GateResult("tests", True, "12 pass"),))
    kept = Evidence(
        "itm-1", "ruff:F401", "t1", "t2", "p", (), ("fnd-1",), (), ("a",), ("a", "caf\udce9"), verdict
    )
    async with database.transaction(person) as uow:
        await evidence.keep_evidence(uow, SESSION, "0" * 40, kept)
        await evidence.keep_evidence(uow, SESSION, "abcdef0123456789", kept)  # in place of the first
        for name in ("itm-1", "abcdef0", "abcdef0123456789"):
            assert await queries.get_evidence(uow, name) == (SESSION, kept)
        for name in ("abcdef", "0000000", "_bcdef0", "%"):
            with pytest.raises(NotFound):
                await queries.get_evidence(uow, name)


@pytest.mark.req("ORG-01")
async def test_a_stranger_sees_nothing_through_any_query(database: Database, person: Actor) -> None:
    await propose(database, person)
    await ask(database, person)
    async with database.transaction(person) as uow:
        await tasks.add_tasks(uow, SESSION, [node("root")])
    async with database.transaction(STRANGER) as uow:
        assert await queries.list_items(uow, SESSION) == []
        assert await queries.list_tasks(uow, SESSION) == []
        assert await queries.list_approvals(uow) == []
        with pytest.raises(NotFound):
            await queries.get_item(uow, SESSION, "itm-1")
        with pytest.raises(NotFound):
            await tasks.move_task(uow, SESSION, TaskId("root"), TaskState.DONE)
        with pytest.raises(NotFound):
            await items.move_item(uow, SESSION, "itm-1", ItemState.DONE)
    async with database.view(person) as uow:
        assert (await queries.list_tasks(uow, SESSION))[0].state is TaskState.WAITING
