"""Remote agents over real HTTP, both sides: answers at once and later, and every answer that must be refused."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from tests.agents.remote_server import KEY, Behaviour, RemoteAgent, door, remote_agent

from bullpen.agents.base import AgentResult, AgentTask, Ending
from bullpen.agents.callbacks import Callbacks
from bullpen.agents.discovery import Registration
from bullpen.agents.kinds.remote import Remote
from bullpen.agents.manifest import AgentLimits, Manifest
from bullpen.agents.means import Means
from bullpen.domain.errors import InvalidInput, Missing, NotFound, PermissionRefused
from bullpen.domain.events.agent import NoteTaken
from bullpen.domain.ids import TaskId
from bullpen.tools.base import ToolContext

TASK = AgentTask(TaskId("task-1"), "Look at it.")
DONE = {"type": "result", "outcome": "done", "summary": "looked", "data": {"grade": "good"}}


def agent_at(
    url: str, callbacks: Callbacks | None, context: ToolContext, limits: AgentLimits | None = None
) -> Remote:
    manifest = Manifest(
        "far", "1.0.0", "Works elsewhere.", "remote", url=url, limits=limits or AgentLimits(seconds=20)
    )
    return Remote(Registration(manifest, context.workspace, "", "0"), Means(callbacks=callbacks), backoff=0.0)


async def run(
    context: ToolContext, behaviour: Behaviour, limits: AgentLimits | None = None
) -> tuple[AgentResult, RemoteAgent]:
    async with door() as callbacks, remote_agent(behaviour) as remote:
        agent = agent_at(remote.url, callbacks, context, limits)
        await agent.initialize()
        result = await agent.process(TASK, context)
        await agent.cleanup()
        return result, remote


@pytest.mark.req("AGT-04")
async def test_it_answers_later(context: ToolContext) -> None:
    tasks: list[asyncio.Task[int]] = []

    async def later(remote: RemoteAgent, task: Mapping[str, Any]) -> web.Response:
        async def work() -> int:
            await remote.call_back(task, {"type": "progress", "text": "looking"})
            await remote.call_back(
                task, {"type": "usage", "input_tokens": 5, "output_tokens": 1, "cost_usd": "0.02"}
            )
            return await remote.call_back(task, DONE)

        tasks.append(asyncio.create_task(work()))
        return web.Response(status=202)

    result, remote = await run(context, later)
    assert (result.done, result.summary, result.data) == (True, "looked", {"grade": "good"})
    assert (result.used.input_tokens, str(result.used.cost)) == (5, "$0.02")
    assert [event.text for event in context.journal.events if isinstance(event, NoteTaken)] == ["looking"]
    assert remote.heard[0]["text"] == "Look at it."
    assert remote.headers[0]["Idempotency-Key"] == remote.heard[0]["call"]


async def test_it_answers_at_once(context: ToolContext) -> None:
    async def now(_: RemoteAgent, task: Mapping[str, Any]) -> web.Response:
        return web.json_response(DONE)

    assert (await run(context, now))[0].done


@pytest.mark.parametrize("status", [503, 429, 500])
async def test_a_busy_server_is_asked_again_with_the_same_key(context: ToolContext, status: int) -> None:
    async def busy(remote: RemoteAgent, task: Mapping[str, Any]) -> web.Response:
        return web.Response(status=status) if len(remote.heard) < 3 else web.json_response(DONE)

    result, remote = await run(context, busy)
    assert result.done
    assert len({headers["Idempotency-Key"] for headers in remote.headers}) == 1
    assert len(remote.heard) == 3


async def test_a_server_that_stays_away_is_given_up(context: ToolContext) -> None:
    async with door() as callbacks:
        agent = agent_at("http://127.0.0.1:9/", callbacks, context)
        result = await agent.process(TASK, context)
    assert (result.ending, result.outcome) == (Ending.FAILED, "")
    assert result.seen.startswith("Its server cannot be reached (ClientConnectorError), 5 times.")


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        (web.Response(status=404), "Its server refused the task with status 404."),
        (web.Response(status=302, headers={"Location": "http://127.0.0.1:9/"}), "Its server refused the task with status 302."),
        (web.Response(body=b"\xff\xfe"), "Its answer is not JSON."),
        (web.Response(text="[1]"), "Its answer is not a JSON object."),
        (web.Response(text='{"type":"result"}'), "A result needs an outcome: done, failed or no-approach."),
        (web.Response(text='{"type":"error","message":"broken"}'), "It gave up: broken"),
    ],
)  # fmt: skip
async def test_what_cannot_be_an_answer_ends_the_run(
    context: ToolContext, answer: web.Response, seen: str
) -> None:
    async def odd(_: RemoteAgent, task: Mapping[str, Any]) -> web.Response:
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    result, _ = await run(context, odd)
    assert (result.ending, result.seen) == (Ending.FAILED, seen)


@pytest.mark.req("AGT-07")
async def test_one_that_never_answers_is_told_and_its_late_answer_refused(context: ToolContext) -> None:
    async def silent(_: RemoteAgent, task: Mapping[str, Any]) -> web.Response:
        return web.Response(status=202)

    async with door() as callbacks, remote_agent(silent) as remote:
        agent = agent_at(remote.url, callbacks, context, AgentLimits(seconds=1))
        result = await agent.process(TASK, context)
        late = await remote.call_back(remote.heard[0], DONE)
    assert (result.ending, result.seen) == (Ending.LIMIT, "The time of 1 s was used up.")
    assert [message["type"] for message in remote.heard] == ["task", "cancel"]
    assert late in (403, 404)


async def test_forged_garbled_and_second_answers_are_refused(context: ToolContext) -> None:
    tasks: list[asyncio.Task[None]] = []

    async def many(remote: RemoteAgent, task: Mapping[str, Any]) -> web.Response:
        async def work() -> None:
            token: str = task["callback"]["token"]
            payload, seal = token.split(".")
            flipped = ("A" if seal[0] != "A" else "B") + seal[1:]
            for forged in (f"{payload}.{flipped}", payload, f"{payload}.", f"{token}.x", "é.é", "x" * 5000):
                await remote.call_back(task, DONE, forged.encode().decode("latin-1"))
            await remote.call_back(task, b"\xff not json")
            await remote.call_back(task, b"[]")
            await remote.call_back(task, b"x" * (1 << 21))
            await remote.call_back(task, DONE)
            await remote.call_back(task, {**DONE, "summary": "again"})

        tasks.append(asyncio.create_task(work()))
        return web.Response(status=202)

    async with door() as callbacks, remote_agent(many) as remote:
        result = await agent_at(remote.url, callbacks, context).process(TASK, context)
        await tasks[0]
    assert result.summary == "looked"
    assert remote.answers[:6] == [403] * 6
    assert remote.answers[6:8] == [400, 400]
    assert remote.answers[8] in (413, 429)
    assert remote.answers[9] == 204
    assert remote.answers[10] in (404, 409)


async def test_silence_is_taken_for_death(context: ToolContext) -> None:
    async def silent(_: RemoteAgent, task: Mapping[str, Any]) -> web.Response:
        return web.Response(status=202)

    result, _ = await run(context, silent, AgentLimits(seconds=20, quiet_seconds=0.2))
    assert result.seen == "It said nothing for 0.2 s."


async def test_without_a_door_it_is_not_made_ready(context: ToolContext) -> None:
    with pytest.raises(Missing, match="receive the answers"):
        await agent_at("http://127.0.0.1:9/", None, context).initialize()


def test_a_token_is_worth_nothing_after_its_time() -> None:
    time = [1000.0]
    callbacks = Callbacks(KEY, "http://here", clock=lambda: time[0])
    with callbacks.call(10) as call:
        time[0] = 1010.5
        with pytest.raises(PermissionRefused, match="time for this answer is over"):
            callbacks.accept(call.token, b"{}")
        time[0] = 1009.5
        callbacks.accept(call.token, b"{}")
    with pytest.raises(NotFound):
        callbacks.accept(call.token, b"{}")


def test_a_short_key_is_refused() -> None:
    with pytest.raises(InvalidInput, match="at least 32 bytes"):
        Callbacks(b"short", "http://here")


@given(st.text(max_size=200))
def test_no_text_opens_a_door(token: str) -> None:
    callbacks = Callbacks(KEY, "http://here")
    with callbacks.call(60) as call:
        assert token != call.token
        with pytest.raises(PermissionRefused):
            callbacks.accept(token, b"{}")
