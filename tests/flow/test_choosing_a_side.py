"""A person chooses between two findings that cannot both be followed; and what a persona's record is."""

import pytest

from bullpen.domain.actor import Actor
from bullpen.domain.finding import Concern, Finding, Place, Severity
from bullpen.domain.ids import ItemId, SessionId
from bullpen.domain.work_item import ItemDraft, ItemState, Priority, WorkItem
from bullpen.flow.approve import answer, approve_rules, ask_for_choice, ask_for_rules, choice_label
from bullpen.flow.improve.disagree import track_records
from bullpen.flow.items.outcome import Outcome, outcome_of
from bullpen.flow.items.reasons import AT_ODDS
from bullpen.kernel.storage.database import Database
from bullpen.sessions.actions import create_session
from bullpen.sessions.queries import get_session
from bullpen.work.actions.items import move_item, propose_items
from bullpen.work.queries import get_item, list_approvals

OLD, NEW = SessionId("ses-1"), SessionId("ses-2")
ASKED = "apr-choice"


def item(name: str, *labels: str, reason: str = "", concern: Concern = Concern.QA) -> WorkItem:
    draft = ItemDraft(
        *(ItemId(name), "qa", f"Mend {name} well", "why", f"ruff:{name}", "a.py", (1,)),
        *(concern, Severity.LOW, (), (), "", 1, (name,), "tidy", "", labels),
    )
    return WorkItem(draft, ItemState.BLOCKED, Priority(1, 1, 1, 1), 1.0, reason=reason)


YES, NO = choice_label(ASKED, yes=True), choice_label(ASKED, yes=False)
ITEMS = [
    item("first", YES, reason=AT_ODDS + "both"),
    item("second", NO, reason=AT_ODDS + "both"),
    item("unsafe", YES, reason="its recipe may change behaviour"),
]


@pytest.fixture
async def asked(database: Database, person: Actor) -> Database:
    async with database.transaction(person) as uow:
        for name in (OLD, NEW):
            await create_session(uow, name, kind="improve", goal="mend", project="/p", options="{}")
        await propose_items(uow, NEW, ITEMS)
        await ask_for_rules(uow, NEW, ITEMS)
        await ask_for_choice(uow, NEW, ASKED, "named-lambda at a.py:1", "Which? Yes: one. No: the other.")
    return database


@pytest.mark.req("COL-03")
@pytest.mark.parametrize(
    ("approved", "chosen", "left"), [(True, "first", "second"), (False, "second", "first")]
)
async def test_yes_is_for_the_first_side_and_no_for_the_second(
    asked: Database, person: Actor, approved: bool, chosen: str, left: str
) -> None:
    async with asked.transaction(person) as uow:
        assert (await answer(uow, ASKED, approved=approved)).released == 1
    async with asked.view(person) as uow:
        assert (await get_item(uow, NEW, chosen)).state is ItemState.READY
        lost = await get_item(uow, NEW, left)
        unsafe = await get_item(uow, NEW, "unsafe")
    assert lost.state is ItemState.REJECTED
    ended = outcome_of(lost.state, first=ItemState.BLOCKED, worked=False, recipe="tidy", reason=lost.reason)
    assert ended is Outcome.OUTVOTED
    waits = ItemState.BLOCKED if approved else ItemState.REJECTED
    assert unsafe.state is waits, "its rule still needs a yes of its own"


@pytest.mark.req("COL-03")
async def test_a_choice_is_no_matter_of_approving_rules(asked: Database, person: Actor) -> None:
    async with asked.transaction(person) as uow:
        subjects = {one.subject for one in await list_approvals(uow, NEW, "pending")}
        assert subjects == {"named-lambda at a.py:1", "ruff:unsafe"}
        await approve_rules(uow, NEW, ["*lambda*"])
        assert {one.subject for one in await list_approvals(uow, NEW, "pending")} == subjects


@pytest.mark.req("COL-04")
async def test_a_record_is_what_landed_of_what_was_tried_in_earlier_sessions(
    asked: Database, person: Actor
) -> None:
    drawn = [Finding("a", "ruff:S110", "", Severity.LOW, Concern.QA, Place("a.py", 1))]
    drawn.append(Finding("b", "ruff:SIM105", "", Severity.LOW, Concern.MAINTAINABILITY, Place("a.py", 1)))
    async with asked.transaction(person) as uow:
        tried = [item("landed"), item("failed"), item("waits"), item("other", concern=Concern.SECURITY)]
        await propose_items(uow, OLD, tried)
        for name in ("landed", "failed", "other"):
            await move_item(uow, OLD, name, ItemState.READY)
            await move_item(uow, OLD, name, ItemState.IN_PROGRESS)
        for name in ("failed", "other"):
            await move_item(uow, OLD, name, ItemState.BLOCKED)
        await move_item(uow, OLD, "landed", ItemState.IN_REVIEW)
        await move_item(uow, OLD, "landed", ItemState.DONE)
        old, new = await get_session(uow, OLD), await get_session(uow, NEW)
        records = await track_records(uow, new, [new, old], drawn)
        assert (records["qa"], records["security"], records["performance"]) == (1 / 2, 1 / 3, 1 / 2)
        assert await track_records(uow, old, [new, old], drawn) == dict.fromkeys(records, 1 / 2)
        assert await track_records(uow, new, [new, old], drawn[:1]) == {}
