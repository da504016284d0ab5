"""What triggers begin, on both databases: once, within the limits, and only what a person allowed."""

import asyncio
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from bullpen.domain.actor import Actor, agent_actor
from bullpen.domain.errors import Conflict, InvalidInput, NotFound, PermissionRefused
from bullpen.domain.events.automation import AutomationNoticed, AutomationTriggered
from bullpen.domain.ids import LOCAL_ORGANIZATION, SessionId
from bullpen.domain.session import Stage
from bullpen.flow.automation.actions import (
    HOLD_SECONDS,
    MOST_ATTEMPTS,
    claim_run,
    disable_automation,
    end_run,
    keep_run,
    leave_run,
)
from bullpen.flow.automation.ceiling import Ceiling
from bullpen.flow.automation.fire import Fired, deliver_trigger, enable, fire_automation
from bullpen.flow.automation.queries import automation_named, list_automations, list_runs
from bullpen.flow.automation.records import AutomationRun, Registered, RunState
from bullpen.flow.automation.watch import tick
from bullpen.flow.definitions.model import Source
from bullpen.kernel.bus.log import EventLog, replay
from bullpen.kernel.storage.database import Database, open_store
from bullpen.sessions.actions import create_session
from bullpen.sessions.queries import get_session

pytestmark = pytest.mark.req("SES-07")
START = 1_800_000_000.0  # 2027-01-15 08:00 UTC
HOUR = 3600.0
HOURLY = 'on: {schedule: {cron: "0 * * * *"}}\n'
LABEL = "on: {label: {labels: [bug]}}\n"
Allow = Callable[..., Awaitable[Registered]]


@pytest.fixture
def allow(database: Database, person: Actor) -> Allow:
    """Enable an automation for the home from its ``on`` and ``limits``."""

    async def allowed(text: str, name: str = "auto", repo: str = "/nowhere") -> Registered:
        whole = f"name: {name}\nrepo: {repo}\n{text}do: {{roast: {{}}}}\n"
        async with database.transaction(person) as uow:
            return await enable(uow, Source(name, f"{name}.yaml", whole), "", START)

    return allowed


@pytest.fixture
def tell(database: Database, person: Actor) -> Callable[..., Awaitable[Fired]]:
    async def told(kind: str = "manual", /, *, at: float = START, **payload: object) -> Fired:
        async with database.transaction(person) as uow:
            return await fire_automation(uow, "auto", kind, payload, at, ceiling=Ceiling())

    return told


async def runs_of(database: Database, person: Actor) -> Sequence[AutomationRun]:
    """The oldest first."""
    async with database.view(person) as uow:
        return list(reversed(await list_runs(uow)))


async def claim(database: Database, person: Actor, holder: str, at: float = START) -> AutomationRun | None:
    async with database.transaction(person) as uow:
        return await claim_run(uow, holder, at)


async def finish(
    database: Database, person: Actor, run: AutomationRun, holder: str, at: float = START
) -> bool:
    async with database.transaction(person) as uow:
        return await end_run(uow, run, holder, RunState.DONE, "", at)


async def events_of(database: Database, person: Actor, known: Registered) -> list[object]:
    async with database.view(person) as uow:
        return [one.event for one in await replay(uow, SessionId(known.id))]


# --- once -------------------------------------------------------------------------------------------------------------


async def test_a_time_begins_one_run_with_many_workers(
    database_url: str, tmp_path: Path, person: Actor
) -> None:
    stores = [await open_store(database_url) for _ in range(3)]
    workers = [Database(one, EventLog()) for one in stores]
    text = f"name: auto\nrepo: /r\n{HOURLY}do: {{roast: {{}}}}\nlimits: {{concurrency: queue}}\n"
    async with workers[0].transaction(person) as uow:
        await enable(uow, Source("auto", "a", text), "", START)
    for step in range(8):
        at = START + step * HOUR / 2
        await asyncio.gather(*(tick(one, person, tmp_path, at + n) for n, one in enumerate(workers)))
    found = [one.trigger.key for one in await runs_of(workers[0], person)]
    assert found == [f"schedule:2027-01-15T{hour:02}:00:00Z" for hour in (9, 10, 11)]
    for store in stores:
        await store.close()


