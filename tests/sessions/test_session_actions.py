"""Sessions: their life, that their state is their events, one file, forks, scratchpads."""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import cast

import pytest

from bullpen.domain.actor import Actor, Scope
from bullpen.domain.errors import Conflict, InvalidInput, NotFound, PermissionRefused
from bullpen.domain.events import Event
from bullpen.domain.events import session as told
from bullpen.domain.ids import ActorId, OrganizationId, SessionId, TaskId
from bullpen.domain.session import STAGES, Session, Stage, require_stage
from bullpen.kernel.bus.log import replay
from bullpen.kernel.storage.database import Database
from bullpen.sessions import actions, queries, scratchpad, transfer

SESSION, TASK = SessionId("ses-1"), TaskId("task-1")
READER = Actor(ActorId("reader"), OrganizationId("local"), frozenset({Scope.READ}))
STRANGER = Actor(ActorId("stranger"), OrganizationId("elsewhere"), frozenset(Scope))


async def made(database: Database, person: Actor, name: str = SESSION) -> Session:
    async with database.transaction(person) as uow:
        return await actions.create_session(
            uow, SessionId(name), kind="improve", goal="mend", project="/p", options='{"a": 1}'
        )


async def stored(database: Database, person: Actor, name: str = SESSION) -> Session:
    async with database.view(person) as uow:
        return await queries.get_session(uow, name)


async def events(database: Database, person: Actor, name: str = SESSION) -> list[Event]:
    async with database.view(person) as uow:
        return [one.event for one in await replay(uow, SessionId(name))]


def fold(name: SessionId, by: str, facts: Sequence[Event]) -> Session:
    """The state of a session, from its events alone."""
    first = cast("told.SessionCreated", facts[0])
    state = Session(
        name,
        first.kind,
        first.goal,
        first.project,
        Stage.INITIALIZE,
        False,
        first.options,
        0,
        0,
        first.parent,
    )
    state = replace(state, participants=(by,))
    for fact in facts[1:]:
        match fact:
            case told.StageReached(stage=stage):
                state = replace(state, stage=Stage(stage))
            case told.SessionPaused():
                state = replace(state, paused=True)
            case told.SessionResumed():
                state = replace(state, paused=False)
            case told.SessionArchived():
                state = replace(state, archived=True)
            case told.SessionTagged(tags=tags):
                state = replace(state, tags=tags)
            case told.ParticipantJoined(participant=who):
                state = replace(state, participants=(*state.participants, who))
            case told.FactNoted(name=key, value=value):
                state = replace(state, metadata={**state.metadata, key: value})
            case _:
                raise AssertionError(fact)
    return state


@pytest.mark.req("SES-01", "SES-02")
async def test_the_rows_show_what_the_events_tell(database: Database, person: Actor) -> None:
    await made(database, person)
    async with database.transaction(person) as uow:
        await actions.reach_stage(uow, SESSION, Stage.PLANNING)
        await actions.pause_session(uow, SESSION)
        await actions.tag_session(uow, SESSION, ["b", "a", "b"])
        await actions.join_session(uow, SESSION, "agent:developer")
        await actions.note_facts(uow, SESSION, branch="bullpen/1", base="abc")
    async with database.transaction(person) as uow:
        await actions.resume_session(uow, SESSION)
        await actions.reach_stage(uow, SESSION, Stage.ANALYSIS, "look again")
        await actions.note_facts(uow, SESSION, branch="bullpen/2", base="abc")
        await actions.archive_session(uow, SESSION)
    now = await stored(database, person)
    assert now.tags == ("a", "b")
    assert now.metadata == {"base": "abc", "branch": "bullpen/2"}
    folded = fold(SESSION, person.id, await events(database, person))
    assert folded == replace(now, created_at=0, updated_at=0)


@pytest.mark.req("SES-01")
async def test_asking_twice_changes_nothing(database: Database, person: Actor) -> None:
    await made(database, person)
    for _ in range(2):
        async with database.transaction(person) as uow:
            await actions.reach_stage(uow, SESSION, Stage.PLANNING)
            await actions.pause_session(uow, SESSION)
            await actions.join_session(uow, SESSION, "agent:developer")
            await actions.note_facts(uow, SESSION, branch="x")
            await actions.archive_session(uow, SESSION)
    names = [type(event).__name__ for event in await events(database, person)]
    assert len(names) == len(set(names)) == 6
    async with database.transaction(person) as uow:
        await actions.resume_session(uow, SESSION)
        await actions.resume_session(uow, SESSION)
    assert len(await events(database, person)) == 7


