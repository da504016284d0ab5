"""The way out for a command that may reach some hosts: an HTTP proxy (RFC 9110, 9112) that runs outside of the sandbox.

It tunnels (``CONNECT``) and passes plain HTTP on, to the allowed hosts only. It resolves names itself, once per
connection, and connects to the very address it has checked; so a name whose answer changes leads nowhere new.
"""

import asyncio
import contextlib
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from bullpen.domain.errors import BullpenError, InvalidInput, LimitExceeded, PermissionRefused, Unavailable
from bullpen.sandbox.hosts import Address, Host, is_public, parse_host

PROXY_PORT = 3128
Resolve = Callable[[str], Awaitable[Sequence[Address]]]

_LONGEST_HEAD = 65_536
_MOST_CONNECTIONS = 64
_MOST_REFUSED = 100
_CONNECT_SECONDS = 15.0
_CHUNK = 65_536
_HEAR_OUT_CHUNKS, _HEAR_OUT_SECONDS = 64, 5.0
_HTTP_PORT = 80
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_TARGET = re.compile(rb"http://([^/?#@\s]+)([/?][^\s#]*)?", re.IGNORECASE)
_OWN_HEADERS = (
    b"connection",
    b"proxy-connection",
    b"proxy-authorization",
    b"keep-alive",
    b"host",
    b"upgrade",
)


@dataclass(frozen=True, slots=True)
class _Request:
    """Where a client wants to get, and what to send there first; nothing for a tunnel."""

    host: Host
    head: bytes