async def test_what_was_met_is_remembered_over_a_restart(
    database_url: str, tmp_path: Path, person: Actor
) -> None:
    text = f"name: auto\nrepo: /r\n{HOURLY}do: {{roast: {{}}}}\nlimits: {{concurrency: queue}}\n"
    for at in (START, START + HOUR + 5, START + HOUR + 9, START + 3 * HOUR + 5):
        store = await open_store(database_url)
        database = Database(store, EventLog())
        if at == START:
            async with database.transaction(person) as uow:
                await enable(uow, Source("auto", "a", text), "", START)
        await tick(database, person, tmp_path, at)
        await store.close()
    store = await open_store(database_url)
    keys = [one.trigger.key[-9:-4] for one in await runs_of(Database(store, EventLog()), person)]
    assert keys == ["09:00", "11:00"]  # ten o'clock passed while nobody looked; eleven is on time
    await store.close()


async def test_a_clock_that_goes_back_begins_nothing_twice_and_says_so(
    database: Database, person: Actor, tmp_path: Path, allow: Allow
) -> None:
    known = await allow(HOURLY + "limits: {concurrency: queue}\n")
    for at in (HOUR + 5, HOUR - 600, HOUR + 5, 100 * HOUR, HOUR + 9, 2 * HOUR + 1):
        await tick(database, person, tmp_path, START + at)
    keys = [one.trigger.key[9:25] for one in await runs_of(database, person)]
    assert keys == ["2027-01-15T09:00", "2027-01-15T10:00", "2027-01-19T12:00"]
    notes = [
        one.note for one in await events_of(database, person, known) if isinstance(one, AutomationNoticed)
    ]
    assert [note.split(" by ")[0].split(" passed")[0] for note in notes] == [
        "the clock went back",
        "98 times",
        "the clock went back",
    ]


async def test_the_same_thing_told_twice_begins_one_run(
    allow: Allow, tell: Callable[..., Awaitable[Fired]]
) -> None:
    await allow(LABEL)
    said = {"repository": "o/r", "number": 3, "label": "bug", "delivery": "d-1"}
    first, again = await tell("label", **said), await tell("label", **said)
    assert first.run is not None
    assert first.run.trigger.says == "o/r#3 was labelled bug"
    assert (again.run, again.reason) == (None, "this was told before, and began a run then")
    asked = [await tell(request="r-1"), await tell(request="r-1"), await tell()]
    assert [one.run is not None for one in asked] == [True, False, True]


async def test_many_doors_at_once_begin_one_run(
    database: Database, person: Actor, allow: Allow, tell: Callable[..., Awaitable[Fired]]
) -> None:
    await allow(LABEL + "limits: {concurrency: queue}\n")
    said = {"repository": "o/r", "number": 3, "label": "bug"}
    fired = await asyncio.gather(*(tell("label", **said) for _ in range(20)))
    assert sum(one.run is not None for one in fired) == 1
    assert len(await runs_of(database, person)) == 1


# --- what is none of its business -------------------------------------------------------------------------------------


async def test_what_an_automation_does_not_wait_for_begins_nothing(
    database: Database, person: Actor, allow: Allow, tell: Callable[..., Awaitable[Fired]]
) -> None:
    await allow(LABEL)
    other = await tell("label", repository="o/r", number=3, label="docs")
    alert = await tell("alert", name="down")
    assert (other.run, other.reason) == (None, "the label 'docs' is not meant")
    assert (alert.run, alert.reason) == (None, "it waits for label, not for alert")
    with pytest.raises(InvalidInput, match="number"):
        await tell("label", repository="o/r", number=0, label="bug")
    with pytest.raises(InvalidInput, match="extra"):
        await tell("label", repository="o/r", number=1, label="bug", command="rm")
    with pytest.raises(NotFound, match="'pigeon'"):
        await tell("pigeon")
    assert await runs_of(database, person) == []


