"""The credential broker: a program in the sandbox calls its model, and never holds the key.

Inside, the program gets a token that is worth nothing elsewhere and an address on its own loopback. The relay passes
what it sends to a socket that is mounted for it; out here the token is replaced by the key, and the request goes to the
one address it was opened for, and nowhere else.
"""

import asyncio
import contextlib
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
from aiohttp import web
from yarl import URL

from bullpen.agents import relay
from bullpen.domain.errors import InvalidInput
from bullpen.sandbox.base import Command, Mount
from bullpen.sandbox.linux.rootfs import USER

PORT = 8411  # of the sandbox's own loopback, so nobody else can have it
INSIDE = f"http://127.0.0.1:{PORT}"
_FOLDER = "/opt/bullpen"
FILES = f"{_FOLDER}/door"  # where files put at the door are in the sandbox
_LARGEST_REQUEST = 64 * 1024 * 1024
_MOST_REQUESTS = 10_000  # of one run
_KEY_HEADERS = ("authorization", "x-api-key", "x-goog-api-key", "api-key")
_HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
    "upgrade", "host", "content-length", "cookie", "set-cookie", "forwarded", "x-forwarded-for",
})  # fmt: skip
_SILENCE_SECONDS = 600.0  # of a model that is asked


@dataclass(slots=True)
class Door:
    """An open broker. ``token`` is what the program inside takes for its key."""

    folder: Path
    token: str
    requests: int = 0
    refused: int = 0

    def put(self, name: str, content: bytes) -> None:
        """Put a file at the door: the program finds it in ``FILES``."""
        (self.folder / name).write_bytes(content)

    def through(self, command: Command) -> Command:
        """The same command, with the broker behind a port of its loopback."""
        python, mounts = _interpreter()
        return replace(
            command,
            argv=(python, "-I", f"{_FOLDER}/relay.py", f"{FILES}/socket", str(PORT), *command.argv),
            mounts=(
                *command.mounts,
                *mounts,
                Mount(Path(relay.__file__), f"{_FOLDER}/relay.py"),
                Mount(self.folder, FILES),
            ),
        )


@asynccontextmanager
async def open_broker(upstream: str, secret: str) -> AsyncGenerator[Door]:
    """Pass requests on to ``upstream`` (scheme, host, and perhaps a path before theirs) with ``secret`` as their key.

    Raises:
        InvalidInput: ``upstream`` is not an address of http or https.
    """
    base = URL(upstream)
    if base.scheme not in ("http", "https") or not base.host or base.user or base.query_string:
        raise InvalidInput(f"{upstream!r} is not an address of a model's interface.")
    top = Path(tempfile.mkdtemp(prefix="bullpen-broker-"))
    try:
        door = Door(_folder(top), f"bullpen-{secrets.token_urlsafe(32)}")
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=_SILENCE_SECONDS)
        async with (
            aiohttp.ClientSession(
                timeout=timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
            ) as session,
            _served(_Broker(base, secret, door, session), door.folder / "socket"),
        ):
            yield door
    finally:
        await asyncio.to_thread(shutil.rmtree, top, ignore_errors=True)


@asynccontextmanager
async def _served(broker: "_Broker", socket: Path) -> AsyncGenerator[None]:
    application = web.Application(client_max_size=_LARGEST_REQUEST)
    application.router.add_route("*", "/{path:.*}", broker.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.UnixSite(runner, str(socket)).start()
        os.chmod(socket, 0o666)  # noqa: S103, PTH101 - its folder is closed
        yield
    finally:
        await runner.cleanup()


@dataclass(slots=True)
class _Broker:
    base: URL
    secret: str = field(repr=False)
    door: Door
    session: aiohttp.ClientSession

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Check, pass on, stream back."""
        self.door.requests += 1
        headers = self._headers(request.headers)
        climbs = ".." in request.rel_url.path.split("/")
        if headers is None or climbs or self.door.requests > _MOST_REQUESTS:
            self.door.refused += 1
            return web.json_response({"error": {"message": "Refused by Bullpen's broker."}}, status=403)
        body = request.content if request.can_read_body else None
        try:
            async with self.session.request(
                request.method, self._target(request), headers=headers, data=body, allow_redirects=False
            ) as answer:
                return await self._back(request, answer)
        except (aiohttp.ClientConnectionError, TimeoutError):
            said = {"error": {"message": f"{self.base.host} cannot be reached."}}
            return web.json_response(said, status=502)

    def _headers(self, given: Mapping[str, str]) -> dict[str, str] | None:
        """The headers with the key in the token's place; None where the token is missing."""
        kept = {name: value for name, value in given.items() if name.lower() not in _HOP_BY_HOP}
        known = False
        for name, value in kept.items():
            if name.lower() in _KEY_HEADERS and self.door.token in value:
                kept[name] = value.replace(self.door.token, self.secret)
                known = True
        return kept if known else None

    def _target(self, request: web.Request) -> URL:
        """Their path after ours. What they write as a host never counts: only the path is read."""
        asked = request.rel_url
        query = f"?{asked.raw_query_string}" if asked.raw_query_string else ""
        return URL(
            f"{self.base.origin()}{self.base.raw_path.rstrip('/')}{asked.raw_path}{query}", encoded=True
        )

    async def _back(self, request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, reason=answer.reason)
        for name, value in answer.headers.items():
            if name.lower() not in _HOP_BY_HOP:
                response.headers[name] = value
        await response.prepare(request)
        with contextlib.suppress(ConnectionResetError):  # it hung up
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
        return response


def _folder(top: Path) -> Path:
    """A folder for the socket that only we, and the sandbox's user, can reach."""
    folder = top / "door"
    folder.mkdir()
    folder.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(top, USER, USER)
    return folder


def _interpreter() -> tuple[str, tuple[Mount, ...]]:
    """A Python for the relay, as the sandbox sees it: the one that runs us, mounted where it is if need be."""
    python = Path(sys.executable).resolve()
    if python.is_relative_to("/usr"):
        return str(python), ()
    home = Path(sys.base_prefix).resolve()
    return str(python), (Mount(home, str(home)),)
