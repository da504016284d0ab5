"""Both ways of a container's standard streams, over whatever leads to the engine.

An engine takes the end of what is said as the end of standard input, and goes on to be heard. Over TLS that is a
``close_notify`` of ours alone, which neither ``ssl.SSLSocket`` nor asyncio's transports can send while they still listen.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Mapping
from typing import Any, Protocol

from docker.errors import APIError

_CHUNK = 65_536
_LONGEST_HEAD = 16_384
_STATUS_PARTS = 2
_REQUEST = (
    "POST {path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"
)
_CONNECT_SECONDS = 30
_ANSWER_SECONDS = 60
# A machine that has gone says nothing: ask for a sign of life after this silence, so often, at most so many times.
_ALIVE = (
    (socket.TCP_KEEPIDLE, 15),
    (socket.TCP_KEEPINTVL, 5),
    (socket.TCP_KEEPCNT, 4),
    (socket.TCP_USER_TIMEOUT, 40_000),
)


class Stream(Protocol):
    """A conversation with a container that was attached to."""

    async def receive(self) -> bytes:
        """What comes next; empty at the end."""
        ...

    async def send(self, data: bytes) -> None:
        """Say something."""
        ...

    async def end(self) -> None:
        """Nothing more will be said; there may be more to hear."""
        ...

    def close(self) -> None:
        """Give it up."""
        ...


class PlainStream:
    """Over a socket as it is."""

    def __init__(self, line: socket.socket) -> None:
        line.setblocking(False)
        self._line = line

    async def receive(self) -> bytes:
        """See ``Stream``."""
        return await asyncio.get_running_loop().sock_recv(self._line, _CHUNK)

    async def send(self, data: bytes) -> None:
        """See ``Stream``."""
        await asyncio.get_running_loop().sock_sendall(self._line, data)

    async def end(self) -> None:
        """See ``Stream``."""
        self._line.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """See ``Stream``."""
        self._line.close()


class TlsStream:
    """Over TLS on a socket that is connected."""

    def __init__(self, line: socket.socket, context: ssl.SSLContext, name: str) -> None:
        line.setblocking(False)
        self._line = line
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._order = asyncio.Lock()
        self._early = b""

    async def ask(self, path: str) -> None:
        """Ask the engine for what ``path`` of its API leads to.

        Raises:
            APIError: it refuses.
        """
        await self.send(_REQUEST.format(path=path).encode())
        head, found, self._early = (await self._until_body()).partition(b"\r\n\r\n")
        status = head.split(b"\r\n")[0].split(b" ")
        if not found or len(status) < _STATUS_PARTS or status[1] not in {b"101", b"200"}:
            raise APIError(f"The engine refuses: {(head + self._early).decode(errors='replace')}")

    async def _until_body(self) -> bytes:
        answer = b""
        while b"\r\n\r\n" not in answer and len(answer) < _LONGEST_HEAD and (data := await self.receive()):
            answer += data
        return answer

    async def greet(self) -> None:
        """Agree on keys, and check who answers."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._more()
            else:
                await self._flush()
                return

    async def receive(self) -> bytes:
        """See ``Stream``."""
        if early := self._early:
            self._early = b""
            return early
        while True:
            try:
                return self._tls.read(_CHUNK)
            except ssl.SSLWantReadError:
                await self._more()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    async def send(self, data: bytes) -> None:
        """See ``Stream``."""
        for start in range(0, len(data), _CHUNK):
            self._tls.write(data[start : start + _CHUNK])
            await self._flush()

    async def end(self) -> None:
        """See ``Stream``."""
        with contextlib.suppress(ssl.SSLWantReadError):  # ours is said; theirs comes when all is heard
            self._tls.unwrap()
        await self._flush()

    def close(self) -> None:
        """See ``Stream``."""
        self._line.close()

    async def _more(self) -> None:
        await self._flush()
        data = await asyncio.get_running_loop().sock_recv(self._line, _CHUNK)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def _flush(self) -> None:
        async with self._order:
            if data := self._outgoing.read():
                await asyncio.get_running_loop().sock_sendall(self._line, data)


def attach_plain(api: Any, container: str, wish: Mapping[str, int]) -> PlainStream:
    """Through the client's own socket: that of the machine itself, or an unencrypted one."""
    found = api.attach_socket(container, dict(wish))
    line = found if isinstance(found, socket.socket) else found._sock  # noqa: SLF001 - documented by the library only so
    return PlainStream(line)


async def attach_tls(where: tuple[str, int], context: ssl.SSLContext, path: str) -> TlsStream:
    """Ask the engine at (name, port) for the streams that ``path`` of its API leads to.

    Raises:
        OSError: it cannot be reached, or is not whom the certificates name.
        APIError: it refuses.
    """
    line = await asyncio.to_thread(socket.create_connection, where, _CONNECT_SECONDS)
    keep_alive(line)
    stream = TlsStream(line, context, where[0])
    try:
        await asyncio.wait_for(stream.greet(), _CONNECT_SECONDS)
        await asyncio.wait_for(stream.ask(path), _ANSWER_SECONDS)
    except BaseException:
        stream.close()
        raise
    return stream


def keep_alive(line: socket.socket) -> None:
    """Notice within a minute when the other machine has gone."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _ALIVE:
        line.setsockopt(socket.IPPROTO_TCP, option, value)
