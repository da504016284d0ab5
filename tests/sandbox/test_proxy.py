"""The proxy by itself, spoken to over a real socket: what it takes, what it passes on, what it refuses."""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain.errors import Unavailable
from bullpen.sandbox.hosts import Address, Host
from bullpen.sandbox.proxy import Proxy, proxy_variables, resolve_name

pytestmark = pytest.mark.req("BOX-02")


class Upstream:
    """A server that keeps what it was sent and answers ``answer``, or gives everything back if there is none."""

    def __init__(self, answer: bytes = b"") -> None:
        self.answer, self.heard = answer, b""

    async def __aenter__(self) -> "Upstream":
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard = await reader.readuntil(b"\r\n\r\n") if self.answer else b""
        writer.write(self.answer or await reader.read(-1))
        writer.close()

    @property
    def host(self) -> Host:
        return Host("127.0.0.1", self.port)


class Names:
    """Answers every name with the next of these lists of addresses, and counts."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers, self.asked, self.called = list(answers), 0, asyncio.Event()

    async def __call__(self, name: str) -> Sequence[Address]:
        self.asked += 1
        self.called.set()
        return [ipaddress.ip_address(one) for one in self._answers.pop(0)]


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream(b"HTTP/1.1 204 No Content\r\n\r\n") as server:
        yield server


async def say(proxy: Proxy, words: bytes, more: bytes = b"") -> bytes:
    """Everything the proxy answers to one connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    await proxy.serve(listener)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(words + more)
    writer.write_eof()
    answer = await reader.read(-1)
    writer.close()
    await proxy.close()
    return answer


async def test_a_plain_request_is_passed_on_as_an_origin_wants_it(upstream: Upstream) -> None:
    head = (
        f"GET http://127.0.0.1:{upstream.port}/a?b=c HTTP/1.1\r\nHost: other.example\r\nX-Kept: yes\r\n"
        "Proxy-Authorization: Basic eDp5\r\nConnection: keep-alive\r\n\r\n"
    )
    assert await say(Proxy([upstream.host]), head.encode()) == upstream.answer
    lines = upstream.heard.decode().split("\r\n")
    assert lines[0] == "GET /a?b=c HTTP/1.1"
    assert lines[1:-2] == [f"Host: 127.0.0.1:{upstream.port}", "Connection: close", "X-Kept: yes"]


async def test_bodies_of_any_size_go_both_ways() -> None:
    body = bytes(range(256)) * 8192
    async with Upstream() as server:
        head = f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n\r\n".encode()
        answer = await say(Proxy([server.host]), head, body)
    assert answer == b"HTTP/1.1 200 Connection established\r\n\r\n" + body


@pytest.mark.parametrize(
    "line",
    [
        "GET / HTTP/1.1",
        "GET https://a.example/ HTTP/1.1",
        "GET http:///x HTTP/1.1",
        "GET http://u:p@a.example/ HTTP/1.1",
        "CONNECT a.example HTTP/1.1",
        "CONNECT a.example:99999 HTTP/1.1",
        "CONNECT 127.1:80 HTTP/1.1",
        "CONNECT a.example:443",
        "GET  http://a.example/ HTTP/1.1",
        "GET http://a.example/ SPDY/3",
        "\0\x16\x03",
        "",
    ],
)
async def test_what_is_no_request_to_a_proxy_is_refused(line: str) -> None:
    proxy = Proxy([Host("a.example", 80)], Names())
    answer = await say(proxy, f"{line}\r\nHost: a.example\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert proxy.refused == ()


@given(words=st.binary(max_size=300))
def test_any_bytes_are_answered_or_hung_up_on(words: bytes) -> None:
    answer = asyncio.run(say(Proxy([Host("a.example", 80)], Names()), words, b"\r\n\r\n"))
    assert answer[:13] in {b"HTTP/1.1 400 ", b"HTTP/1.1 403 ", b""}


async def test_a_head_without_end_is_refused() -> None:
    assert (await say(Proxy([]), b"GET http://a.example/" + b"a" * 200_000)).startswith(b"HTTP/1.1 429 ")


async def test_hanging_up_early_harms_nobody() -> None:
    assert await say(Proxy([]), b"CONN") == b""


async def test_names_are_compared_in_one_spelling() -> None:
    proxy = Proxy([Host("a.example", 443)], Names([], []))
    answer = await say(proxy, b"CONNECT A.Example.:443 HTTP/1.1\r\n\r\n")
    assert b"not among the allowed" not in answer


@pytest.mark.req("BOX-04")
@pytest.mark.parametrize(
    "found", [["127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["169.254.169.254", "10.0.0.1"]]
)
async def test_a_name_may_not_lead_inside(upstream: Upstream, found: list[str]) -> None:
    proxy = Proxy([Host("evil.example", upstream.port)], Names(found))
    answer = await say(proxy, f"CONNECT evil.example:{upstream.port} HTTP/1.1\r\n\r\n".encode())
    assert b"leads to a private address" in answer.split(b"\r\n")[0]
    assert proxy.refused == (f"evil.example:{upstream.port}",)


@pytest.mark.req("BOX-04")
async def test_a_name_is_resolved_once_so_its_second_answer_counts_for_nothing(upstream: Upstream) -> None:
    """Rebinding: first a public address, to pass the check, then ours. Nothing answers at the first from here."""
    names = Names(["64:ff9b::808:808"], ["127.0.0.1"])
    proxy = Proxy([Host("evil.example", upstream.port)], names)
    task = asyncio.create_task(
        say(proxy, f"GET http://evil.example:{upstream.port}/ HTTP/1.1\r\n\r\n".encode())
    )
    await names.called.wait()
    task.cancel()
    await proxy.close()
    assert names.asked == 1
    assert upstream.heard == b""


async def test_where_nobody_listens_that_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    answer = await say(
        Proxy([Host("127.0.0.1", port)]), f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode()
    )
    assert answer.startswith(f"HTTP/1.1 503 127.0.0.1:{port} cannot be reached".encode())


async def test_a_name_nobody_has_is_said_to_have_no_address() -> None:
    with pytest.raises(Unavailable, match=r"no-such-name\.invalid"):
        await resolve_name("no-such-name.invalid")


async def test_no_more_than_a_hundred_refusals_are_kept() -> None:
    proxy = Proxy([])
    for number in range(105):
        await say(proxy, f"CONNECT h{number}.example:80 HTTP/1.1\r\n\r\n".encode())
        await say(proxy, b"CONNECT h0.example:80 HTTP/1.1\r\n\r\n")
    assert len(proxy.refused) == 100


def test_what_a_command_serves_to_itself_goes_past_the_proxy() -> None:
    assert proxy_variables(()) == {}
    assert proxy_variables(("example.org:443",))["NO_PROXY"] == "localhost,127.0.0.1,::1"
    assert proxy_variables(("127.0.0.1:80",))["no_proxy"] == "localhost,::1"
