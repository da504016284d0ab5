"""A link opens one session to be read, until it expires or is revoked, and nothing else."""

from collections.abc import Awaitable, Callable

import pytest

from bullpen.domain.actor import Actor, Scope
from bullpen.domain.errors import InvalidInput, NotFound, PermissionRefused
from bullpen.domain.events import session as told
from bullpen.domain.ids import ActorId, OrganizationId, SessionId, TaskId
from bullpen.domain.session import Share
from bullpen.kernel.bus.log import replay
from bullpen.kernel.storage.database import Database
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.sessions import actions, queries, scratchpad, transfer
from bullpen.sessions.tables import session_share
from bullpen.work.queries import list_approvals, list_items, list_tasks

MINE, OTHER, TASK = SessionId("ses-mine"), SessionId("ses-other"), TaskId("t")
READER = Actor(ActorId("reader"), OrganizationId("local"), frozenset({Scope.READ}))
STRANGER = Actor(ActorId("stranger"), OrganizationId("elsewhere"), frozenset(Scope))
DAY = 86_400.0


@pytest.fixture
async def link(
    database: Database, person: Actor, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Awaitable[tuple[Share, str]]]:
    """Two sessions with something in them; makes links to the first."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000")
    async with database.transaction(person) as uow:
        for name in (MINE, OTHER):
            await actions.create_session(uow, name, kind="improve", goal="g", project="/p", options="{}")
            await scratchpad.set_variable(uow, name, TASK, "n", "1", by="x")

    async def make() -> tuple[Share, str]:
        async with database.transaction(person) as uow:
            return await actions.share_session(uow, MINE, DAY)

    return make


@pytest.mark.req("SES-01")
async def test_its_bearer_reads_this_session_and_no_other(
    database: Database, link: Callable[[], Awaitable[tuple[Share, str]]]
) -> None:
    _, token = await link()
    bearer = await queries.reader_with(database.store, token)
    assert (bearer.scopes, bearer.only_session) == (frozenset({Scope.READ}), MINE)
    async with database.view(bearer) as uow:
        assert [one.id for one in await queries.list_sessions(uow)] == [MINE]
        assert len(await replay(uow, MINE)) == 3
        assert [one.value for one in await scratchpad.list_variables(uow, MINE, TASK)] == ["1"]
        assert await replay(uow, OTHER) == []
        assert await scratchpad.list_variables(uow, OTHER, TASK) == []
        assert await list_items(uow, OTHER) == await list_tasks(uow, OTHER) == await list_approvals(uow) == []
        with pytest.raises(NotFound):
            await queries.get_session(uow, OTHER)
        with pytest.raises(NotFound):
            await transfer.export_session(uow, OTHER, {})
        with pytest.raises(PermissionRefused):
            await queries.list_shares(uow)


@pytest.mark.req("SES-01")
async def test_its_bearer_changes_nothing(
    database: Database, link: Callable[[], Awaitable[tuple[Share, str]]]
) -> None:
    bearer = await queries.reader_with(database.store, (await link())[1])
    with pytest.raises(PermissionRefused, match="not changed"):
        async with database.transaction(bearer) as uow:
            await scratchpad.set_variable(uow, MINE, TASK, "n", "2", by="x")


@pytest.mark.req("SES-01")
async def test_it_ends(
    database: Database,
    person: Actor,
    link: Callable[[], Awaitable[tuple[Share, str]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (first, token), (_, other) = await link(), await link()
    async with database.transaction(person) as uow:
        await actions.revoke_share(uow, first.id)
        assert (await actions.revoke_share(uow, first.id)).revoked_at  # twice changes nothing
    with pytest.raises(PermissionRefused, match="opens nothing"):
        await queries.reader_with(database.store, token)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(1_000_000 + int(DAY) - 1))
    await queries.reader_with(database.store, other)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(1_000_000 + int(DAY)))
    with pytest.raises(PermissionRefused, match="opens nothing"):
        await queries.reader_with(database.store, other)
    async with database.view(person) as uow:
        events = [one.event for one in await replay(uow, MINE)]
        shares = await queries.list_shares(uow, MINE)
    assert [type(one) for one in events[2:]] == [told.SessionShared] * 2 + [told.ShareRevoked]
    assert {one.id: bool(one.revoked_at) for one in shares}[first.id]


@pytest.mark.req("SES-01")
async def test_the_token_is_kept_nowhere_and_does_not_travel(
    database: Database, person: Actor, link: Callable[[], Awaitable[tuple[Share, str]]]
) -> None:
    _, token = await link()
    assert len(token) >= 43  # 256 bits
    async with database.view(person) as uow:
        stored = [str(row) for row in await uow.fetch(uow.rows_of(session_share))]
        events = [str(one) for one in await replay(uow, MINE)]
        file = await transfer.export_session(uow, MINE, {})
    assert not any(token in text for text in (*stored, *events))
    async with database.transaction(STRANGER) as uow:
        await transfer.import_session(uow, file)
        assert await queries.list_shares(uow) == []


@pytest.mark.req("SES-01")
@pytest.mark.parametrize("token", ["", "x", "\udce9", "' or 1=1 --"])
async def test_another_token_opens_nothing(database: Database, token: str) -> None:
    with pytest.raises(PermissionRefused, match="opens nothing"):
        await queries.reader_with(database.store, token)


@pytest.mark.req("SES-01")
async def test_who_may_share_what_for_how_long(
    database: Database, person: Actor, link: Callable[[], Awaitable[tuple[Share, str]]]
) -> None:
    made, _ = await link()

    async def refused(
        actor: Actor, do: Callable[[UnitOfWork], Awaitable[object]], why: type[Exception]
    ) -> None:
        with pytest.raises(why):
            async with database.transaction(actor) as uow:
                await do(uow)

    for seconds in (0.0, -DAY, 400 * DAY, float("nan"), float("inf")):
        await refused(person, lambda uow, long=seconds: actions.share_session(uow, MINE, long), InvalidInput)
    await refused(person, lambda uow: actions.share_session(uow, SessionId("none"), DAY), NotFound)
    await refused(STRANGER, lambda uow: actions.share_session(uow, MINE, DAY), NotFound)
    await refused(STRANGER, lambda uow: actions.revoke_share(uow, made.id), NotFound)
    await refused(READER, lambda uow: actions.share_session(uow, MINE, DAY), PermissionRefused)
    await refused(READER, lambda uow: actions.revoke_share(uow, made.id), PermissionRefused)


@pytest.mark.req("SES-01")
async def test_parent_and_children(database: Database, person: Actor) -> None:
    async with database.transaction(person) as uow:
        await actions.create_session(uow, MINE, kind="improve", goal="g", project="/p", options="{}")
    async with database.transaction(person) as uow:
        children = [(await transfer.fork_session(uow, MINE)).id for _ in range(2)]
        await actions.archive_session(uow, children[0])
    async with database.view(person) as uow:
        assert {one.id for one in await queries.list_children(uow, MINE)} == set(children)
        assert await queries.list_children(uow, children[0]) == []