class Proxy:
    """Serves one sandbox. ``refused`` are the hosts it was asked for in vain, as ``name:port``."""

    def __init__(self, allowed: Iterable[Host], resolve: Resolve | None = None) -> None:
        self._allowed = frozenset(allowed)
        self._resolve = resolve or resolve_name
        self._refused: dict[str, None] = {}
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    @property
    def refused(self) -> tuple[str, ...]:
        """In the order of asking, each once, at most a hundred."""
        return tuple(self._refused)

    async def serve(self, listener: socket.socket) -> None:
        """Answer on this listening socket until ``close``; it is closed then."""
        self._server = await asyncio.start_server(self._accept, sock=listener, limit=_LONGEST_HEAD)

    async def close(self) -> None:
        """End all connections."""
        if self._server:
            self._server.close()
        for task in self._talks:
            task.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._talks) >= _MOST_CONNECTIONS:
            writer.close()
            return
        task = asyncio.create_task(self._talk(reader, writer))
        self._talks.add(task)
        task.add_done_callback(self._talks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with _closing(writer):
            try:
                request, (upstream, out) = await self._open(reader)
            except (asyncio.IncompleteReadError, ConnectionError):  # it hung up without asking
                return
            except BullpenError as error:
                await _say(writer, error.status, error.sentence)
                await _hear_out(reader)
                return
            with _closing(out):
                if request.head:
                    out.write(request.head)
                else:
                    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await _join((reader, out), (upstream, writer))

    async def _open(
        self, reader: asyncio.StreamReader
    ) -> tuple[_Request, tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """The request and a connection to where it wants to get."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError as error:
            raise LimitExceeded("The head of the request is too long.") from error
        request = _parse(head)
        return request, await _connect(request.host, await self._addresses(request.host))

    async def _addresses(self, host: Host) -> Sequence[Address]:
        """Addresses of the host that may be reached; an address that is named itself may be any."""
        if host not in self._allowed:
            allowed = ", ".join(sorted(map(str, self._allowed)))
            raise self._refusal(host, f"is not among the allowed hosts ({allowed}).")
        if host.address:
            return [host.address]
        found = [one for one in await self._resolve(host.name) if is_public(one)]
        if not found:
            raise self._refusal(host, "leads to a private address, which must be allowed as such.")
        return found

    def _refusal(self, host: Host, why: str) -> PermissionRefused:
        if len(self._refused) < _MOST_REFUSED:
            self._refused[str(host)] = None
        return PermissionRefused(f"Bullpen's sandbox: {host} {why}")


def proxy_variables(hosts: Iterable[str]) -> dict[str, str]:
    """What programs read to find the proxy; nothing where no host is allowed. What a command serves to itself goes past it."""
    named = {parse_host(host).name for host in hosts}
    if not named:
        return {}
    address = f"http://127.0.0.1:{PROXY_PORT}"
    variables = {
        "HTTP_PROXY": address,
        "HTTPS_PROXY": address,
        "NO_PROXY": ",".join(name for name in _LOOPBACK if name not in named),
    }
    return variables | {name.lower(): value for name, value in variables.items()}


async def resolve_name(name: str) -> Sequence[Address]:
    """Addresses of a name.

    Raises:
        Unavailable: it has none.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Unavailable(f"The name {name} cannot be resolved ({error.strerror}).") from error
    return [ipaddress.ip_address(str(place[0]).partition("%")[0]) for *_, place in found]


def _parse(head: bytes) -> _Request:
    line, *headers = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    words = line.split(b" ")
    if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        raise InvalidInput("This is not a request to an HTTP proxy.")
    method, target, _ = words
    if method == b"CONNECT":
        return _Request(parse_host(target.decode("latin-1")), b"")
    found = _TARGET.fullmatch(target)
    if found is None:
        raise InvalidInput("A proxy is asked for an http:// address, or to CONNECT.")
    authority = found[1].decode("latin-1")
    host = parse_host(authority if re.search(r":\d+$", authority) else f"{authority}:{_HTTP_PORT}")
    path = found[2] or b"/"
    path = path if path.startswith(b"/") else b"/" + path
    kept = [one for one in headers if one.partition(b":")[0].strip().lower() not in _OWN_HEADERS]
    # One request per connection: a further one might be for another host.
    own = [b"Host: " + found[1], b"Connection: close"]
    return _Request(host, b"\r\n".join([b" ".join([method, path, b"HTTP/1.1"]), *own, *kept, b"", b""]))


async def _connect(
    host: Host, addresses: Sequence[Address]
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reasons: list[str] = []
    for address in addresses:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                return await asyncio.open_connection(str(address), host.port)
        except OSError as error:  # the deadline's TimeoutError among them
            reasons.append(error.strerror or "no answer")
    raise Unavailable(f"{host} cannot be reached ({', '.join(dict.fromkeys(reasons))}).")


async def _join(*ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    """Pass on what comes, each way, until both ways are at their end or one breaks."""
    pumps = [asyncio.create_task(_pump(reader, writer)) for reader, writer in ways]
    try:
        await asyncio.gather(*pumps)
    except OSError:  # an end hung up, as any program may
        return
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


async def _say(writer: asyncio.StreamWriter, status: int, sentence: str) -> None:
    """Refuse. The sentence is the reason phrase too: of a failed tunnel, programs show only that."""
    reason = re.sub(r"[^ -~]", "?", sentence or HTTPStatus(status).phrase)
    body = f"{reason}\n".encode()
    head = (
        f"HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    writer.write(head.encode() + body)
    with contextlib.suppress(OSError):  # the client may have gone
        await writer.drain()
        writer.write_eof()


async def _hear_out(reader: asyncio.StreamReader) -> None:
    """Take what is still being sent, within reason: to hang up on it would take the answer back as well."""
    with contextlib.suppress(OSError):
        async with asyncio.timeout(_HEAR_OUT_SECONDS):
            for _ in range(_HEAR_OUT_CHUNKS):
                if not await reader.read(_CHUNK):
                    break


@contextlib.contextmanager
def _closing(writer: asyncio.StreamWriter) -> Generator[None]:
    """Let what was written arrive, but wait for nobody when the work itself is broken off."""
    try:
        yield
    except BaseException:
        writer.transport.abort()
        raise
    writer.close()
