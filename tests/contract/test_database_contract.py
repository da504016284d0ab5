"""What both databases promise: rows and events together or not at all, in order, to their own organization only."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pydantic_core import PydanticSerializationError

from bullpen.agents import tables as _agent_tables  # noqa: F401 - so that the metadata is whole
from bullpen.analysis import tables as _analysis_tables  # noqa: F401 - so that the metadata is whole
from bullpen.domain.actor import Actor, Scope, local_person
from bullpen.domain.errors import Conflict, InvalidInput, NotFound, Unavailable
from bullpen.domain.events.session import NoteWritten, SessionCreated, SessionPaused
from bullpen.domain.events.work import TaskMoved
from bullpen.domain.ids import ActorId, OrganizationId, SessionId
from bullpen.flow.automation import tables as _automation_tables  # noqa: F401 - so that the metadata is whole
from bullpen.flow.teams import tables as _team_tables  # noqa: F401 - so that the metadata is whole
from bullpen.flow.wishes import tables as _wish_tables  # noqa: F401 - so that the metadata is whole
from bullpen.insights import tables as _insight_tables  # noqa: F401 - so that the metadata is whole
from bullpen.kernel import executors as _executors  # noqa: F401 - so that the metadata is whole
from bullpen.kernel.bus.log import EventLog, replay
from bullpen.kernel.storage.database import Database, open_store
from bullpen.kernel.storage.migrate import NEWEST, migrating, move_to, newest_in_folder, version_of
from bullpen.kernel.storage.postgres import driver_url
from bullpen.kernel.storage.schema import metadata
from bullpen.kernel.storage.sqlite import _driver, tuned_engine
from bullpen.kernel.sync import tables as _sync_tables  # noqa: F401 - so that the metadata is whole
from bullpen.sessions import tables as _session_tables
from bullpen.sessions.actions import create_session, pause_session
from bullpen.sessions.queries import get_session, list_sessions
from bullpen.work import tables as _work_tables  # noqa: F401 - so that the metadata is whole

SESSION = SessionId("ses-1")
STRANGER = Actor(ActorId("stranger"), OrganizationId("elsewhere"), frozenset(Scope))


async def made(database: Database, person: Actor, name: str = SESSION) -> None:
    async with database.transaction(person) as uow:
        await create_session(uow, SessionId(name), kind="improve", goal="g", project="/p", options="{}")


async def noted(database: Database, person: Actor, *texts: str, session: str = SESSION) -> None:
    async with database.transaction(person) as uow:
        for text in texts:
            uow.record(SessionId(session), NoteWritten("task-1", text, "me"))


async def texts(database: Database, person: Actor, after: int = 0, session: str = SESSION) -> list[str]:
    async with database.view(person) as uow:
        found = await replay(uow, SessionId(session), after)
    return [one.event.text for one in found if isinstance(one.event, NoteWritten)]


def engine_of(url: str) -> sa.Engine:
    return tuned_engine(url) if url.startswith("sqlite") else sa.create_engine(driver_url(url))


# --- together or not at all -------------------------------------------------------------------------------------------


async def fail_after_creating(database: Database, person: Actor) -> None:
    async with database.transaction(person) as uow:
        await create_session(uow, SESSION, kind="improve", goal="g", project="/p", options="{}")
        raise ZeroDivisionError


@pytest.mark.req("SES-02")
async def test_a_failed_action_leaves_neither_rows_nor_events(database: Database, person: Actor) -> None:
    with pytest.raises(ZeroDivisionError):
        await fail_after_creating(database, person)
    async with database.view(person) as uow:
        assert await list_sessions(uow) == []
        assert await replay(uow, SESSION) == []


async def create_with_an_unstorable_event(database: Database, person: Actor) -> None:
    async with database.transaction(person) as uow:
        await create_session(uow, SESSION, kind="improve", goal="g", project="/p", options="{}")
        uow.record(SESSION, NoteWritten("task-1", object(), "me"))  # type: ignore[arg-type]


@pytest.mark.req("SES-02")
async def test_what_cannot_be_stored_as_an_event_takes_its_rows_back(
    database: Database, person: Actor
) -> None:
    with pytest.raises(PydanticSerializationError):
        await create_with_an_unstorable_event(database, person)
    async with database.view(person) as uow:
        assert await list_sessions(uow) == []


async def test_a_cancelled_action_leaves_nothing_and_holds_nobody_up(
    database: Database, person: Actor
) -> None:
    inside = asyncio.Event()

    async def never_ends() -> None:
        async with database.transaction(person) as uow:
            await create_session(uow, SESSION, kind="improve", goal="g", project="/p", options="{}")
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(never_ends())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await made(database, person, "ses-2")
    async with database.view(person) as uow:
        assert [one.id for one in await list_sessions(uow)] == ["ses-2"]


async def test_the_same_row_twice_is_a_conflict(database: Database, person: Actor) -> None:
    await made(database, person)
    with pytest.raises(Conflict, match="exists already"):
        await made(database, person)


async def test_a_view_cannot_write(database: Database, person: Actor) -> None:
    with pytest.raises(Unavailable):
        async with database.view(person) as uow:
            await create_session(uow, SESSION, kind="improve", goal="g", project="/p", options="{}")
    async with database.view(person) as uow:
        assert await list_sessions(uow) == []


async def test_a_view_sees_one_moment(database: Database, person: Actor) -> None:
    await made(database, person)
    async with database.view(person) as uow:
        assert len(await list_sessions(uow)) == 1
        await made(database, person, "ses-2")
        assert len(await list_sessions(uow)) == 1
        async with database.view(person) as later:
            assert len(await list_sessions(later)) == 2


async def test_actions_of_one_organization_take_turns(database: Database, person: Actor) -> None:
    """Read, then write what was read plus one: nothing is lost although all begin at once."""
    await made(database, person)
    session = _session_tables.session

    async def add_one() -> None:
        async with database.transaction(person) as uow:
            row = await uow.fetch_one(uow.rows_of(session))
            assert row is not None
            await asyncio.sleep(0)
            await uow.run(uow.change_rows(session).values(goal=row.goal + "g"))

    await asyncio.gather(*(add_one() for _ in range(20)))
    async with database.view(person) as uow:
        assert (await get_session(uow, SESSION)).goal == "g" * 21


# --- order, replay, filters -------------------------------------------------------------------------------------------


@pytest.mark.req("SES-02", "SES-03")
async def test_events_come_in_order_from_any_position(database: Database, person: Actor) -> None:
    await noted(database, person, "a", "b")
    await noted(database, person, "c")
    await noted(database, person, "other", session="ses-2")
    async with database.view(person) as uow:
        all_of_it = await replay(uow, SESSION)
        assert [one.position for one in all_of_it] == sorted(one.position for one in all_of_it)
        assert len(await replay(uow, SESSION, limit=2)) == 2
    assert await texts(database, person) == ["a", "b", "c"]
    assert [await texts(database, person, one.position) for one in all_of_it] == [["b", "c"], ["c"], []]


async def test_events_about_one_task(database: Database, person: Actor) -> None:
    async with database.transaction(person) as uow:
        for task in ("task-1", "task-2", "task-1"):
            uow.record(SESSION, TaskMoved(task, "running"))
        uow.record(SESSION, SessionPaused("me"))
    async with database.view(person) as uow:
        found = await replay(uow, SESSION, subject="task-1")
    assert [one.event for one in found] == [TaskMoved("task-1", "running")] * 2


async def test_who_and_when_are_kept(
    database: Database, person: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    await noted(database, person, "a")
    async with database.view(person) as uow:
        (one,) = await replay(uow, SESSION)
    assert (one.at, one.actor_id, one.session_id) == (1700000000.0, person.id, SESSION)


@pytest.mark.parametrize(
    "text", ["", "naïve ✓ 日本", "nul \0 inside", 'quote " back \\ slash', "odd \udcff name"]
)
async def test_any_text_comes_back(database: Database, person: Actor, text: str) -> None:
    await noted(database, person, text)
    assert await texts(database, person) == [text]


# --- following --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def following(
    database: Database, log: EventLog, person: Actor, **how: object
) -> AsyncIterator[AsyncIterator[object]]:
    async with aclosing(log.follow(database, person, SESSION, **how)) as events, asyncio.timeout(60):
        yield events


@pytest.mark.req("SES-02")
async def test_followers_get_everything_once_and_in_order(
    database: Database, log: EventLog, person: Actor
) -> None:
    """Commits fall before, between and after the reads of two followers."""
    wanted = [str(number) for number in range(60)]

    async def collect() -> list[str]:
        seen: list[str] = []
        async with following(database, log, person) as events:
            async for one in events:
                seen.append(one.event.text)
                await asyncio.sleep(0)
                if len(seen) == len(wanted):
                    return seen
        return seen

    async def write() -> None:
        for text in wanted:
            await noted(database, person, text)

    first, second, _ = await asyncio.gather(collect(), collect(), write())
    assert first == second == wanted


async def test_a_follower_may_begin_in_the_middle_and_choose(
    database: Database, log: EventLog, person: Actor
) -> None:
    await made(database, person)
    async with database.transaction(person) as uow:
        await pause_session(uow, SESSION)
    async with following(database, log, person, pattern="Session*") as events:
        names = [type((await anext(events)).event).__name__ for _ in range(2)]
    assert names == ["SessionCreated", "SessionPaused"]
    async with database.view(person) as uow:
        created = (await replay(uow, SESSION))[0]
    assert isinstance(created.event, SessionCreated)
    async with following(database, log, person, after=created.position) as events:
        assert (await anext(events)).event == SessionPaused(person.id)


WRITER = """
import asyncio, sys
from bullpen.domain.actor import local_person
from bullpen.domain.events.session import NoteWritten
from bullpen.domain.ids import SessionId
from bullpen.kernel.bus.log import EventLog
from bullpen.kernel.storage.database import Database, open_store