async def test_a_door_that_knows_no_names_reaches_all_that_wait(
    database: Database, person: Actor, allow: Allow
) -> None:
    await allow(LABEL, "one")
    await allow(LABEL, "two")
    await allow(HOURLY, "three")
    async with database.transaction(person) as uow:
        said = {"repository": "o/r", "number": 1, "label": "bug"}
        fired = await deliver_trigger(uow, "label", said, START, ceiling=Ceiling())
    assert [(one.automation.name, one.run is not None) for one in fired] == [("one", True), ("two", True)]


# --- only what a person allowed ---------------------------------------------------------------------------------------


async def test_nothing_begins_before_it_was_enabled_and_after_it_was_disabled(
    database: Database, person: Actor, tmp_path: Path, allow: Allow, tell: Callable[..., Awaitable[Fired]]
) -> None:
    with pytest.raises(NotFound, match="was enabled yet"):
        await tell()
    known = await allow(HOURLY)
    await tell()
    async with database.transaction(person) as uow:
        await disable_automation(uow, known, START)
    with pytest.raises(Conflict, match="disabled"):
        await tell()
    await tick(database, person, tmp_path, START + 5 * HOUR)
    assert [(one.state, one.reason) for one in await runs_of(database, person)] == [
        (RunState.SKIPPED, "the automation was disabled")
    ]
    assert await claim(database, person, "w") is None


async def test_an_agent_may_enable_nothing(database: Database) -> None:
    source = Source("auto", "a", f"name: auto\nrepo: /r\n{HOURLY}do: {{roast: {{}}}}\n")
    async with database.transaction(agent_actor(LOCAL_ORGANIZATION, "developer")) as uow:
        with pytest.raises(PermissionRefused, match="approve"):
            await enable(uow, source, "", START)


async def test_the_text_that_was_allowed_is_kept_whatever_the_file_says_later(
    database: Database, person: Actor, allow: Allow
) -> None:
    first = await allow(HOURLY)
    again = await allow(HOURLY)
    changed = await allow(LABEL)
    assert (first.id, first.memory) == (again.id, again.memory)
    assert (changed.id, changed.source.digest == first.source.digest) == (first.id, False)
    async with database.view(person) as uow:
        assert [one.text for one in await list_automations(uow)] == [changed.text]


async def test_two_of_one_name_are_not_enabled_at_once(
    database: Database, person: Actor, allow: Allow
) -> None:
    await allow(HOURLY)
    text = f"name: auto\n{HOURLY}do: {{roast: {{}}}}\n"
    async with database.transaction(person) as uow:
        with pytest.raises(Conflict, match="home is enabled already"):
            await enable(uow, Source("auto", ".bullpen/automations/auto.yaml", text), "/repo", START)


# --- limits -----------------------------------------------------------------------------------------------------------


async def test_skip_leaves_out_what_comes_while_a_run_has_not_ended(
    database: Database, person: Actor, allow: Allow, tell: Callable[..., Awaitable[Fired]]
) -> None:
    known = await allow(LABEL)
    first, second = await tell(), await tell()
    assert first.run is not None
    assert second.run is not None
    assert (second.run.state, second.reason) == (RunState.SKIPPED, f"{first.run.id} has not ended")
    run = await claim(database, person, "w")
    assert run is not None
    await finish(database, person, run, "w")
    third = await tell()
    assert third.run is not None
    assert third.run.state is RunState.QUEUED
    told = [one for one in await events_of(database, person, known) if isinstance(one, AutomationTriggered)]
    assert [one.state for one in told] == ["queued", "skipped", "queued"]


async def test_queue_does_one_after_the_other(
    database: Database, person: Actor, allow: Allow, tell: Callable[..., Awaitable[Fired]]
) -> None:
    await allow(LABEL + "limits: {concurrency: queue}\n")
    asked = [await tell(at=START + n) for n in range(3)]
    first = await claim(database, person, "w", START)
    assert await claim(database, person, "v", START) is None
    assert first is not None
    await finish(database, person, first, "w")
    second = await claim(database, person, "v", START)
    assert [first.id, second.id if second else ""] == [one.run.id for one in asked[:2] if one.run]


