"""A real remote agent and a real door for its answers, both HTTP servers of the loopback."""

import hashlib
import hmac
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from bullpen.agents.callbacks import Callbacks
from bullpen.domain.errors import BullpenError

KEY = b"k" * 32
Behaviour = Callable[["RemoteAgent", Mapping[str, Any]], Awaitable[web.Response]]


@dataclass
class RemoteAgent:
    """``heard`` is what it was sent, ``answers`` the status of each of its callbacks."""

    behaviour: Behaviour
    url: str = ""
    heard: list[Mapping[str, Any]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.Response(status=405)
        body = await request.read()
        seal = hmac.new(KEY, body, hashlib.sha256).hexdigest()
        assert request.headers["X-Bullpen-Signature"] == f"sha256={seal}"
        message = json.loads(body)
        self.heard.append(message)
        self.headers.append(dict(request.headers))
        if message["type"] == "cancel":
            return web.Response(status=204)
        return await self.behaviour(self, message)

    async def call_back(self, task: Mapping[str, Any], message: Any, token: str | None = None) -> int:
        """The status the door answers with."""
        headers = {"Authorization": f"Bearer {token or task['callback']['token']}"}
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        async with (
            aiohttp.ClientSession() as session,
            session.post(task["callback"]["url"], data=body, headers=headers) as answer,
        ):
            self.answers.append(answer.status)
            return answer.status


@asynccontextmanager
async def serving(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncGenerator[str]:
    """The address of a server on a free port of the loopback."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def door() -> AsyncGenerator[Callbacks]:
    """Callbacks behind a real address, as the API will have them."""
    callbacks = Callbacks(KEY, "")

    async def accept(request: web.Request) -> web.Response:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        try:
            callbacks.accept(token, await request.read())
        except BullpenError as error:
            return web.json_response({"error": error.sentence}, status=error.status)
        return web.Response(status=204)

    async with serving(accept) as url:
        callbacks.url = url
        yield callbacks


@asynccontextmanager
async def remote_agent(behaviour: Behaviour) -> AsyncGenerator[RemoteAgent]:
    """A remote agent that behaves so."""
    agent = RemoteAgent(behaviour)
    async with serving(agent.take) as url:
        agent.url = url
        yield agent