@pytest.mark.req("SES-01")
async def test_lists(database: Database, person: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, name in enumerate(("ses-1", "ses-2", "ses-3")):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", str(1000 + number))
        await made(database, person, name)
    async with database.transaction(person) as uow:
        await actions.archive_session(uow, SessionId("ses-2"))
    async with database.view(person) as uow:
        assert [one.id for one in await queries.list_sessions(uow)] == ["ses-3", "ses-1"]
        assert [one.id for one in await queries.list_sessions(uow, archived=True)] == ["ses-2"]
        assert [one.id for one in await queries.list_sessions(uow, limit=1)] == ["ses-3"]
        assert await queries.list_sessions(uow, project="/other") == []
        assert await queries.list_sessions(uow, kind="roast") == []
        assert len(await queries.list_sessions(uow, project="/p", kind="improve")) == 2


@pytest.mark.req("SES-01")
async def test_a_reader_reads_and_changes_nothing(database: Database, person: Actor) -> None:
    await made(database, person)
    assert (await stored(database, READER)).goal == "mend"
    async with database.transaction(READER) as uow:
        for refused in (
            actions.pause_session(uow, SESSION),
            actions.resume_session(uow, SESSION),
            actions.archive_session(uow, SESSION),
            actions.tag_session(uow, SESSION, ["x"]),
            actions.join_session(uow, SESSION, "x"),
            actions.note_facts(uow, SESSION, x="y"),
            actions.reach_stage(uow, SESSION, Stage.PLANNING),
            actions.create_session(uow, SessionId("s"), kind="k", goal="g", project="p", options="{}"),
        ):
            with pytest.raises(PermissionRefused, match="'run' is missing"):
                await refused
    assert len(await events(database, person)) == 1


@pytest.mark.req("WFL-01")
@pytest.mark.parametrize("now", Stage)
@pytest.mark.parametrize("then", Stage)
def test_only_the_steps_of_the_table_are_taken(now: Stage, then: Stage) -> None:
    if then in STAGES[now]:
        require_stage(SESSION, now, then)
    else:
        with pytest.raises(Conflict, match=f"is at {now.value}"):
            require_stage(SESSION, now, then)


@pytest.mark.req("WFL-01")
def test_the_table_of_stages() -> None:
    way = [one for one in Stage if one not in (Stage.FAILED, Stage.CANCELLED)]
    assert all(then in STAGES[now] for now, then in pairwise(way))
    assert Stage.ANALYSIS in STAGES[Stage.VALIDATION]
    assert all({Stage.FAILED, Stage.CANCELLED} <= STAGES[one] for one in way if not one.is_final)
    assert STAGES[Stage.DONE] == STAGES[Stage.FAILED] == {Stage.INITIALIZE}  # taken up again, from the start
    assert STAGES[Stage.CANCELLED] == frozenset()
    assert {one for one in Stage if one.is_final} == {Stage.DONE, Stage.FAILED, Stage.CANCELLED}


async def test_a_step_that_is_not_there_leaves_the_session_as_it_was(
    database: Database, person: Actor
) -> None:
    await made(database, person)
    with pytest.raises(Conflict):
        async with database.transaction(person) as uow:
            await actions.reach_stage(uow, SESSION, Stage.VALIDATION)
    assert (await stored(database, person)).stage is Stage.INITIALIZE


# --- one file, forks --------------------------------------------------------------------------------------------------


@pytest.mark.req("SES-01")
async def test_out_and_in_as_one_file(database: Database, person: Actor) -> None:
    await made(database, person)
    async with database.transaction(person) as uow:
        await actions.tag_session(uow, SESSION, ["a"])
        await scratchpad.set_variable(uow, SESSION, TASK, "n", "1", by="x")
    async with database.view(person) as uow:
        file = await transfer.export_session(uow, SESSION, {"report.md": b"# Report"})
    with pytest.raises(Conflict, match="already"):
        async with database.transaction(person) as uow:
            await transfer.import_session(uow, file)
    async with database.transaction(STRANGER) as uow:
        came = await transfer.import_session(uow, file)
    assert came.reports == {"report.md": b"# Report"}
    assert await events(database, STRANGER) == await events(database, person)
    assert await stored(database, STRANGER) == await stored(database, person)
    async with database.view(STRANGER) as uow:
        assert [one.value for one in await scratchpad.list_variables(uow, SESSION, TASK)] == ["1"]


@pytest.mark.req("SES-01")
@pytest.mark.parametrize("raw", [b"", b"PK\3\4", b"no archive"])
async def test_other_files_are_refused(database: Database, person: Actor, raw: bytes) -> None:
    with pytest.raises(InvalidInput, match="not an exported session"):
        async with database.transaction(person) as uow:
            await transfer.import_session(uow, raw)


@pytest.mark.req("SES-01")
async def test_a_fork_has_the_history_up_to_an_event(database: Database, person: Actor) -> None:
    await made(database, person)
    async with database.transaction(person) as uow:
        await actions.tag_session(uow, SESSION, ["a"])
        await actions.tag_session(uow, SESSION, ["b"])
    async with database.view(person) as uow:
        position = (await replay(uow, SESSION))[1].position
    async with database.transaction(person) as uow:
        child = await transfer.fork_session(uow, SESSION, position)
    assert child.parent == SESSION
    history = await events(database, person, child.id)
    assert told.SessionTagged(("a",)) in history
    assert told.SessionTagged(("b",)) not in history
    with pytest.raises(NotFound, match="no event 999999"):
        async with database.transaction(person) as uow:
            await transfer.fork_session(uow, SESSION, 999999)


# --- scratchpad -------------------------------------------------------------------------------------------------------


@pytest.mark.req("SES-09", "SES-10")
async def test_variables_are_typed_and_their_history_has_time_and_author(
    database: Database, person: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at, value, who in (
        ("1000", "1", "developer"),
        ("2000", '["a"]', "reviewer"),
        ("3000", "words", "qa"),
    ):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", at)
        async with database.transaction(person) as uow:
            await scratchpad.set_variable(uow, SESSION, TASK, "plan", value, by=who)
            await scratchpad.set_variable(uow, SESSION, TASK, "other", "true", by=who)
    async with database.view(person) as uow:
        history = await scratchpad.variable_history(uow, SESSION, TASK, "plan")
        (other, plan) = await scratchpad.list_variables(uow, SESSION, TASK)
    assert [(one.type, one.value, one.set_by, one.set_at) for one in history] == [
        ("int", "1", "developer", 1000.0),
        ("list", '["a"]', "reviewer", 2000.0),
        ("text", "words", "qa", 3000.0),
    ]
    assert plan == history[-1]
    assert (other.name, other.type) == ("other", "bool")


@pytest.mark.req("SES-10")
async def test_who_read_is_recorded(database: Database, person: Actor) -> None:
    async with database.transaction(person) as uow:
        await scratchpad.set_variable(uow, SESSION, TASK, "n", "1", by="a")
        found = await scratchpad.read_variable(uow, SESSION, TASK, "n", by="b")
        assert await scratchpad.read_variable(uow, SESSION, TASK, "none", by="b") is None
        assert await scratchpad.read_variable(uow, SESSION, TaskId("task-2"), "n", by="b") is None
    assert found is not None
    assert found.value == "1"
    reads = [one for one in await events(database, person) if isinstance(one, told.VariableRead)]
    assert reads == [told.VariableRead(TASK, "n", "b")]


@pytest.mark.req("SES-09")
@pytest.mark.parametrize(("name", "value"), [("", "x"), ("n" * 121, "x"), ("n", "x" * (64 * 1024 + 1))])
async def test_bounds_of_variables(database: Database, person: Actor, name: str, value: str) -> None:
    with pytest.raises(InvalidInput):
        async with database.transaction(person) as uow:
            await scratchpad.set_variable(uow, SESSION, TASK, name, value, by="a")


@pytest.mark.req("SES-10")
@pytest.mark.parametrize("path", ["a.py", "caf\udce9.py", "new\nline.py"])
async def test_a_stale_file_is_known_before_an_edit(database: Database, person: Actor, path: str) -> None:
    async with database.transaction(person) as uow:
        assert not await scratchpad.is_stale(uow, SESSION, TASK, path, "1" * 64)  # never read
        await scratchpad.note_file_read(uow, SESSION, TASK, path, "1" * 64, by="developer")
        assert not await scratchpad.is_stale(uow, SESSION, TASK, path, "1" * 64)
        assert await scratchpad.is_stale(uow, SESSION, TASK, path, "2" * 64)
        assert not await scratchpad.is_stale(uow, SESSION, TaskId("task-2"), path, "2" * 64)
        await scratchpad.note_file_read(uow, SESSION, TASK, path, "2" * 64, by="developer")
        assert not await scratchpad.is_stale(uow, SESSION, TASK, path, "2" * 64)


async def test_notes_are_events(database: Database, person: Actor) -> None:
    async with database.transaction(person) as uow:
        await scratchpad.write_note(uow, SESSION, TASK, "mind the gap", by="qa")
    assert await events(database, person) == [told.NoteWritten(TASK, "mind the gap", "qa")]


async def test_what_is_kept_is_the_json_it_was(database: Database, person: Actor) -> None:
    await made(database, person)
    assert json.loads((await stored(database, person)).options) == {"a": 1}