async def test_replace_ends_what_was_begun_before(
    database: Database, person: Actor, allow: Allow, tell: Callable[..., Awaitable[Fired]]
) -> None:
    await allow(LABEL + "limits: {concurrency: replace}\n")
    await tell()
    running = await claim(database, person, "w")
    assert running is not None
    queued, last = await tell(), await tell()
    assert queued.run is not None
    assert last.run is not None
    async with database.transaction(person) as uow:
        stop = await keep_run(uow, running.id, "w", START)
    assert stop == f"replaced by {queued.run.id}" or stop == f"replaced by {last.run.id}"
    states = [one.state for one in await runs_of(database, person)]
    assert sorted(states) == sorted([RunState.RUNNING, RunState.REPLACED, RunState.QUEUED])


async def test_replacing_a_run_that_sleeps_ends_its_session(
    database: Database, person: Actor, allow: Allow, tell: Callable[..., Awaitable[Fired]]
) -> None:
    await allow(LABEL + "limits: {concurrency: replace}\n")
    await tell()
    run = await claim(database, person, "w")
    assert run is not None
    async with database.transaction(person) as uow:
        await create_session(uow, run.session_id, kind="workflow", goal="g", project="/r", options="{}")
        await end_run(uow, run, "w", RunState.WAITING, "", START)
    await tell()
    async with database.view(person) as uow:
        assert (await get_session(uow, run.session_id)).stage is Stage.CANCELLED


async def test_no_more_runs_begin_within_a_day_than_the_limit_says(
    database: Database, person: Actor, allow: Allow, tell: Callable[..., Awaitable[Fired]]
) -> None:
    await allow(LABEL + "limits: {concurrency: queue, per_day: 2}\n")
    fired = [await tell(at=START + n * HOUR) for n in (0, 1, 2, 25)]
    assert [one.run.state.value for one in fired if one.run] == ["queued", "queued", "skipped", "queued"]
    assert "2 times within a day" in fired[2].reason


# --- who does it ------------------------------------------------------------------------------------------------------


async def test_a_run_has_one_holder_and_is_taken_up_when_that_one_is_gone(
    database: Database, person: Actor, allow: Allow, tell: Callable[..., Awaitable[Fired]]
) -> None:
    await allow(LABEL)
    await tell()
    claims = await asyncio.gather(*(claim(database, person, f"w{n}") for n in range(8)))
    (first,) = [one for one in claims if one]
    assert await claim(database, person, "late", START + HOLD_SECONDS - 1) is None
    async with database.transaction(person) as uow:
        await keep_run(uow, first.id, first.holder, START + HOLD_SECONDS - 1)
    assert await claim(database, person, "late", START + HOLD_SECONDS + 1) is None
    taken = await claim(database, person, "late", START + 2 * HOLD_SECONDS)
    assert taken is not None
    assert (taken.id, taken.attempts, taken.session_id) == (first.id, 2, first.session_id)
    async with database.transaction(person) as uow:
        assert await keep_run(uow, first.id, first.holder, START) is None
    assert not await finish(database, person, first, first.holder)
    assert await finish(database, person, first, "late")


async def test_a_run_that_takes_its_worker_down_again_and_again_has_failed(
    database: Database, person: Actor, allow: Allow, tell: Callable[..., Awaitable[Fired]]
) -> None:
    await allow(LABEL)
    await tell()
    for attempt in range(MOST_ATTEMPTS):
        assert await claim(database, person, "w", START + attempt * 2 * HOLD_SECONDS)
    assert await claim(database, person, "w", START + 100 * HOLD_SECONDS) is None
    (run,) = await runs_of(database, person)
    assert (run.state, run.reason) == (RunState.FAILED, "it was begun 3 times and never ended")


async def test_what_was_left_in_order_does_not_count_as_a_failure(
    database: Database, person: Actor, allow: Allow, tell: Callable[..., Awaitable[Fired]]
) -> None:
    await allow(LABEL)
    await tell()
    for _ in range(2 * MOST_ATTEMPTS):
        run = await claim(database, person, "w")
        assert run is not None
        async with database.transaction(person) as uow:
            await leave_run(uow, run.id, "w")
    assert (await runs_of(database, person))[0].attempts == 0


