"""Agents that register, and agents of plugins: checked, versioned, and set aside with a reason where they are faulty."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from tests.agents.script_agents import write_agent, write_good

from bullpen.agents.actions import unregister_agent
from bullpen.agents.opening import Places, open_fleet
from bullpen.agents.plugins import find_plugins
from bullpen.agents.registering import fetch_manifest, register_file, register_manifest
from bullpen.domain.actor import Actor, Scope, agent_actor
from bullpen.domain.errors import Conflict, InvalidInput, NotFound, PermissionRefused, Unavailable
from bullpen.domain.ids import LOCAL_ORGANIZATION
from bullpen.kernel.storage.database import Database

REMOTE = b"""name: far-away
version: 1.0.0
purpose: Answers somewhere else.
kind: remote
url: http://127.0.0.1:9/agent
capabilities: [count]
"""
REGISTERED = Places(plugins=False)


async def registered(database: Database, actor: Actor, content: bytes, taken: tuple[str, ...] = ()) -> int:
    async with database.transaction(actor) as uow:
        return (await register_manifest(uow, content, "the test", taken)).generation


@pytest.mark.req("AGT-05")
async def test_a_script_is_registered_by_its_file_and_set_aside_when_it_changes(
    database: Database, person: Actor, tmp_path: Path
) -> None:
    place = write_good(tmp_path, "counter")
    async with database.transaction(person) as uow:
        assert (await register_file(uow, place)).generation == 1
        assert (await register_file(uow, place)).generation == 1  # twice the same is once
    async with open_fleet(database, person, REGISTERED) as found:
        assert list(found.fleet.agents) == [("", "counter")]
        write_agent(tmp_path, "counter", "exit 1")
        assert await found.look() == {("", "counter")}
        (refused,) = found.fleet.quarantined
        assert "is not what was registered: its files have changed" in refused.reason
        async with database.transaction(person) as uow:
            assert (await register_file(uow, place)).generation == 2
        await found.look()
        assert found.fleet.agents["", "counter"].generation == 2
        place.unlink()
        await found.look()
        assert found.fleet.quarantined[0].source == str(place)
        assert found.fleet.agents == {}


@pytest.mark.req("AGT-05")
async def test_one_that_registers_twice_is_its_next_generation(database: Database, person: Actor) -> None:
    newer = REMOTE.replace(b"1.0.0", b"1.1.0")
    assert [await registered(database, person, one) for one in (REMOTE, REMOTE, newer)] == [1, 1, 2]
    async with database.transaction(person) as uow:
        await unregister_agent(uow, "far-away")
    with pytest.raises(NotFound, match="No agent 'far-away' is registered"):
        async with database.transaction(person) as uow:
            await unregister_agent(uow, "far-away")
    async with open_fleet(database, person, REGISTERED) as found:
        assert found.fleet.agents == {}
    assert await registered(database, person, newer) == 3


@pytest.mark.req("AGT-05", "AGT-07")
@pytest.mark.parametrize(
    ("content", "error", "sentence"),
    [
        (b"", InvalidInput, "valid dictionary"),
        (b"\xff", InvalidInput, "not UTF-8"),
        (REMOTE.replace(b"kind: remote\n", b""), InvalidInput, "only agents of kind remote"),
        (REMOTE.replace(b"1.0.0", b"new"), InvalidInput, "a version looks like 1.2.3"),
        (REMOTE + b"secret: THE_KEY\n", PermissionRefused, "asks for a secret"),
        (REMOTE + b"limits: {seconds: 80000}\n", PermissionRefused, "more than the default limits"),
        (REMOTE.replace(b"far-away", b"developer"), Conflict, "belongs to another agent or role"),
        (b"name: " + b"x" * 100_000, InvalidInput, "at most 65536 bytes"),
    ],
)
async def test_what_registers_itself_is_checked_at_the_door(
    database: Database, content: bytes, error: type[Exception], sentence: str
) -> None:
    actor = agent_actor(LOCAL_ORGANIZATION, "far-away")
    with pytest.raises(error, match=sentence):
        await registered(database, actor, content, ("developer",))


@pytest.mark.req("AGT-05")
async def test_nobody_takes_the_name_of_another_who_registered(database: Database, person: Actor) -> None:
    assert await registered(database, agent_actor(LOCAL_ORGANIZATION, "one"), REMOTE) == 1
    with pytest.raises(Conflict, match="was registered by agent:one"):
        await registered(database, agent_actor(LOCAL_ORGANIZATION, "two"), REMOTE + b"model: m\n")
    assert await registered(database, person, REMOTE + b"model: m\n") == 2  # an administrator may
    reader = replace(person, scopes=frozenset({Scope.READ}))
    with pytest.raises(PermissionRefused, match="the scope 'run' is missing"):
        await registered(database, reader, REMOTE)


@pytest.fixture
async def address() -> Iterator[str]:
    async def manifest(_request: web.Request) -> web.Response:
        return web.Response(body=REMOTE)

    async def long(_request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 70_000)

    app = web.Application()
    app.add_routes([web.get("/agent.yaml", manifest), web.get("/long", long)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.mark.req("AGT-05")
async def test_a_manifest_is_fetched(address: str) -> None:
    assert await fetch_manifest(f"{address}/agent.yaml") == REMOTE
    with pytest.raises(Unavailable, match="answers with status 404"):
        await fetch_manifest(f"{address}/elsewhere")
    with pytest.raises(InvalidInput, match="at most 65536 bytes"):
        await fetch_manifest(f"{address}/long")
    with pytest.raises(Unavailable, match="cannot be reached"):
        await fetch_manifest("http://127.0.0.1:1/agent.yaml")
    with pytest.raises(InvalidInput, match="is no address"):
        await fetch_manifest("http://")


def install(folder: Path, name: str, value: str) -> None:
    """A distribution with an entry point, as an installer leaves it."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[bullpen.agents]\n{name} = {value}\n")


@pytest.mark.req("AGT-05")
async def test_plugins_bring_agents_and_a_faulty_one_stops_nobody(
    database: Database, person: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "acme", "acme_agents.scripts")
    install(tmp_path, "gone", "gone_agents.scripts")
    install(tmp_path, "empty", "acme_agents.nothing")
    install(tmp_path, "calls", "acme_agents.scripts:start")
    (tmp_path / "acme_agents").mkdir()
    (tmp_path / "acme_agents" / "__init__.py").write_text("raise RuntimeError('nobody imports this')\n")
    write_good(tmp_path / "acme_agents" / "scripts", "plugged")
    monkeypatch.syspath_prepend(tmp_path)
    found = find_plugins()
    assert tmp_path / "acme_agents" / "scripts" in [one.folder for one in found.sources]
    reasons = {one.source: one.reason for one in found.quarantined}
    assert reasons["plugin gone"] == "There is no package 'gone_agents'."
    assert reasons["plugin empty"] == f"There is no folder {tmp_path / 'acme_agents' / 'nothing'}."
    assert "names an attribute" in reasons["plugin calls"]
    async with open_fleet(database, person, Places()) as opened:
        assert ("", "plugged") in opened.fleet.agents
        assert {"plugin gone", "plugin calls"} <= {one.source for one in opened.fleet.quarantined}