async def main(url, name, count):
    database = Database(await open_store(url), EventLog())
    for number in range(count):
        async with database.transaction(local_person()) as uow:
            uow.record(SessionId("ses-1"), NoteWritten("task-1", f"{name}-{number}", name))
    await database.store.close()

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


async def write_elsewhere(url: str, name: str, count: int) -> None:
    """Another process writes."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", WRITER, url, name, str(count))
    assert await process.wait() == 0


async def test_another_process_wakes_a_follower(
    database: Database, database_url: str, log: EventLog, person: Actor
) -> None:
    async with following(database, log, person) as events:
        _, first = await asyncio.gather(write_elsewhere(database_url, "there", 1), anext(events))
    assert first.event.text == "there-0"


async def test_two_processes_write_at_the_same_time(
    database: Database, database_url: str, person: Actor
) -> None:
    async def here() -> None:
        for number in range(30):
            await noted(database, person, f"here-{number}")
            await asyncio.sleep(0)

    await asyncio.gather(
        write_elsewhere(database_url, "one", 30), write_elsewhere(database_url, "two", 30), here()
    )
    found = await texts(database, person)
    for name in ("one", "two", "here"):
        assert [text for text in found if text.startswith(name)] == [f"{name}-{n}" for n in range(30)]


async def test_processes_may_make_the_tables_at_the_same_time(database_url: str, person: Actor) -> None:
    await asyncio.gather(*(write_elsewhere(database_url, name, 1) for name in ("a", "b", "c")))
    store = await open_store(database_url)
    assert len(await texts(Database(store, EventLog()), person)) == 3
    await store.close()


# --- organizations ----------------------------------------------------------------------------------------------------


async def test_a_stranger_sees_nothing_and_changes_nothing(database: Database, person: Actor) -> None:
    await made(database, person)
    async with database.view(STRANGER) as uow:
        assert await list_sessions(uow) == []
        assert await replay(uow, SESSION) == []
        with pytest.raises(NotFound):
            await get_session(uow, SESSION)
    with pytest.raises(NotFound):
        async with database.transaction(STRANGER) as uow:
            await pause_session(uow, SESSION)
    await made(database, STRANGER)  # the same id is theirs to use
    async with database.view(person) as uow:
        assert not (await get_session(uow, SESSION)).paused
        assert len(await replay(uow, SESSION)) == 1


# --- opening, versions, migrations ------------------------------------------------------------------------------------


async def test_data_stays_over_a_restart(database_url: str, person: Actor) -> None:
    for name in ("a", "b"):
        store = await open_store(database_url)
        await noted(Database(store, EventLog()), person, name)
        await store.close()
    store = await open_store(database_url)
    assert await texts(Database(store, EventLog()), person) == ["a", "b"]
    await store.close()


async def test_tables_of_a_newer_version_are_refused(database_url: str) -> None:
    await (await open_store(database_url)).close()
    engine = engine_of(database_url)
    with engine.begin() as connection:
        connection.execute(sa.text("update alembic_version set version_num = '9999'"))
    with pytest.raises(Unavailable, match=r"9999.*does not know") as refused:
        await open_store(database_url)
    assert "newer" in refused.value.remedy
    with engine.connect() as connection:
        assert version_of(connection) == "9999"
    engine.dispose()


def test_the_newest_version_is_the_one_in_the_folder() -> None:
    assert newest_in_folder() == NEWEST


async def test_the_migrations_make_what_the_tables_say_and_take_it_back(database_url: str) -> None:
    await (await open_store(database_url)).close()
    engine = engine_of(database_url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    with migrating(engine) as connection:
        move_to(connection, "base")
    with engine.connect() as connection:
        assert set(sa.inspect(connection).get_table_names()) <= {"alembic_version"}
        assert version_of(connection) == ""
    engine.dispose()
    await (await open_store(database_url)).close()


def migrate_and_fail(engine: sa.Engine) -> None:
    with migrating(engine) as connection:
        move_to(connection, "head")
        raise ZeroDivisionError


async def test_a_migration_that_fails_leaves_nothing(database_url: str) -> None:
    engine = engine_of(database_url)
    with pytest.raises(ZeroDivisionError):
        migrate_and_fail(engine)
    with engine.connect() as connection:
        assert sa.inspect(connection).get_table_names() == []
    engine.dispose()
    await (await open_store(database_url)).close()


@pytest.mark.parametrize("url", ["mysql://localhost/x", "bullpen.db", "sqlite://"])
async def test_other_urls_are_refused_without_their_secrets(url: str) -> None:
    with pytest.raises(InvalidInput, match="no kind Bullpen knows"):
        await open_store(url)


async def test_a_server_that_is_not_there() -> None:
    with pytest.raises(Unavailable, match="PostgreSQL does not answer") as refused:
        await open_store("postgresql://user:secret@127.0.0.1:1/x")  # gitleaks:allow
    assert "secret" not in str(refused.value)


# --- SQLite's own troubles --------------------------------------------------------------------------------------------


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[tuple[Database, Path]]:
    path = tmp_path / "bullpen.db"
    store = await open_store(f"sqlite:///{path}")
    yield Database(store, EventLog()), path
    await store.close()


async def test_a_full_disk_is_said_and_what_was_there_stays(tmp_path: Path, person: Actor) -> None:
    path = tmp_path / "bullpen.db"
    store = await open_store(f"sqlite:///{path}")
    database = Database(store, EventLog())
    await noted(database, person, "kept")
    _driver(store._writer).execute("pragma max_page_count=1")  # SQLite's own way to a full disk
    with pytest.raises(Unavailable, match="full") as refused:
        await noted(database, person, "x" * 10_000_000)
    assert "free space" in refused.value.remedy
    assert await texts(database, person) == ["kept"]
    _driver(store._writer).execute("pragma max_page_count=1000000")
    await noted(database, person, "again")
    assert await texts(database, person) == ["kept", "again"]
    await store.close()


@pytest.mark.parametrize("trouble", ["a folder", "not a database", "below a file"])
async def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path, trouble: str) -> None:
    path = tmp_path / "here" / "bullpen.db"
    if trouble == "a folder":
        path.mkdir(parents=True)
    elif trouble == "not a database":
        path.parent.mkdir()
        path.write_bytes(b"certainly no database" * 1000)
    else:
        path.parent.write_text("a file")
    with pytest.raises(Unavailable, match=r"bullpen\.db (cannot be opened|is damaged)"):
        await open_store(f"sqlite:///{path}")


READ_ONLY = """
import asyncio, os, sys
from bullpen.domain.errors import Unavailable
from bullpen.kernel.storage.database import open_store
import bullpen.kernel.storage.sqlite, sqlalchemy.dialects.sqlite.pysqlite
os.setgid(65534); os.setuid(65534)
try:
    asyncio.run(open_store(sys.argv[1]))
