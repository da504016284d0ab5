"""A session whose files are in another home: its commits and test reports come and go by the exchange."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bullpen.domain.errors import Conflict, Missing
from bullpen.domain.ids import SessionId
from bullpen.flow.improve.look import Moment, has_report
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.open import Opened
from bullpen.flow.improve.project_tests import write_whole
from bullpen.kernel.executors import home_identity
from bullpen.testing.base import Environment
from bullpen.testing.environment import prepare_environment
from bullpen.vcs.exchange import Exchange, has_object, read_blob, store_blob
from bullpen.vcs.mirror import make_mirror
from bullpen.vcs.worktrees import release_worktree, take_worktree

HOME = "home"  # the fact that says whose home a session's files are in


def is_away(means: Means, facts: Mapping[str, str]) -> bool:
    """Whether the session with these facts was opened in another home that works on the same database."""
    shared = means.settings.database.startswith("postgresql")
    return shared and HOME in facts and facts[HOME] != home_identity(means.settings.home)


def require_here(means: Means, facts: Mapping[str, str]) -> None:
    """A session is directed where its files are; others may only work on its items.

    Raises:
        Conflict: it was opened in another home.
    """
    if is_away(means, facts):
        raise Conflict(
            "The session was begun in another home, where its files are.",
            remedy="Go on with it there, or set BULLPEN_HOME to that folder.",
        )


def exchange_of(means: Means, session_id: SessionId) -> Exchange | None:
    """Where a session's commits are handed over; None where everybody works in one home."""
    return Exchange(means.settings.exchange, session_id) if means.settings.exchange else None


async def opened_here(means: Means, session_id: SessionId, opened: Opened) -> Opened:
    """The same repository in this home: a mirror with the commit the session starts from.

    Raises:
        Missing: there is no exchange to bring it by.
        Unavailable: the exchange cannot be reached.
    """
    if not means.settings.exchange:
        raise Missing(
            "The session's commits are in another home, and no exchange is set.",
            remedy="Set BULLPEN_EXCHANGE to a git URL that both can reach.",
        )
    mirror = means.mirrors / Path(opened.mirror).name
    await make_mirror(mirror, "sha256" if len(opened.base) == 64 else "sha1")
    here = replace(opened, mirror=str(mirror), checkout="")
    await bring_commit(means, session_id, here, opened.base, f"tips/{opened.base}")
    return here


async def environment_here(means: Means, session_id: SessionId, opened: Opened) -> Environment:
    """What its tests run with on this machine."""
    folder = means.folder(session_id).worktrees
    worktree = await take_worktree(Path(opened.mirror), folder, "environment", opened.base)
    wanted = means.settings.python or None
    environment = await prepare_environment(worktree.path, means.settings.home, means.sandbox, wanted)
    await release_worktree(worktree)
    return environment


async def bring_reports(means: Means, session_id: SessionId, mirror: Path) -> None:
    """Results of the session's tests that were offered and are not here yet."""
    exchange = exchange_of(means, session_id)
    if exchange is None:
        return
    for moment in (Moment.BEFORE, Moment.MEASURED):
        if await has_report(means, session_id, moment) or not await exchange.has(mirror, f"reports/{moment}"):
            continue
        content = await read_blob(mirror, await exchange.bring(mirror, f"reports/{moment}"))
        await asyncio.to_thread(write_whole, means.folder(session_id).test_report(moment), content)


async def bring_commit(means: Means, session_id: SessionId, opened: Opened, commit: str, name: str) -> None:
    """A commit that may have been made in another home, for work in this one."""
    exchange, mirror = exchange_of(means, session_id), Path(opened.mirror)
    if exchange is not None and not await has_object(mirror, commit):
        await exchange.bring(mirror, name)


async def offer_wave(means: Means, session_id: SessionId, opened: Opened, tip: str) -> None:
    """What others need to work on items upon ``tip``: the commits, and how the tests were before."""
    exchange, mirror = exchange_of(means, session_id), Path(opened.mirror)
    if exchange is None:
        return
    objects = {f"tips/{commit}": commit for commit in (opened.base, tip)}
    for moment in (Moment.BEFORE, Moment.MEASURED):
        if await has_report(means, session_id, moment):
            content = await asyncio.to_thread(means.folder(session_id).test_report(moment).read_bytes)
            objects[f"reports/{moment}"] = await store_blob(mirror, content)
    await exchange.offer(mirror, objects)


async def hand_over(means: Means, session_id: SessionId, opened: Opened, name: str, commit: str) -> None:
    """A change that was made here, for the home that lands it."""
    if exchange := exchange_of(means, session_id):
        await exchange.offer(Path(opened.mirror), {name: commit})


async def forget_exchange(means: Means, session_id: SessionId, opened: Opened) -> None:
    """The session has ended: nobody needs anything of it any more."""
    if exchange := exchange_of(means, session_id):
        await exchange.forget(Path(opened.mirror))
