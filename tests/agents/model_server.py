"""A local server that speaks the wire protocols of three makers of models, with one scripted reply each.

The first request of a run is answered with one tool call where a ``tool`` is set, every other with ``text``.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class ModelServer:
    """``keys`` are the keys it was called with, ``bodies`` what it was asked."""

    url: str = ""
    text: str = "All is done."
    keys: list[str] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        headers = request.headers
        key = headers.get("x-api-key") or headers.get("x-goog-api-key") or headers.get("authorization", "")
        self.keys.append(key)
        self.paths.append(request.path_qs)
        self.bodies.append(await request.json() if request.can_read_body else None)
        if request.path.endswith("/responses"):
            return await _stream(request, [(one["type"], one) for one in self._responses()])
        if request.path.endswith("/chat/completions"):
            return await _stream(request, [("", one) for one in self._chat()], done=True)
        if request.path.endswith("/messages"):
            return await _stream(request, [(one["type"], one) for one in self._messages()])
        if "GenerateContent" in request.path or "generateContent" in request.path:
            if "stream" in request.path:
                return await _stream(request, [("", self._candidate())])
            return web.json_response(self._candidate())
        return web.json_response({"error": {"message": f"no such thing: {request.path}"}}, status=404)

    def _responses(self) -> list[dict[str, Any]]:
        item = {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": self.text, "annotations": []}],
        }
        usage = {
            "input_tokens": 100,
            "input_tokens_details": {"cached_tokens": 40},
            "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 107,
        }
        response = {
            "id": "resp_1",
            "object": "response",
            "status": "completed",
            "output": [item],
            "usage": usage,
        }
        return [
            {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": response},
        ]

    def _chat(self) -> list[dict[str, Any]]:
        start = {"id": "chat_1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        delta = {"role": "assistant", "content": self.text}
        usage = {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107}
        return [
            {**start, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
            {**start, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage},
        ]

    def _candidate(self) -> dict[str, Any]:
        content = {"role": "model", "parts": [{"text": self.text}]}
        usage = {"promptTokenCount": 100, "candidatesTokenCount": 7, "totalTokenCount": 107}
        return {
            "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
            "usageMetadata": usage,
            "modelVersion": "m",
        }

    def _messages(self) -> list[dict[str, Any]]:
        usage = {"input_tokens": 100, "output_tokens": 1}
        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [],
            "usage": usage,
        }
        return [
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": self.text}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}},
            {"type": "message_stop"},
        ]


async def _stream(
    request: web.Request, events: list[tuple[str, Mapping[str, Any]]], *, done: bool = False
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for name, data in events:
        head = f"event: {name}\n" if name else ""
        await response.write(f"{head}data: {json.dumps(data)}\n\n".encode())
    if done:
        await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


@asynccontextmanager
async def model_server() -> AsyncGenerator[ModelServer]:
    """The server, on a free port of the loopback."""
    server = ModelServer()
    application = web.Application(client_max_size=1 << 26)
    application.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
        yield server
    finally:
        await runner.cleanup()