except Unavailable as error:
    print(error.sentence, error.remedy)
"""


@pytest.mark.needs("root")
def test_a_folder_that_may_not_be_written_is_said() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        argv = [sys.executable, "-c", READ_ONLY, f"sqlite:///{name}/bullpen.db"]
        env = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
        said = subprocess.run(argv, capture_output=True, text=True, env={**env, "HOME": "/"})
    assert "cannot be opened" in said.stdout, said.stderr
    assert "permissions" in said.stdout
    assert "Traceback" not in said.stderr


async def test_a_transaction_inside_a_transaction_is_a_fault_not_a_wait(
    file: tuple[Database, Path], person: Actor
) -> None:
    database, _ = file
    with pytest.raises(RuntimeError, match="inside a transaction"):
        async with database.transaction(person), database.transaction(person):
            pass


async def test_a_writer_that_waits_for_another_process_does_not_stop_the_loop(
    file: tuple[Database, Path], person: Actor
) -> None:
    database, path = file
    other = tuned_engine(f"sqlite:///{path}").connect()
    other.connection.driver_connection.isolation_level = None
    other.exec_driver_sql("begin immediate")
    waiting = asyncio.create_task(noted(database, person, "at last"))
    assert (
        await asyncio.wait_for(texts(database, person), 30) == []
    )  # the loop is free while the writer waits
    assert not waiting.done()
    other.exec_driver_sql("commit")
    await asyncio.wait_for(waiting, 30)
    assert await texts(database, person) == ["at last"]
    other.close()


def test_everybody_local_is_one_organization() -> None:
    assert local_person().organization_id == "local"
