"""The credential broker: a program in the sandbox, a real server outside, and the key between them."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from tests.agents.remote_server import serving

from bullpen.agents.broker import Door, open_broker
from bullpen.domain.errors import InvalidInput
from bullpen.sandbox.base import Command, Limits, Outcome, Sandbox

KEY = "sk-real-key-0123456789abcdef"
LIMITS = Limits(wall_seconds=60)
ASK = """
import sys, urllib.request, urllib.error
address, header, value, body = sys.argv[1:5]
request = urllib.request.Request(address, data=body.encode() or None, headers={header: value})
try:
    with urllib.request.urlopen(request, timeout=20) as answer:
        print(answer.status, answer.read().decode())
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode())
except OSError as error:
    print("unreachable", error)
"""


class Upstream:
    """Remembers what reached it."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.asked.append((request.method, request.path_qs, dict(request.headers), body))
        if request.path.endswith("/away"):
            return web.Response(status=302, headers={"Location": "http://169.254.169.254/"})
        response = web.StreamResponse(headers={"Set-Cookie": "a=b"})
        await response.prepare(request)
        for part in (b"one ", b"two ", b"three"):
            await response.write(part)
        await response.write_eof()
        return response


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    server = Upstream()
    async with serving(server.answer) as url:
        server.url = url
        yield server


async def ask(
    sandbox: Sandbox,
    door: Door,
    path: str = "/v1/x?q=1",
    header: str = "Authorization",
    value: str = "",
    body: str = "",
) -> Outcome:
    words = (
        "python3",
        "-c",
        ASK,
        f"http://127.0.0.1:8411{path}",
        header,
        value or f"Bearer {door.token}",
        body,
    )
    return await sandbox.run(door.through(Command(words, limits=LIMITS)))


@pytest.mark.needs("bubblewrap")
async def test_the_key_takes_the_place_of_the_token_outside(sandbox: Sandbox, upstream: Upstream) -> None:
    async with open_broker(upstream.url + "gateway/", KEY) as door:
        outcome = await ask(sandbox, door, body="question")
        other = await ask(sandbox, door, header="x-api-key", value=door.token)
    assert outcome.stdout == b"200 one two three\n", outcome
    assert other.stdout == b"200 one two three\n"
    method, path, headers, body = upstream.asked[0]
    assert (method, path, body) == ("POST", "/gateway/v1/x?q=1", b"question")
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert upstream.asked[1][2]["X-Api-Key"] == KEY
    assert door.token not in str(upstream.asked)


@pytest.mark.needs("bubblewrap")
async def test_without_the_token_nothing_passes(sandbox: Sandbox, upstream: Upstream) -> None:
    async with open_broker(upstream.url, KEY) as door:
        for header, value in (("Authorization", "Bearer other"), ("X-Other", door.token)):
            outcome = await ask(sandbox, door, header=header, value=value)
            assert outcome.stdout.startswith(b"403 ")
        climbing = await ask(sandbox, door, path="/v1/%2e%2e/admin")
        assert climbing.stdout.startswith(b"403 ")
    assert upstream.asked == []
    assert (door.requests, door.refused) == (3, 3)


@pytest.mark.needs("bubblewrap")
async def test_it_leads_to_one_address_only(sandbox: Sandbox, upstream: Upstream) -> None:
    """Neither another host in the request, nor a redirect, nor the network itself leads elsewhere."""
    async with open_broker(upstream.url, KEY) as door:
        script = (
            "import socket\ns = socket.create_connection(('127.0.0.1', 8411))\n"
            "s.sendall(b'GET http://169.254.169.254/latest HTTP/1.1\\r\\nHost: evil.example\\r\\n"
            f"Authorization: Bearer {door.token}\\r\\nConnection: close\\r\\n\\r\\n')\n"
            "print(s.makefile('rb').readline())\n"
            f"port = {upstream.url.rstrip('/').rpartition(':')[2]}\n"
            "try: socket.create_connection(('127.0.0.1', port), 2); print('reached')\n"
            "except OSError: print('no way')\n"
        )
        outcome = await sandbox.run(door.through(Command(("python3", "-c", script), limits=LIMITS)))
        away = await ask(sandbox, door, path="/away")
    assert outcome.stdout.splitlines() == [b"b'HTTP/1.1 200 OK\\r\\n'", b"no way"]
    assert upstream.asked[0][1] == "/latest"
    assert upstream.asked[0][2]["Host"] in upstream.url
    assert len(upstream.asked) == 2
    assert b"unreachable" in away.stdout or away.stdout.startswith((b"302", b"403"))


@pytest.mark.needs("bubblewrap")
async def test_a_server_that_is_away_is_said(sandbox: Sandbox) -> None:
    async with open_broker("http://127.0.0.1:9/", KEY) as door:
        outcome = await ask(sandbox, door)
    assert outcome.stdout == b'502 {"error": {"message": "127.0.0.1 cannot be reached."}}\n'


@pytest.mark.needs("bubblewrap")
@pytest.mark.parametrize(("script", "status"), [("exit 7", 7), ("kill -TERM $$", None), ("cat", 0)])
async def test_the_program_behind_the_relay_ends_as_it_ends(
    sandbox: Sandbox, script: str, status: int | None
) -> None:
    async with open_broker("http://127.0.0.1:9/", KEY) as door:
        command = Command(("sh", "-c", script), stdin=b"passed on", limits=LIMITS)
        outcome = await sandbox.run(door.through(command))
    assert outcome.exit_status == status
    assert outcome.stdout == (b"passed on" if script == "cat" else b"")


async def test_the_socket_goes_with_the_run(upstream: Upstream) -> None:
    async with open_broker(upstream.url, KEY) as door:
        folder = door.folder
        connector = aiohttp.UnixConnector(str(folder / "socket"))
        async with aiohttp.ClientSession(connector=connector) as session:
            answer = await session.get("http://x/", headers={"Authorization": f"Bearer {door.token}"})
            assert (answer.status, answer.headers.get("Set-Cookie")) == (200, None)
    assert not Path(folder).parent.exists()


@pytest.mark.parametrize(
    "address", ["ftp://host/", "//host", "http://", "http://user:key@host/", "http://host/?q=1"]
)
async def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput, match="not an address"):
        async with open_broker(address, KEY):
            raise AssertionError