# --- pushes -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "a repo"
    folder.mkdir()
    git(folder, "init", "-qb", "main")
    commit(folder, "README.md")
    return folder


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    subprocess.run(("git", *who, *arguments), cwd=folder, check=True, capture_output=True)


def commit(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(name)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", name)


async def test_a_push_begins_a_run_and_only_for_what_is_named(
    database: Database, person: Actor, tmp_path: Path, allow: Allow, repo: Path
) -> None:
    on = 'on: {push: {branches: [main, "rel*"], paths: ["src/**"], every: 10s}}\n'
    await allow(on + "limits: {concurrency: queue}\n", repo=f'"{repo}"')
    at = START

    async def looked(*arguments: str, name: str = "") -> list[str]:
        nonlocal at
        at += 11
        git(repo, *arguments) if arguments else None
        commit(repo, name) if name else None
        fired = await tick(database, person, tmp_path / "home", at)
        return [one.run.trigger.values["branch"] for one in fired if one.run]

    assert await looked() == []  # where the branches are is only remembered
    assert await looked() == []
    assert await looked(name="docs/a.md") == []
    assert await looked(name="src/a.py") == ["main"]
    assert await looked("checkout", "-qb", "release-1", name="src/b.py") == ["release-1"]
    assert await looked("checkout", "-qb", "other", name="src/c.py") == []
    assert await looked("checkout", "-q", "main") == []
    assert await looked("reset", "-q", "--hard", "HEAD~1") == ["main"]  # moved back: src/a.py is gone again
    assert await looked("branch", "-D", "release-1") == []
    (run, *_) = await runs_of(database, person)
    assert run.trigger.values["paths"] == ["src/a.py"]


async def test_a_push_is_looked_for_now_and_then_unless_somebody_says_so(
    database: Database, person: Actor, tmp_path: Path, allow: Allow, repo: Path
) -> None:
    known = await allow("on: {push: {every: 1h}}\n", repo=f'"{repo}"')
    await tick(database, person, tmp_path, START)
    commit(repo, "a.py")
    assert await tick(database, person, tmp_path, START + 60) == []
    assert await tick(database, person, tmp_path, START + 60, only="aut-other", at_once=True) == []
    assert len(await tick(database, person, tmp_path, START + 60, only=known.id, at_once=True)) == 1
    assert await tick(database, person, tmp_path, START + 61, only=known.id, at_once=True) == []


async def test_a_repository_out_of_reach_is_told_once_and_keeps_nobody_else_up(
    database: Database, person: Actor, tmp_path: Path, allow: Allow
) -> None:
    known = await allow("on: {push: {every: 1s}}\n", "away", repo=str(tmp_path / "gone"))
    await allow(HOURLY, "night")
    fired = [one for n in range(4) for one in await tick(database, person, tmp_path, START + HOUR + n)]
    assert [one.automation.name for one in fired] == ["night"]
    notes = [one for one in await events_of(database, person, known) if isinstance(one, AutomationNoticed)]
    assert [one.trigger for one in notes] == ["push"]
    assert "does not exist" in notes[0].note


async def test_a_url_is_looked_at_without_a_copy_of_it(
    database: Database, person: Actor, tmp_path: Path, allow: Allow, repo: Path
) -> None:
    await allow("on: {push: {every: 1s}}\n", repo=repo.as_uri())
    await tick(database, person, tmp_path / "home", START)
    commit(repo, "a.py")
    (fired,) = await tick(database, person, tmp_path / "home", START + 2)
    assert fired.run is not None
    assert not (tmp_path / "home" / "mirrors").exists()


async def test_names_choose_and_ids_too(database: Database, person: Actor, allow: Allow) -> None:
    known = await allow(HOURLY)
    async with database.view(person) as uow:
        assert (await automation_named(uow, known.id)).name == "auto"
        with pytest.raises(NotFound, match="enabled yet"):
            await automation_named(uow, "auto", "/elsewhere")
